"""Writes Events. One that cannot be written is logged and no more: an Event is news, not state."""

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from crew_operator import events
from crew_operator.errors import OperatorError
from crew_operator.events import Note
from crew_operator.kube_client import KubeClient

log = logging.getLogger(__name__)

_REMEMBERED = 2000
"""Events whose count is kept; the API server forgets them after an hour."""


class Recorder:
    """Counts what was said before."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube
        self._said: OrderedDict[tuple[str, Note], tuple[float, int]] = OrderedDict()

    async def say(self, owner: Mapping[str, Any], notes: Sequence[Note], now: float) -> None:
        """Write an Event for each. `now` in Unix seconds."""
        for note in notes:
            first, count = self._count((str(owner["metadata"].get("uid")), note), now)
            log.info(
                "event", extra={"reason": note.reason, "warning": note.warning, "text": note.message, "count": count}
            )
            try:
                await self._kube.apply(events.event(owner, note, first, now, count))
            except OperatorError as error:
                log.warning("an Event could not be written", extra={"error": str(error)})

    def _count(self, key: tuple[str, Note], now: float) -> tuple[float, int]:
        first, count = self._said.pop(key, (now, 0))
        self._said[key] = (first, count + 1)
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        return first, count + 1
