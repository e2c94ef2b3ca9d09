"""Erases what ended sessions leave behind, by the clock: who uses a memory erases as well, but nobody may.

Every server does so; the script's steps are atomic, and what one has erased no other finds.
"""

import asyncio
import random
from typing import Final, Protocol

from crew_server.errors import BackendError
from crew_server.logs import Log
from crew_server.metrics import Metrics

log = Log(__name__)

EVERY: Final = 60.0
"""Seconds between two looks, on the average: the servers of a crew shall not look all at once."""
PAUSE: Final = 0.05
"""Seconds between two steps, for others that wait for Redis."""


class Store(Protocol):
    """Where the sessions lie."""

    async def sweep(self, ttl: float) -> tuple[int, bool]:
        """Take a step: how many records were erased, and whether there may be more. Raises BackendError."""


class Sweeper:
    """The loop."""

    def __init__(self, store: Store, ttl: float | None, metrics: Metrics) -> None:
        """`ttl`: seconds after which a session that is not used ends; None: never."""
        self._store = store
        self._ttl = ttl
        self._metrics = metrics

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(EVERY * random.uniform(0.5, 1.5))  # noqa: S311 - not for secrets
            if self._ttl is None:
                continue
            try:
                await self._sweep(self._ttl)
            except BackendError as error:
                log.debug("ended sessions are erased later", error=error.message)

    async def _sweep(self, ttl: float) -> None:
        total, more = 0, True
        while more:
            erased, more = await self._store.sweep(ttl)
            self._metrics.swept.inc(erased)
            total += erased
            await asyncio.sleep(PAUSE)
        if total:
            log.info("erased the memories of sessions that had ended", records=total)
