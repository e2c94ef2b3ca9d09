"""How much memory one kickoff may take: a watchdog for growth, and RLIMIT_DATA against the one huge allocation.

The watchdog sees what was taken and kills; RLIMIT_DATA refuses, so that a 2 GB allocation becomes a MemoryError which
the agent sees as a failed tool, and the kickoff goes on.
"""

import resource
from dataclasses import dataclass

from crew_runtime.worker import processes

MIB = 1024 * 1024
WATCH_EVERY, WATCH_AT_REST = 0.05, 0.4
"""Seconds between two looks while memory grows, and when nothing does. One look at one slot takes 0.02 ms, but a
replica that has nothing to do would spend most of its time on them. What a slot takes before it is seen to grow is
bounded by RLIMIT_DATA."""
VIRTUAL_SLACK = 512 * MIB
"""RLIMIT_DATA counts virtual memory: 8 MiB for the stack of each thread (CrewAI's pools have up to 30) and the arenas
of the allocator. With a budget of 1 GiB a 2 GB allocation is refused, while the watchdog stops slow growth at 1 GiB."""


@dataclass
class Watched:
    """The memory of one child as the watchdog saw it."""

    pid: int
    budget: int
    """Bytes."""
    baseline: int | None = None
    """Bytes when it became ready; None until then: what loading takes is not the kickoff's."""
    taken: int = 0
    """Bytes at the last look, since it started."""
    grew: bool = False
    """Whether the last look found more than the one before."""

    def start(self) -> None:
        """Take what it has now as what it started with."""
        self.baseline = processes.anonymous(self.pid)

    def exceeded(self) -> bool:
        """Look: whether it has taken more than its budget since it started."""
        if self.baseline is None:
            return False
        before, self.taken = self.taken, processes.anonymous(self.pid) - self.baseline
        self.grew = self.taken > before
        return self.taken > self.budget


def next_look(last: float, *, grew: bool) -> float:
    """Seconds until the next look at all slots, after one that came `last` seconds after the one before it."""
    return WATCH_EVERY if grew else min(2 * last, WATCH_AT_REST)


def cap_data(budget: int) -> None:
    """Let this process' writable memory grow by `budget` bytes and the slack, and no further."""
    wanted = processes.data_size() + budget + VIRTUAL_SLACK
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    for limit in (soft, hard):
        if limit != resource.RLIM_INFINITY:
            wanted = min(wanted, limit)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
