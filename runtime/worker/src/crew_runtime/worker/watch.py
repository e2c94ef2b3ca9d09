"""What the guard saw fail during a kickoff or a proof: told to the server at once, and judged at the end.

CrewAI swallows the failures of its memory; this is why ours are not silent.
"""

import contextlib
import threading
from collections.abc import Iterator

from crew_runtime.contract import frames
from crew_runtime.guard import ledger
from crew_runtime.worker.channel import Channel

MAX_TOLD = 20
"""Frames a kickoff; with the backend down, a kickoff with memory fails 14 times."""


class Failures:
    """The failures of one kickoff; filled from any thread."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self.first = ""
        self.count = 0

    def add(self, failure: "ledger.Failure") -> None:
        """One failed call of the backend."""
        with self._lock:
            self.count += 1
            self.first = self.first or f"{failure.op}: {failure.error}"
            told = self.count <= MAX_TOLD
        if told:
            self._channel.send(frames.GUARD, op=failure.op, kind=failure.kind, error=failure.error)


@contextlib.contextmanager
def failures(channel: Channel) -> Iterator[Failures]:
    """Collect what fails while the context is open."""
    found = Failures(channel)
    unsubscribe = ledger.subscribe(found.add)
    try:
        yield found
    finally:
        unsubscribe()
