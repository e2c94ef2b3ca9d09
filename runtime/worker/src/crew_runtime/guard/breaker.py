"""When not to ask: after a call ran into its deadline, the next ones fail at once until a short PING was answered.

Without it a hanging backend costs a kickoff its deadline 14 times (crewai 1.15.30: 0.2 s became 20.2 s), and so does
one that answers each call just in time: calls that take half their deadline, one after the other, are a hang too.
"""

import threading
from collections.abc import Callable

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 2.0
"""Seconds between two tries while it hangs; doubled each time. Also how much later than the backend we recover."""
SLOW = 0.5
"""Seconds, or half the deadline if that is more: what is quicker may be the crew's own CPU."""


class Breaker:
    """Closed: ask. Open: do not. After a pause one caller may try."""

    def __init__(self, clock: Callable[[], float], deadline: float) -> None:
        """`deadline`: of one call, seconds."""
        self._clock = clock
        self._deadline = deadline
        self._lost = 0.0
        """Seconds that slow calls took since the last one that was not slow."""
        self._lock = threading.Lock()
        self._pause = 0.0
        self._until = 0.0
        self.why = ""
        """What opened it, or ``."""

    @property
    def is_open(self) -> bool:
        """Whether a call needs a successful try first."""
        return bool(self._pause)

    def may_try(self) -> bool:
        """Whether this caller is the one that tries now; others keep failing meanwhile."""
        with self._lock:
            if self._clock() < self._until:
                return False
            self._until = self._clock() + self._pause
            return True

    def hopeful(self) -> None:
        """The next caller may try at once, however short ago the last try was."""
        with self._lock:
            self._until, self._lost = 0.0, 0.0

    def answered(self, seconds: float) -> None:
        """A call was answered after so long."""
        if seconds < max(SLOW, self._deadline / 2):
            self.closed()
            return
        with self._lock:
            self._lost += seconds
            lost = self._lost
        if lost >= self._deadline:
            self.opened(f"its last answers took {lost:.1f} s")

    def opened(self, why: str) -> None:
        """A call hung, or a try did."""
        with self._lock:
            self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
            self._until = self._clock() + self._pause
            self.why = why

    def closed(self) -> None:
        """It answered, and soon."""
        if self._pause or self._lost:
            with self._lock:
                self._pause, self._until, self._lost, self.why = 0.0, 0.0, 0.0, ""
