"""What is still to be written to the durable history, in Redis: put there by the scripts with what it tells of (`note`
in `lua/kickoffs.lua`), taken by one server at a time, and gone when Postgres has it.

To tell of something new, have a script call `note` with a kind, and give `rows` its shape.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crew_runtime.contract import keys, scripts
from crew_runtime.contract.scripts import Argument, Signature
from crew_server import lua, redis_client

LEASE_MS = 30_000
"""Longer than a batch takes as a rule, so that only a dead server's turn is taken by another. Where Postgres is slow a
living one's may be as well: two at once do no harm (`Store.write`)."""
MOST = 200
"""Entries of a batch."""
MOST_BYTES = 2 * 1024 * 1024
"""After which no more are added to one."""
ERASE_STEP = 100


@dataclass(frozen=True)
class Batch:
    """The oldest entries, and all that waits."""

    mine: bool
    """It is this server's turn to write them."""
    waiting: int
    lag: float
    """Seconds that the oldest has waited."""
    bytes: int
    lost: int
    """Entries that were not kept, because too much waited."""
    lost_ago: float
    """Seconds since the last of these."""
    entries: tuple[tuple[str, Sequence[str]], ...]
    """Ids, and fields and values by turns."""


class Outbox:
    """The outbox of one crew. Every method raises BackendError."""

    def __init__(self, client: redis_client.Client, prefix: str, deadline: float) -> None:
        self._client = client
        self._deadline = deadline
        self._root = keys.root(prefix)
        self._keys = {
            "history": keys.history(prefix),
            "history_bytes": keys.history_bytes(prefix),
            "history_lost": keys.history_lost(prefix),
            "history_shipper": keys.history_shipper(prefix),
        }
        common = lua.shared("kickoffs") + lua.of("history", "common")
        self._scripts = {
            one: client.register_script(common + lua.of(one.room, one.name))
            for one in (scripts.HISTORY_TAKE, scripts.HISTORY_SETTLE, scripts.HISTORY_BURY, scripts.HISTORY_ERASE)
        }

    async def take(self, shipper: str, most: int = MOST) -> Batch:
        """What waits; and a batch of `most` entries of it, if `shipper` (a token) has the turn or nobody has."""
        found = await self._run(scripts.HISTORY_TAKE, shipper=shipper, lease=LEASE_MS, most=most, most_bytes=MOST_BYTES)
        mine, waiting, age, size, lost, lost_ago, *entries = found
        return Batch(
            mine=bool(mine),
            waiting=int(waiting),
            lag=int(age) / 1000,
            bytes=int(size),
            lost=int(lost),
            lost_ago=max(0, int(lost_ago)) / 1000,
            entries=tuple((str(one[0]), one[1]) for one in entries),
        )

    async def renew(self, shipper: str) -> bool:
        """Have the turn for longer; False when another one has it by now."""
        found = await self._run(scripts.HISTORY_TAKE, shipper=shipper, lease=LEASE_MS, most=0, most_bytes=0)
        return bool(found[0])

    async def settle(self, ids: Sequence[str], leaves: str = "") -> int:
        """Postgres has these; how many of them were still there. `leaves`: the shipper whose turn ends."""
        return int(await self._run(scripts.HISTORY_SETTLE, ids, shipper=leaves))

    async def bury(self, entry: str, why: str) -> None:
        """Put one aside that Postgres will never take."""
        await self._run(scripts.HISTORY_BURY, entry=entry, why=why)

    async def erase(self, session_id: str, counts: Mapping[str, Any], budget: int, *, writes: bool) -> None:
        """Take what was said in a session out of what waits, and have it taken out of Postgres.

        `counts`: of what was erased elsewhere. `writes`: this server has a durable history. One without has to ask as
        well: a history that was taken away may have left something, and others may have one already.
        """
        after = "-"
        while after:
            after = str(
                await self._run(
                    scripts.HISTORY_ERASE,
                    session=session_id,
                    after=after,
                    most=ERASE_STEP,
                    budget=budget,
                    counts=json.dumps(dict(counts)),
                    writes=int(writes),
                )
            )

    async def _run(self, script: Signature, more: Sequence[Argument] = (), **given: Argument) -> Any:
        arguments = script.arguments({"root": self._root, **given}, more)
        async with redis_client.deadline(self._deadline):
            return await self._scripts[script](keys=script.names(self._keys), args=arguments)
