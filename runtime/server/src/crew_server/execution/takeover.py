"""Looks after the whole crew's queue: takes over what dead servers left, and knows how many kickoffs wait.

Every server does so; a script decides who is first. With `queue.LEASE_MS` and `queue.SUSPICION_MS` a kickoff starts
elsewhere at the latest 8 s after its server was killed.
"""

import asyncio
from collections.abc import Callable

from crew_server.errors import BackendError
from crew_server.logs import Log
from crew_server.metrics import Metrics
from crew_server.queue import queue, state
from crew_server.queue.queue import Look, Queue, Taken

log = Log(__name__)

EVERY = 0.5
assert queue.LEASE_MS + queue.SUSPICION_MS + 2000 * EVERY < 10_000  # noqa: S101 - what the documentation promises


class Takeover:
    """The loop, and what it saw last."""

    def __init__(
        self,
        queue_: Queue,
        metrics: Metrics,
        patience: float,
        on_end: Callable[[str, state.Outcome], None],
        on_dead_letters: Callable[[int], None],
    ) -> None:
        self._queue = queue_
        self._metrics = metrics
        self._ends = {
            "failed": state.REPLICA_LOST,
            "parked": state.too_many_attempts(queue.MOST_LOSSES),
            "unanswered": state.unanswered(patience),
        }
        self._on_end = on_end
        """Called with the id of a kickoff that was ended here, and how."""
        self._on_dead_letters = on_dead_letters
        """Called with how many there are, when there are more than before."""
        self.seen = Look(0, 0.0, 0, 0, ())

    async def run(self) -> None:
        """Look for ever."""
        while True:
            before = self.seen.dead
            try:
                self.seen = await self._queue.look()
            except BackendError as error:
                log.debug("the queue cannot be checked", error=error.message)
            else:
                if self.seen.dead > before:
                    log.error("entries of Redis could not be read and were dead-lettered", total=self.seen.dead)
                    self._on_dead_letters(self.seen.dead)
                for taken in self.seen.taken:
                    self._tell(taken)
            await asyncio.sleep(EVERY)

    def _tell(self, taken: Taken) -> None:
        fields = {"kickoff_id": taken.kickoff_id, "session_id": taken.session_id, "attempt": taken.attempt}
        if taken.what == "unanswered":
            log.warning("kickoff given up: nobody answered", **fields)
        else:
            self._metrics.taken_over.labels(taken.what).inc()
            text = "kickoff taken over from a replica that is gone"
            log.warning(text, replica=taken.replica, what=taken.what, **fields)
        if outcome := self._ends.get(taken.what):
            self._metrics.kickoffs.labels(outcome.status, outcome.reason).inc()
            self._on_end(taken.kickoff_id, outcome)
