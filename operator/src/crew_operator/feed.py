"""Brings what the watches tell from their thread into the operator's loop: into its cache, and keys into its queue.

Kopf does not say when it has listed a kind for the first time, or that there is nothing of it. Hence the work begins
when no more is listed for a moment. To begin too early is no fault, it only costs requests: a child that is not in the
cache is asked for by its name, each crew's first pass lists its pods, and what is listed later is taken for a gap.
"""

import asyncio
from collections import deque
from typing import Any, Final

from crew_operator.cluster_cache import RELIST_SETTLES, Change, ClusterCache
from crew_operator.reconcile import Key
from crew_operator.workqueue import WorkQueue

SETTLE: Final = 0.05
"""Seconds that a key waits for more of the same burst of events."""
LISTED_AFTER: Final = 0.5
"""Seconds without an object of a listing, after which the first listings are taken to be over."""
NOTHING_AFTER: Final = 5.0
"""Seconds without any event, after which there is taken to be nothing."""


class Feed:
    """Made in the loop, when the watches begin."""

    def __init__(self, cache: ClusterCache, queue: WorkQueue[Key]) -> None:
        self._cache = cache
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._asking = False
        self._begin_at = self._loop.time() + NOTHING_AFTER
        self._heard = False
        self._told: deque[tuple[str | None, str, dict[str, Any]]] = deque()
        """By the watches' thread, and not heard yet."""
        self._called = False
        """The loop is about to hear them."""
        self._loop.call_later(LISTED_AFTER, self._begin)

    def event(self, type_: str | None, kind: str, found: dict[str, Any]) -> None:
        """An object was listed (None), or came, changed or went. May be called from any one thread."""
        self._told.append((type_, kind, found))
        if not self._called:  # to wake the loop for each of a burst costs more than the rest
            self._called = True
            self._loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        self._called = False  # before it looks: what comes from now on calls again
        for _ in range(len(self._told)):  # and no more, or a flood would keep all else from its turn
            self._event(*self._told.popleft())

    def _event(self, type_: str | None, kind: str, found: dict[str, Any]) -> None:
        now = self._loop.time()
        if type_ is None or not self._heard:
            self._heard = True
            self._begin_at = now + LISTED_AFTER
        changes = self._cache.told(type_, kind, found, now)
        if not self._cache.synced:
            return  # `_begin` begins with all of them
        for owner, change in changes.items():
            if change is not Change.NONE:
                self._queue.add(Key(*owner), after=SETTLE, urgent=True)
        self._ask_later()

    def _begin(self) -> None:
        if (left := self._begin_at - self._loop.time()) > 0:
            self._loop.call_later(min(left, LISTED_AFTER), self._begin)
            return
        self._cache.begin()
        for owner in self._cache.crews:
            self._queue.add(Key(*owner), after=SETTLE)

    def _ask_later(self) -> None:
        """While a listing after a gap goes on: what it leaves out is looked for when it is over."""
        if self._cache.relisting and not self._asking:
            self._asking = True
            self._loop.call_later(RELIST_SETTLES, self._ask)

    def _ask(self) -> None:
        self._asking = False
        for owner in self._cache.overdue(self._loop.time()):
            self._queue.add(Key(*owner), urgent=True)
        self._ask_later()
