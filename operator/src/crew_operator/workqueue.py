"""A queue of keys in the manner of controller-runtime; it knows nothing of Kubernetes.

In: `add(key, after)`, from anywhere in the event loop. Out: `handle(key)`, one at a time for each key. A key stands in
the queue once; the earliest wanted time wins. What is added while its key is handled is handled after that. A handler
says when it wants to be called again; one that raises is called again with exponential backoff. While more keys are due
than there are workers, urgent ones go first, by HANDICAP at most: nobody waits for ever.

A handler that from now on only waits for others, who may be slow or silent, steps aside: another key is begun
meanwhile. So those that cost something stay few, and are taken by their turn, however many wait for somebody.
"""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

HANDICAP: Final = 2.0
"""Seconds that what is due but not urgent is put behind what is urgent."""

Key = TypeVar("Key", bound=Hashable)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """How a pass ended."""

    after: float | None = None
    """Seconds until the next one; None: when something happens."""


@dataclass(frozen=True)
class Backoff:
    """Pauses after failures in a row."""

    first: float = 0.5
    """Seconds."""
    longest: float = 60.0
    """Seconds."""

    def pause(self, failures: int) -> float:
        """Seconds after so many failures in a row, from 1."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 30))


class WorkQueue(Generic[Key]):
    """Keys that wait for their time, and the workers that handle them."""

    def __init__(
        self,
        handle: Callable[[Key], Awaitable[Result]],
        *,
        backoff: Backoff | None = None,
        retry_after: Callable[[Exception], float | None] = lambda _: None,
    ) -> None:
        """`retry_after`: seconds of pause that an error asks for itself, instead of the backoff."""
        self._handle = handle
        self._backoff = backoff or Backoff()
        self._retry_after = retry_after
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        """By the time at which they are due."""
        self._ready: list[tuple[float, int, Key]] = []
        """Those that are due, by their turn."""
        self._urgent: set[Key] = set()
        self._order = itertools.count()
        self._running: set[Key] = set()
        self._slots = asyncio.Semaphore(0)
        """Of passes that may be begun."""
        self._wanted: set[Key] = set()
        """Asked for by `add` since their last pass began."""
        self._called: set[Key] = set()
        """Running, and were."""
        self._busy: set[Key] = set()
        """Running, and not stepped aside."""
        self._again: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()
        self._begun: dict[Key, float] = {}
        self._ended_at: float | None = None
        self.handled = 0
        """Passes so far."""
        self.failed = 0
        """Of these, raised."""

    def __len__(self) -> int:
        """Keys that wait, due or not."""
        return len(self._due)

    def overdue(self) -> int:
        """Keys whose time has come and that no worker has taken yet: a queue that keeps up has none for long."""
        now = asyncio.get_running_loop().time()
        return sum(when <= now for when in self._due.values())

    @property
    def running(self) -> int:
        """Keys that are being handled."""
        return len(self._running)

    def failures(self, key: Key) -> int:
        """Failures of this key in a row."""
        return self._failures.get(key, 0)

    def add(self, key: Key, after: float = 0.0, *, urgent: bool = False) -> None:
        """Handle `key` in `after` seconds, or earlier if somebody wants that. `urgent`: somebody waits for it."""
        if urgent and key not in self._urgent:
            self._urgent.add(key)
            if key in self._due:  # it may be due already, and has another turn now
                heapq.heappush(self._heap, (self._due[key], next(self._order), key))
        self._wanted.add(key)
        when = asyncio.get_running_loop().time() + after
        if key in self._running:
            self._again[key] = min(when, self._again.get(key, when))
            return
        self._schedule(key, when)

    def stuck(self, bound: float) -> bool:
        """Whether for `bound` seconds a pass has not come to its end, or a key was due and none was handled. A handler
        that fails has come to its end; nothing to do is not stuck.
        """
        now = asyncio.get_running_loop().time()
        if any(now - begun > bound for begun in self._begun.values()):
            return True
        due = min(self._due.values(), default=now)
        return self._ended_at is not None and now - max(due, self._ended_at) > bound

    def is_called(self, key: Key) -> bool:
        """Whether the pass of `key`, which runs, was asked for by `add`, and not only by how the one before ended."""
        return key in self._called

    def step_aside(self, key: Key) -> None:
        """The pass of `key`, which runs, only waits for others from now on. Said twice it counts once."""
        if key in self._busy:
            self._busy.discard(key)
            self._slots.release()

    async def run(self, workers: int, most: int | None = None) -> None:
        """Handle keys until cancelled: `workers` at once, and with those that stepped aside `most`."""
        self._ended_at = asyncio.get_running_loop().time()
        self._slots = asyncio.Semaphore(workers)
        async with asyncio.TaskGroup() as group:
            for number in range(max(workers, most or 0)):
                group.create_task(self._work(), name=f"worker-{number}")

    def _schedule(self, key: Key, when: float) -> None:
        before = self._due.get(key)
        if before is not None and before <= when:
            return
        self._due[key] = when
        heapq.heappush(self._heap, (when, next(self._order), key))
        self._changed.set()

    async def _work(self) -> None:
        while True:
            await self._slots.acquire()
            key = await self._next()
            self._busy.add(key)
            try:
                await self._one(key)
            finally:
                self.step_aside(key)

    async def _next(self) -> Key:
        """The next key whose time has come; it is then running."""
        loop = asyncio.get_running_loop()
        while True:
            key, pause = self._pop(loop.time())
            if key is not None:
                return key
            self._changed.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue  # the time of the first has come

    def _pop(self, now: float) -> tuple[Key | None, float | None]:
        """A due key, or the seconds until there is one; None: none waits."""
        while self._heap and self._heap[0][0] <= now:
            when, order, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:  # else an earlier time was asked for since
                heapq.heappush(self._ready, (self._turn(key, when), order, key))
        while self._ready:
            turn, _, key = heapq.heappop(self._ready)
            if key in self._due and turn == self._turn(key, self._due[key]):
                del self._due[key]
                self._urgent.discard(key)
                self._running.add(key)
                if key in self._wanted:
                    self._wanted.discard(key)
                    self._called.add(key)
                self._begun[key] = now
                return key, None
        return None, self._heap[0][0] - now if self._heap else None

    def _turn(self, key: Key, when: float) -> float:
        return when if key in self._urgent else when + HANDICAP

    async def _one(self, key: Key) -> None:
        loop = asyncio.get_running_loop()
        try:
            result = await self._handle(key)
        except Exception as error:  # noqa: BLE001 - one key's failure must not end the worker; it is logged and retried
            after: float | None = self._failed(key, error)
        else:
            self._failures.pop(key, None)
            after = result.after
        finally:
            self.handled += 1
            self._running.discard(key)
            self._called.discard(key)
            self._begun.pop(key, None)
            self._ended_at = loop.time()
            again = self._again.pop(key, None)
        times = [again] if again is not None else []
        if after is not None:
            times.append(loop.time() + after)
        if times:
            self._schedule(key, min(times))

    def _failed(self, key: Key, error: Exception) -> float:
        self.failed += 1
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        asked = self._retry_after(error)
        pause = asked if asked is not None else self._backoff.pause(failures)
        log.warning("a pass failed", extra={"key": str(key), "failures": failures, "retry_in": pause}, exc_info=error)
        return pause
