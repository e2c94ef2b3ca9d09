"""Claims kickoffs out of the crew's queue: one at a time, and only while a slot is free for it.

In: free slots, entries in the queue's streams. Out: `dispatcher.start`. No polling: it waits for a slot, or on a
connection of its own for an entry. An entry wakes every server that waits; a script gives it to one. What a server
accepts while it has a free slot and nothing waits is its own at once, by way of `reserve`.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from crew_runtime.contract import keys
from crew_server import redis_client
from crew_server.errors import BackendError
from crew_server.execution.dispatch import Dispatcher
from crew_server.logs import Log
from crew_server.queue import state
from crew_server.queue.queue import Queue
from crew_server.settings import Settings

log = Log(__name__)

BLOCK = 3.0
"""Seconds of one wait for an entry. A connection that was cut without a word is found dead after BLOCK + GRACE."""
GRACE = 2.0
RETRY = 0.2
"""Seconds before Redis is asked again after it failed, and before another look at a replica that is not ready."""


@dataclass(frozen=True)
class Worker:
    """What has to be known of the worker half."""

    ready: Callable[[], bool]
    """Whether this replica can do what it claims: a stopped worker still has slots."""
    tasks: Callable[[], int | None]
    """How many tasks the crew has, for the progress."""


class Claimer:
    """The claims of one server."""

    def __init__(self, settings: Settings, queue: Queue, dispatcher: Dispatcher, worker: Worker) -> None:
        self._queue = queue
        self._dispatcher = dispatcher
        self._worker = worker
        self._client = redis_client.connect(settings, deadline=BLOCK + GRACE, connections=1)
        # Entries are deleted when they are claimed: whatever lies there can be claimed.
        self._streams = {keys.handed_back(settings.key_prefix): "0", keys.queue(settings.key_prefix): "0"}
        self._paused = False
        self._poked = asyncio.Event()
        self._turn = asyncio.Lock()
        self._reserved = 0
        self._unreserved = asyncio.Event()
        self._unreserved.set()

    def poke(self) -> None:
        """There may be a free slot."""
        self._poked.set()

    @contextlib.contextmanager
    def reserve(self) -> Iterator[bool]:
        """Keep a free slot for a kickoff that may start with its acceptance; whether there is one."""
        taken = self._reserved + self._turn.locked()
        if self._paused or self._dispatcher.free <= taken or not self._worker.ready():
            yield False
            return
        self._reserved += 1
        self._unreserved.clear()
        try:
            yield True
        finally:
            self._reserved -= 1
            if not self._reserved:
                self._unreserved.set()
            self.poke()

    def start(self, claim: state.Claim) -> None:
        """Run what was claimed."""
        self._dispatcher.start(claim, self._worker.tasks())

    async def pause(self) -> None:
        """Claim nothing more; claims that are under way have ended when this returns."""
        self._paused = True
        async with self._turn:
            await self._unreserved.wait()

    def resume(self) -> None:
        """Claim again."""
        self._paused = False
        self.poke()

    async def run(self) -> None:
        """For ever."""
        token = uuid.uuid4().hex
        while True:
            await self._wait_for_slot()
            try:
                async with self._turn:
                    if self._paused:
                        continue
                    claim = await self._queue.claim(token)
                    if claim is not None:
                        self.start(claim)
                # Only now: an answer that was lost is asked for again by the same token.
                token = uuid.uuid4().hex
                if claim is None:
                    await self._wait_for_entry()
            except BackendError as error:
                log.debug("nothing can be claimed now", error=error.message)
                await asyncio.sleep(RETRY)

    async def close(self) -> None:
        """Drop the connection."""
        await self._client.aclose()

    async def _wait_for_slot(self) -> None:
        while True:
            if self._paused or self._dispatcher.free <= self._reserved:
                self._poked.clear()
                await self._poked.wait()
            elif not self._worker.ready():
                await asyncio.sleep(RETRY)
            else:
                return

    async def _wait_for_entry(self) -> None:
        async with redis_client.deadline(BLOCK + GRACE):
            await redis_client.next_entries(self._client, self._streams, count=1, seconds=BLOCK)
