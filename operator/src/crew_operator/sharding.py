"""Several operators act at once, each for a share of the CrewDeployments: more crews than one core can serve.

There are so many shards, each with a Lease of its own; a CrewDeployment belongs to one by the hash of its name. Each
operator takes free Leases up to a fair part, and asks the operator that holds most for one when it has two fewer. Who
is asked lets the passes of that shard end and gives the Lease back. One that dies is followed within LEASE_SECONDS and
two tries, as with a single Lease (`lease` says why two never act); one that loses a term against its will ends.

In: the Leases, what to run, what to do when a shard is taken or given back. Out: a gate for passes, which lets through
those for shards that are held, and a fence that no write of another pass goes through.
"""

import asyncio
import logging
import math
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from crew_operator.errors import LeadershipLostError
from crew_operator.lease import TRY_SECONDS, Candidate, Kube, identity

log = logging.getLogger(__name__)

ASKED_FOR: Final = 3 * TRY_SECONDS
"""Seconds that a Lease which was given back is left to who had asked for it."""

Key = TypeVar("Key")
Answer = TypeVar("Answer")
Holders = Mapping[int, str]
"""Shard -> who holds it; empty: nobody."""

_acting_for: ContextVar[int | None] = ContextVar("shard of the pass", default=None)


def shard(name: object, count: int) -> int:
    """The shard of a CrewDeployment by `namespace/name`: the same in every process, whatever its version."""
    return zlib.crc32(str(name).encode("utf-8", "surrogatepass")) % count


def fair_part(holders: Holders, me: str) -> int:
    """How many shards an operator should have at most."""
    operators = {one for one in holders.values() if one} | {me}
    return math.ceil(len(holders) / len(operators))


def wanted(holders: Holders, me: str) -> int | None:
    """The shard to ask for, of who has two more than this operator; None: it has its part, or one is free."""
    counted = Counter(holders.values())
    if counted.pop("", 0):
        return None
    own = counted.pop(me, 0)
    if not counted:
        return None
    richest, most = max(counted.items(), key=lambda one: (one[1], one[0]))
    if most < own + 2:
        return None
    return max(number for number, holder in holders.items() if holder == richest)


def gives(holders: Holders, me: str, asked_by: str) -> bool:
    """Whether a holder that is asked for a shard gives it: it keeps as many as who asks then has, at least."""
    counted = Counter(holders.values())
    return asked_by not in ("", me) and counted[me] >= counted[asked_by] + 2


class Shares:
    """This operator's part."""

    def __init__(
        self,
        kube: Kube,
        lease: str,
        count: int,
        *,
        taken: Callable[[int], None],
        given: Callable[[int], None],
    ) -> None:
        """
        Args:
            lease: `namespace/name`; the Leases are `name-0`, `name-1`, ...
            taken: called with a shard whose crews are this operator's from now on.
            given: called with a shard whose crews are another's from now on; none of its passes runs any more.
        """
        namespace, _, name = lease.partition("/")
        self._me = identity()
        self._kube = kube
        self._leases = [Candidate(kube, namespace, f"{name}-{number}", self._me) for number in range(count)]
        self._taken, self._given = taken, given
        self._taking: set[int] = set()
        self._held: set[int] = set()
        self._ending: set[int] = set()
        """Held, and to be given back."""
        self._passes: Counter[int] = Counter()
        self._ended = asyncio.Condition()
        self._freed_at: dict[int, float] = {}

    @property
    def held(self) -> frozenset[int]:
        """The shards whose passes run here."""
        return frozenset(self._held - self._ending)

    def of(self, key: object) -> int:
        """The shard of a key."""
        return shard(key, len(self._leases))

    def gate(self, handle: Callable[[Key], Awaitable[Answer]], other: Answer) -> Callable[[Key], Awaitable[Answer]]:
        """`handle` for keys of held shards; the answer `other`, and nothing else, for those of others."""

        async def handled(key: Key) -> Answer:
            number = self.of(key)
            if number not in self._held or number in self._ending:
                return other
            self._passes[number] += 1
            before = _acting_for.set(number)
            try:
                return await handle(key)
            finally:
                _acting_for.reset(before)
                self._passes[number] -= 1
                async with self._ended:
                    self._ended.notify_all()

        return handled

    def check(self) -> None:
        """The fence. Raises LeadershipLostError when the running pass is of a shard that is not held any more."""
        number = _acting_for.get()
        if number is None or number not in self._held:
            raise LeadershipLostError("a write for a crew that is not this operator's")
        self._leases[number].check()

    async def run(self, run: Callable[[], Awaitable[None]]) -> None:
        """Run, and hold a fair part of the Leases. Raises LeadershipLostError, or as `run`."""
        self._kube.fence = self.check
        running: asyncio.Future[Any] = asyncio.ensure_future(run())
        tasks = [running, asyncio.create_task(self._terms(), name="terms")]
        tasks += [asyncio.create_task(self._tend(number, one)) for number, one in enumerate(self._leases)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for one in tasks:
                one.cancel()
            # What acts has to have ended before another may begin.
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(self._leases[number].release() for number in self._held))

    async def _terms(self) -> None:
        """Ends with the first term that ends, whatever a renewal waits for."""
        while True:
            left = min((self._leases[number].left for number in self._held), default=float(TRY_SECONDS))
            if left <= 0:
                raise LeadershipLostError("the Lease of a shard could not be renewed in time, or is another's")
            await asyncio.sleep(min(left, TRY_SECONDS))

    async def _tend(self, number: int, lease: Candidate) -> None:
        """Renew, take, ask for or give back one Lease, for ever."""
        while True:
            if number in self._held:
                await lease.take()
                if gives(self._holders(), self._me, lease.asked_by):
                    await self._give(number, lease)
            elif await lease.look():
                await self._try(number, lease)
            await asyncio.sleep(TRY_SECONDS)

    async def _try(self, number: int, lease: Candidate) -> None:
        holders = self._holders()
        if holders[number]:
            self._freed_at.pop(number, None)
            if number == wanted(holders, self._me):
                await lease.ask()
            return
        freed_at = self._freed_at.setdefault(number, _now())
        if lease.asked_by not in ("", self._me) and _now() - freed_at < ASKED_FOR:
            return
        if len(self._held | self._taking) >= fair_part(holders, self._me):
            return
        self._taking.add(number)
        try:
            if not await lease.take() or lease.left <= 0:
                return
        finally:
            self._taking.discard(number)
        self._held.add(number)
        log.info("shard taken", extra={"lease": lease.name, "identity": self._me})
        self._taken(number)

    async def _give(self, number: int, lease: Candidate) -> None:
        """Once its passes have ended; it is renewed until then."""
        self._ending.add(number)
        while self._passes[number]:
            try:
                async with asyncio.timeout(TRY_SECONDS), self._ended:
                    await self._ended.wait()
            except TimeoutError:
                await lease.take()
        self._held.discard(number)
        self._ending.discard(number)
        self._given(number)
        await lease.release()
        log.info("shard released", extra={"lease": lease.name, "to": lease.asked_by})

    def _holders(self) -> Holders:
        return {
            number: self._me if number in self._held | self._taking else one.holder
            for number, one in enumerate(self._leases)
        }


def _now() -> float:
    return asyncio.get_running_loop().time()
