"""Brings what kickoffs tell of themselves to Redis, where any replica follows it and webhooks are delivered from.

In: `RunningKickoff.untold`. Out: the kickoff's stream of events. What is told is in Redis before the end is.
"""

from collections.abc import Callable, Iterable

from crew_server.execution.kickoff import RunningKickoff
from crew_server.execution.rounds import Rounds
from crew_server.queue.queue import Queue

TOGETHER = 0.02
"""Seconds that events wait for others: they come in bursts."""
BATCH = 100


class Teller:
    """The events of this server's kickoffs."""

    def __init__(
        self, queue: Queue, running: Callable[[], Iterable[RunningKickoff]], on_told: Callable[[RunningKickoff], None]
    ) -> None:
        self._queue = queue
        self._on_told = on_told
        self.rounds = Rounds(running, self.tell, "events not written yet", TOGETHER)

    async def tell(self, kickoff: RunningKickoff) -> None:
        """All that this kickoff has to tell. Raises BackendError; what was not told stays."""
        async with kickoff.telling:
            while kickoff.untold:
                events = kickoff.untold[:BATCH]
                if not await self._queue.tell(kickoff.claim, events, kickoff.told_events):
                    kickoff.untold.clear()  # it is no longer ours: nobody would know whose they are
                    return
                del kickoff.untold[: len(events)]
                kickoff.told_events += len(events)
                self._on_told(kickoff)
