"""What Events say of a claim that has no volume. They are asked for while pods wait for it, and not often: a crew that
rests costs no request.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from crew_operator.errors import OperatorError
from crew_operator.kube_client import KubeClient
from crew_operator.status import claims
from crew_operator.status.observed import Claim

AGAIN: Final = 15.0
"""Seconds between two questions: a provisioner that fails tries again after as long."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class _Heard:
    uid: str
    at: float
    events: list[dict[str, Any]]


class ClaimEvents(Generic[Key]):
    """Of the claims of all crews."""

    def __init__(self, kube: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._clock = clock
        self._heard: dict[Key, _Heard] = {}

    async def told(self, key: Key, namespace: str, claim: Claim) -> Claim:
        """With what was said of it last. Nothing is when Events cannot be read: they only explain."""
        heard = self._heard.get(key)
        if heard is None or heard.uid != claim.uid or self._clock() - heard.at >= AGAIN:
            try:
                found = await self._kube.events(namespace, claim.uid)
            except OperatorError:
                found = []
            heard = self._heard[key] = _Heard(claim.uid, self._clock(), found)
        return claims.told(claim, heard.events)

    def forget(self, key: Key) -> None:
        """The claim has a volume, or the crew is gone."""
        self._heard.pop(key, None)
