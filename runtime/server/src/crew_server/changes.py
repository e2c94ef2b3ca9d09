"""Tells those who listen that something about this replica has changed, but not what: that is the report's.

In: what the replica is now, as one comparable value. Out: at most one signal a second to each listener, and none while
nothing changes. The value is compared by a clock and not reported by those who change it: part of a verdict is how long
something has been silent, and nothing happens when that becomes too long.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

EVERY = 1.0
"""Seconds between two comparisons, hence at least between two signals. With `backend`'s own 3.5 s a lost Redis has
been signalled after 4.5 s."""
MOST = 8
"""Listeners at once: two operators, those that are being replaced, and people with curl."""


class TooManyListenersError(Exception):
    """There are MOST already."""


class Listener:
    """One that listens."""

    def __init__(self) -> None:
        self._signal = asyncio.Event()
        self._closed = False

    async def signals(self) -> AsyncIterator[None]:
        """One for each change, or for several that came while nobody took them; until `close`."""
        while True:
            await self._signal.wait()
            self._signal.clear()
            yield
            if self._closed:
                return

    def notify(self) -> None:
        """There is a change."""
        self._signal.set()

    def close(self) -> None:
        """One more signal, the last."""
        self._closed = True
        self._signal.set()


class Changes:
    """The listeners of one replica."""

    def __init__(self, current: Callable[[], object]) -> None:
        """`current`: what the replica is now; it has to cost next to nothing."""
        self._current = current
        self._known: object = None
        self._listeners: set[Listener] = set()
        self._closed = False

    async def run(self) -> None:
        """Compare for ever."""
        while True:
            await asyncio.sleep(EVERY)
            self.compare()

    def compare(self) -> None:
        """Signal if something has changed since the last comparison."""
        if not self._listeners:
            return
        known, self._known = self._known, self._current()
        if known != self._known:
            for one in self._listeners:
                one.notify()

    def listen(self) -> Listener:
        """Hear of changes from now on, until `leave`. Raises TooManyListenersError."""
        if len(self._listeners) >= MOST:
            raise TooManyListenersError
        if not self._listeners:
            self._known = self._current()
        one = Listener()
        if self._closed:
            one.close()
        self._listeners.add(one)
        return one

    def leave(self, one: Listener) -> None:
        """It listens no more."""
        self._listeners.discard(one)

    def close(self) -> None:
        """End with every listener, also those that are still to come."""
        self._closed = True
        for one in self._listeners:
            one.close()
