"""One process' claim to a Lease, by which one of several operators acts, as Kubernetes' own controllers do it.

Why two never act, however slow the API server is: a holder's term ends RENEW_SECONDS after it *sent* the last renewal
that was answered, by a timer that waits for no request; another takes over no sooner than LEASE_SECONDS after it *saw*
the Lease renewed, which it cannot have seen before it was sent. Both measure with their own clock that only moves
forward.

A process that was stopped, and goes on beyond its term, meets a fence at its door to the API server: each write asks
right before it is sent whether the term lasts. The API server knows nothing of terms. A request that was sent in time,
or asked in time and was stopped before it was on the wire, may still arrive when another acts; what it meets then is a
uid or a resourceVersion where it names one, and the other's next pass. What goes to Redis and to replicas (users, a
canary, a proof) is not fenced at all: a look's deadline of seconds has passed by then and ends it at its next wait, but
a command that was about to be sent still arrives.
"""

import asyncio
import logging
import os
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from crew_operator.api import names
from crew_operator.errors import ConflictError, LeadershipLostError, OperatorError

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 15
"""Seconds without a change of the Lease after which another takes it."""
RENEW_SECONDS: Final = 10
"""Seconds that a holder acts after it sent its last renewal. The rest of LEASE_SECONDS is for its end."""
TRY_SECONDS: Final = 2
"""Seconds between two tries. These three are client-go's defaults."""
ANSWER_SECONDS: Final = 4
"""Seconds for one try."""

Object = dict[str, Any]


class Kube(Protocol):
    """What is asked of the API server. Raises OperatorError."""

    fence: Callable[[], None]
    """Called before each write but those of Leases."""

    async def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object, or None."""

    async def create(self, manifest: Object) -> Object:
        """Make it. Raises ConflictError when it exists."""

    async def replace(self, manifest: Object) -> Object:
        """Put it in the place of the one with its resourceVersion. Raises ConflictError when that is another by now."""


def identity() -> str:
    """A name for this process that no other has had."""
    return f"{os.uname().nodename}_{uuid.uuid4().hex[:8]}"


class Candidate:
    """One process' claim to one Lease."""

    def __init__(self, kube: Kube, namespace: str, name: str, identity: str) -> None:
        self.identity = identity
        self.name = f"{namespace}/{name}"
        self.asked_by = ""
        """Who would like to have the Lease, as last seen."""
        self._kube = kube
        self._namespace, self._name = namespace, name
        self._loop = asyncio.get_running_loop()
        self._seen: tuple[object, ...] | None = None
        """Of the Lease, as last seen."""
        self._seen_at = 0.0
        self._sent_at = 0.0
        """When the renewal was sent that was answered last."""

    @property
    def holder(self) -> str:
        """Who holds the Lease, as last seen; empty: whoever takes it."""
        if self._seen is None or self._loop.time() - self._seen_at >= LEASE_SECONDS:
            return ""
        return str(self._seen[0])

    @property
    def left(self) -> float:
        """Seconds of the term; nothing is left to who does not hold the Lease."""
        return self._sent_at + RENEW_SECONDS - self._loop.time() if self._sent_at else 0.0

    def check(self) -> None:
        """Raises LeadershipLostError when the term is over."""
        if self.left <= 0:
            raise LeadershipLostError("the term is over: this process stood still, and another may act by now")

    async def acquire(self) -> None:
        """Ends when the Lease is held, and its term has not passed meanwhile."""
        while True:
            if await self.take() and self.left > 0:
                return
            await asyncio.sleep(TRY_SECONDS)

    async def renew(self) -> None:
        """Ends when another holds the Lease."""
        while not self._is_others():
            await asyncio.sleep(TRY_SECONDS)
            await self.take()

    async def term_ends(self) -> None:
        """Ends with the term, whatever a renewal waits for."""
        while True:
            left = self.left
            if left <= 0:
                return
            await asyncio.sleep(left)

    async def look(self) -> bool:
        """See who holds it. False: it could not be seen now."""
        return await self._tried(self._look())

    async def take(self) -> bool:
        """Take or renew it, if it may be taken. False: not now."""
        return await self._tried(self._take())

    async def ask(self) -> bool:
        """Let its holder know that this process would like to have it. False: not now."""
        return await self._tried(self._ask())

    async def release(self) -> None:
        """Let the next one begin at once. Only a courtesy: without it the Lease runs out."""
        self._sent_at = 0.0
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                held = await self._kube.get("Lease", self._namespace, self._name)
                if held is not None and _spec(held).get("holderIdentity") == self.identity:
                    given_back = {**_spec(held), "holderIdentity": "", "leaseDurationSeconds": 1}
                    self._note(await self._kube.replace({**held, "spec": given_back}))
        except (OperatorError, TimeoutError) as error:
            log.warning("the Lease cannot be released", extra={"lease": self.name, "error": repr(error)})

    def _is_others(self) -> bool:
        return self._seen is not None and self._seen[0] not in ("", self.identity)

    async def _tried(self, act: Awaitable[bool]) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await act
        except ConflictError:
            return False  # another was faster
        except (OperatorError, TimeoutError) as error:
            log.warning("no answer about the Lease", extra={"lease": self.name, "error": repr(error)})
            return False

    async def _look(self) -> bool:
        there = await self._kube.get("Lease", self._namespace, self._name)
        if there is not None:
            self._note(there)
        return True

    async def _take(self) -> bool:
        there = await self._kube.get("Lease", self._namespace, self._name)
        if there is not None:
            self._note(there)
            if self._is_others() and self.holder:
                return False
        sent_at = self._loop.time()
        now = await (self._kube.create(self._made()) if there is None else self._kube.replace(self._renewed(there)))
        self._sent_at = sent_at
        self._note(now)
        return True

    async def _ask(self) -> bool:
        there = await self._kube.get("Lease", self._namespace, self._name)
        if there is None:
            return False
        annotations = {**(there["metadata"].get("annotations") or {}), names.WANTED_BY: self.identity}
        self._note(await self._kube.replace({**there, "metadata": {**there["metadata"], "annotations": annotations}}))
        return True

    def _note(self, lease: Object) -> None:
        """Who renews a Lease writes the time, by whatever clock; who asks for it does not."""
        spec = _spec(lease)
        seen = (spec.get("holderIdentity") or "", spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._loop.time()
        self.asked_by = str((lease["metadata"].get("annotations") or {}).get(names.WANTED_BY) or "")

    def _made(self) -> Object:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {**self._holder(), "acquireTime": _now(), "leaseTransitions": 0},
        }

    def _renewed(self, there: Object) -> Object:
        """With its resourceVersion, so that of two who take it one fails."""
        spec, metadata = _spec(there), dict(there["metadata"])
        taken = {}
        if spec.get("holderIdentity") != self.identity:
            taken = {"acquireTime": _now(), "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
            others = {key: one for key, one in (metadata.get("annotations") or {}).items() if key != names.WANTED_BY}
            metadata["annotations"] = others
        return {**there, "metadata": metadata, "spec": {**spec, **self._holder(), **taken}}

    def _holder(self) -> Object:
        return {"holderIdentity": self.identity, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": _now()}


def _spec(lease: Object) -> Object:
    return dict(lease.get("spec") or {})


def _now() -> str:
    """For people, and to tell one renewal from the next: nobody compares it with a clock."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
