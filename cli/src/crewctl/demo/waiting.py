"""Waiting for the state of the world, with a name and a deadline for each wait."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from crewctl.errors import CrewctlError

Seen = TypeVar("Seen")

POLL = 0.1
"""Seconds between two looks."""


@dataclass(frozen=True)
class Deadline:
    """How long to wait for what."""

    what: str
    seconds: float


# A cold start imports CrewAI in every replica: 3 to 10 s of CPU each, on two cores and without compiled bytecode.
READY = Deadline("the crew to be Ready", 120)
REPLACED = Deadline("new replicas in place of the deleted ones", 120)
SCALED = Deadline("four replicas to be ready", 120)
NOTICED = Deadline("MemoryReady to become False", 10)
RECOVERED = Deadline("the crew to be Ready again", 60)
ANSWERED = Deadline("a replica to answer", 60)


class WaitedInVainError(CrewctlError):
    """What was waited for did not come; `seen` is the last that was seen."""

    def __init__(self, deadline: Deadline, seen: object) -> None:
        super().__init__(f"waited {deadline.seconds:g} s for {deadline.what}; last seen: {seen}")


def wait_for(deadline: Deadline, look: Callable[[], tuple[Seen | None, object]]) -> Seen:
    """What `look` finds. It returns (found or None, what it saw instead); raises WaitedInVainError at the deadline."""
    ends = time.monotonic() + deadline.seconds
    while True:
        found, seen = look()
        if found is not None:
            return found
        if time.monotonic() >= ends:
            raise WaitedInVainError(deadline, seen)
        time.sleep(POLL)
