"""Brings what waits in the outbox to Postgres: at least once, one server of the crew at a time, each row once.

Postgres that is slow or away costs no kickoff anything: what is to be written waits in Redis meanwhile.
"""

import asyncio
import dataclasses
import random
import time
import uuid
from collections.abc import Sequence
from typing import Final, Protocol

from crew_runtime.contract.replica_reasons import HistoryReason
from crew_runtime.contract.report import HistoryHealth
from crew_server.errors import BackendError, HistoryError
from crew_server.history import rows
from crew_server.history.outbox import MOST, Batch, Outbox
from crew_server.history.rows import Erasure, Row
from crew_server.logs import Log
from crew_server.metrics import Metrics

log = Log(__name__)

LOOK_EVERY: Final = 1.0
"""Seconds between two looks of the server whose turn it is."""
OTHERS_LOOK_EVERY: Final = 5.0
RETRY_REDIS: Final = 1.0
FAILURES_TOLD: Final = 5
"""Calls of Redis that fail in a row before that is told: one alone is a Redis that was restarted."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before Postgres is tried again; doubled with each failure in a row."""
EXPIRE_EVERY: Final = 3600.0
LAST_LOOK: Final = 0.2
"""Seconds between two looks of a server that ends."""
CLOCKS: Final = 0.05
"""Seconds by which an entry's age and the time that passed here may differ."""


class Store(Protocol):
    """Postgres, as it is written. Every method raises HistoryError."""

    async def prepare(self) -> None:
        """Bring the schema to what is written."""

    async def write(self, found: Sequence[Row | Erasure]) -> None:
        """Add rows and do erasures; all or nothing."""

    async def expire(self, seconds: float) -> int:
        """Take months away that ended so long ago; how many."""


class Settings(Protocol):
    """What the shipper has to know."""

    @property
    def key_prefix(self) -> str: ...  # noqa: D102 - as in settings.Settings
    @property
    def history_retention(self) -> float | None: ...  # noqa: D102


class Shipper:
    """The loop of one server."""

    def __init__(self, outbox: Outbox, store: Store, settings: Settings, metrics: Metrics) -> None:
        self._outbox = outbox
        self._store = store
        self._crew = settings.key_prefix
        self._retention = settings.history_retention
        self._metrics = metrics
        self._token = uuid.uuid4().hex
        self._prepared = False
        self._expired_at = -EXPIRE_EVERY
        self._pause = FIRST_PAUSE
        self._failures = 0
        """Of Redis, in a row."""
        self._most = MOST
        """Entries of a batch: as many as Postgres can do within a deadline."""
        self._poked = asyncio.Event()
        self.health = HistoryHealth()

    def poke(self) -> None:
        """There may be something to write."""
        self._poked.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._poked.clear()
            pause, waits_for_pokes = await self._step()
            if not waits_for_pokes:
                await asyncio.sleep(pause)
                continue
            try:
                async with asyncio.timeout(pause):
                    await self._poked.wait()
            except TimeoutError:
                continue

    async def close(self, seconds: float = 0.0) -> None:
        """Have what waits by now written, within `seconds`, for nobody may come afterwards; then let another one go on.

        Postgres that failed last is not waited for.
        """
        if seconds > 0 and self.health.reason in (HistoryReason.OK, HistoryReason.NOT_CHECKED):
            try:
                async with asyncio.timeout(seconds):
                    await self._finish()
            except (TimeoutError, BackendError, HistoryError) as error:
                log.warning("what ended last may not be in the durable history yet", error=repr(error)[:500])
        await self._leave()

    async def _finish(self) -> None:
        """Until all is written that waits now, by this server or by whose turn it is."""
        begun = time.monotonic()
        while True:
            passed = time.monotonic() - begun
            batch = await self._take()
            if not batch.waiting or batch.lag + CLOCKS < passed:
                return
            if batch.mine and not self._prepared:
                await self._prepare()
            elif batch.entries:
                await self._ship(batch.entries)
            else:
                await asyncio.sleep(LAST_LOOK)

    async def _leave(self) -> None:
        try:
            await self._outbox.settle((), self._token)
        except BackendError as error:
            log.debug("the history's turn runs out by itself", error=error.message)

    async def _step(self) -> tuple[float, bool]:
        """Seconds until the next one, and whether something new ends that time."""
        try:
            batch = await self._take_ready()
            if batch.mine:
                await self._work(batch)
        except BackendError as error:
            self._redis_failed(error)
            return RETRY_REDIS, False
        except HistoryError as error:
            return await self._failed(error), False
        self._failures = 0
        if not batch.mine:
            if self.health.reason == HistoryReason.REDIS:
                self.health = dataclasses.replace(self.health, reason=HistoryReason.NOT_CHECKED, message="")
            return OTHERS_LOOK_EVERY, False
        if self.health.reason != HistoryReason.OK:
            log.info("the durable history is written")
            self.health = dataclasses.replace(self.health, reason=HistoryReason.OK, message="")
        self._pause = FIRST_PAUSE
        return (0.0, False) if batch.entries else (LOOK_EVERY, True)

    async def _take_ready(self) -> Batch:
        """What waits; of a server whose turn it is, once Postgres has the tables."""
        batch = await self._take()
        if batch.mine and not self._prepared:
            await self._prepare()
            # That may have taken longer than the turn, and what was taken may be erased by now.
            batch = await self._take()
        return batch

    async def _prepare(self) -> None:
        await self._store.prepare()
        self._prepared = True

    async def _take(self) -> Batch:
        batch = await self._outbox.take(self._token, self._most)
        self._note(batch)
        return batch

    async def _work(self, batch: Batch) -> None:
        if batch.entries:
            await self._ship(batch.entries)
        now = time.monotonic()
        if self._retention is not None and now - self._expired_at >= EXPIRE_EVERY:
            self._expired_at = now
            if months := await self._store.expire(self._retention):
                log.info("months of the durable history were taken away", months=months)

    async def _ship(self, entries: Sequence[tuple[str, Sequence[str]]]) -> None:
        readable: list[tuple[str, list[Row | Erasure]]] = []
        for entry_id, flat in entries:
            try:
                readable.append((entry_id, rows.of(self._crew, rows.entry(flat))))
            except rows.UNREADABLE as error:
                await self._bury(entry_id, repr(error))
        try:
            await self._store.write([row for _, found in readable for row in found])
        except HistoryError as error:
            if error.reason == HistoryReason.TIMEOUT:
                # Unchanged it would take as long again, for ever.
                self._most = max(1, min(self._most, len(entries)) // 2)
            if error.reason != HistoryReason.DATA:
                raise
            # One of them is to blame.
            for entry_id, found in readable:
                if not await self._outbox.renew(self._token):
                    return
                await self._ship_alone(entry_id, found)
        else:
            self._most = min(MOST, 2 * self._most)
            self._shipped(await self._outbox.settle([entry_id for entry_id, _ in readable]))

    async def _ship_alone(self, entry_id: str, found: Sequence[Row | Erasure]) -> None:
        try:
            await self._store.write(found)
        except HistoryError as error:
            if error.reason != HistoryReason.DATA:
                raise
            await self._bury(entry_id, error.message)
        else:
            self._shipped(await self._outbox.settle([entry_id]))

    async def _bury(self, entry_id: str, why: str) -> None:
        log.error("an entry of the durable history is dead-lettered", entry=entry_id, error=why[:500])
        self._metrics.history_entries.labels("dead-lettered").inc()
        await self._outbox.bury(entry_id, why[:500])

    def _shipped(self, count: int) -> None:
        self._metrics.history_entries.labels("written").inc(count)

    def _redis_failed(self, error: BackendError) -> None:
        self._failures += 1
        log.debug("the history's outbox cannot be read", error=error.message)
        if self._failures < FAILURES_TOLD:
            return
        if self.health.reason != HistoryReason.REDIS:
            log.warning("Redis does not give what is to be written", reason=error.reason, error=error.message)
        message = f"Redis does not give what is to be written: {error.message}"
        self.health = dataclasses.replace(self.health, reason=HistoryReason.REDIS, message=message)

    async def _failed(self, error: HistoryError) -> float:
        """Tell it, let another server try, and wait."""
        if self.health.reason != error.reason:
            log.warning("the durable history cannot be written", reason=error.reason, error=error.message)
        self.health = dataclasses.replace(self.health, reason=error.reason, message=error.message)
        self._metrics.history_failures.labels(error.reason).inc()
        self._prepared = False  # what answers next may be another server, or an emptied one
        await self._leave()
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause * random.uniform(0.75, 1.25)  # noqa: S311 - to spread them

    def _note(self, batch: Batch) -> None:
        self.health = dataclasses.replace(
            self.health,
            lag=batch.lag,
            waiting=batch.waiting,
            bytes=batch.bytes,
            lost=batch.lost,
            lost_ago=batch.lost_ago,
        )
