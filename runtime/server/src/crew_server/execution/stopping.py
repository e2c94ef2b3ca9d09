"""Stops a kickoff that runs, for real and within a second: by SIGKILL to its slot, which costs no other kickoff.

A slot that reacts to the courtesy before the kill has stopped its crew, and ends by itself: exit handlers send what
libraries have gathered.

An end is decided, and on its way to Redis, before the slot hears of it. SIGTERM comes first only as a courtesy: it let
no stuck tool end (measured on 4 of 4: sleep, spin, regex, swallowed exceptions), but well-behaved code may clean up.
"""

from crew_runtime.contract import frames
from crew_server.execution.kickoff import RunningKickoff
from crew_server.waits import within
from crew_server.worker.slots import Slots

RECORD_FIRST = 0.2
"""Seconds that the kill waits for Redis to have the end; a Redis that is away must not keep a crew alive."""
COURTESY = 0.5
"""Seconds from SIGTERM to SIGKILL, for a slot that could react, or whose exit handlers send what was measured."""
COULD_REACT = 2.5
"""A slot that was heard so lately runs its interpreter: it beats once a second."""
assert RECORD_FIRST + COURTESY < 0.75  # noqa: S101 - with WATCH_EVERY the whole is under a second


async def stop(slots: Slots, kickoff: RunningKickoff) -> None:
    """Kill the slot of a kickoff that is over. Nothing to do while it has none."""
    child = kickoff.child
    if child is None:
        kickoff.reported.set()
        return
    kickoff.stopped = True
    if kickoff.outcome is not None and not kickoff.outcome.lost:
        await within(kickoff.recorded, RECORD_FIRST)
    if slots.heard_within(child, COULD_REACT) and not kickoff.reported.is_set():
        slots.tell(child, frames.TERM)
        await within(kickoff.reported, COURTESY)
        if kickoff.reported.is_set() and slots.leave(child):
            return
    slots.kill(child)
