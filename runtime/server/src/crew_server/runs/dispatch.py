"""Gives kickoffs to slots, in the order of their arrival, and brings their ends to Redis.

In: accepted requests, idle slots, ends. Out: `run` frames, the state of each kickoff in Redis. `stopping` says how one
that runs is stopped.
"""

import asyncio
import collections
import uuid
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from crew_runtime.contract import frames
from crew_server.errors import BackendError, QueueFullError
from crew_server.logs import Log, bind
from crew_server.metrics import Metrics
from crew_server.runs import state, stopping
from crew_server.runs.kickoff import Kickoff
from crew_server.runs.store import RunStore, Watched
from crew_server.settings import Settings
from crew_server.worker.slots import Child, Slots

log = Log(__name__)

WATCH_EVERY = 0.25
"""A cancel by another replica is seen at the latest so late; the rest of its second is for the kill."""
RECORD_RETRY = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Pauses before an end is written again; the last one for ever."""
ENDED_ELSEWHERE = "EndedElsewhere"
"""The reason of an end that is in Redis already."""


class Dispatcher:
    """All kickoffs of this server."""

    def __init__(
        self, settings: Settings, slots: Slots, store: RunStore, metrics: Metrics, on_end: Callable[[Kickoff], None]
    ) -> None:
        self._settings = settings
        self._slots = slots
        self._store = store
        self._metrics = metrics
        self._on_end = on_end
        self._waiting: collections.deque[Kickoff] = collections.deque()
        self._known: dict[str, Kickoff] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    # -- what others ask ------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Kickoffs without a slot, those that are just being accepted included."""
        return sum(1 for one in self._known.values() if one.started_at is None and one.outcome is None)

    @property
    def running(self) -> int:
        """Kickoffs in a slot."""
        return sum(1 for one in self._known.values() if one.started_at is not None and one.outcome is None)

    def get(self, kickoff_id: str) -> Kickoff | None:
        """A kickoff whose end is not in Redis yet."""
        return self._known.get(kickoff_id)

    async def submit(self, request: state.Request) -> Kickoff:
        """Accept a kickoff: in Redis first, then in line. Raises QueueFullError, BackendError."""
        free = max(0, self._settings.concurrency - self._slots.busy)
        if self.waiting >= self._settings.queue_limit + free:
            text = f"all {self._settings.concurrency} slots are busy and {self.waiting} kickoffs wait"
            raise QueueFullError("QueueFull", text, retry_after=2)
        kickoff = Kickoff(request, self._settings.slot_memory, self._metrics, self._ended)
        # Counted before Redis is asked: two requests at once must not both take the last place.
        self._known[kickoff.id] = kickoff
        self._idle.clear()
        try:
            await self._store.accept(request)
        except BackendError as error:
            if self._settings.fail_closed:
                # It may have been written all the same; as no lease is renewed, it will read as ReplicaLost.
                self._forget(kickoff)
                raise
            log.warning("kickoff accepted without Redis", error=error.message)
        self._waiting.append(kickoff)
        self.pump()
        return kickoff

    def pump(self) -> None:
        """Start what waits, as long as there is a slot."""
        while self._waiting:
            if self._waiting[0].outcome is not None:
                self._waiting.popleft()
                continue
            child = self._slots.take(self._waiting[0])
            if child is None:
                return
            self._start(self._waiting.popleft(), child)

    def cancel(self, kickoff: Kickoff, outcome: state.Outcome) -> None:
        """End a kickoff and stop its slot, unless it has ended."""
        if kickoff.decide(outcome):
            self._spawn(self._stop(kickoff))

    async def wait_idle(self, seconds: float) -> bool:
        """Whether every kickoff has ended, and its end is in Redis, within `seconds`."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def unfinished(self) -> Iterable[Kickoff]:
        """Kickoffs that have not ended."""
        return [one for one in self._known.values() if one.outcome is None]

    def pending(self) -> int:
        """Kickoffs that have not ended, or whose end is not in Redis."""
        return len(self._known)

    async def watch(self) -> None:
        """For ever: renew leases, store progress, notice ends that others wrote."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            if running := list(self.unfinished()):
                await self._look(running)

    async def close(self) -> None:
        """Drop what still tries to write."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _start(self, kickoff: Kickoff, child: Child) -> None:
        request = kickoff.request
        kickoff.started(child)
        self._metrics.waited.observe(kickoff.started_at - kickoff.accepted_at)  # type: ignore[operator]
        kickoff.timer = asyncio.get_running_loop().call_later(
            request.timeout, self.cancel, kickoff, state.timed_out(request.timeout)
        )
        self._slots.tell(
            child,
            frames.RUN,
            id=request.kickoff_id,
            inputs=request.inputs,
            session=request.session_id,
            attempt=request.attempt,
            deadline=request.timeout,
        )
        log.info("kickoff started", kickoff_id=kickoff.id, session_id=request.session_id, pid=child.pid)

    def _ended(self, kickoff: Kickoff, outcome: state.Outcome) -> None:
        seconds = kickoff.ended_at - kickoff.started_at if kickoff.started_at and kickoff.ended_at else 0.0
        self._metrics.kickoffs.labels(outcome.status, outcome.reason).inc()
        if kickoff.started_at is not None:
            self._metrics.duration.observe(seconds)
        fields = {"kickoff_id": kickoff.id, "session_id": kickoff.request.session_id}
        log.info("kickoff ended", status=outcome.status, reason=outcome.reason, seconds=round(seconds, 3), **fields)
        self._on_end(kickoff)
        if kickoff.child is not None and kickoff.reported.is_set():
            self._slots.done(kickoff.child)
        if outcome.reason == ENDED_ELSEWHERE:
            self._forget(kickoff)
        else:
            self._spawn(self._record(kickoff, outcome))
        self.pump()

    async def _record(self, kickoff: Kickoff, outcome: state.Outcome) -> None:
        """Write an end until Redis has it, or somebody else's."""
        end_id, pauses = uuid.uuid4().hex, iter(RECORD_RETRY)
        while True:
            try:
                applied, status = await self._store.finish(kickoff.request, outcome, end_id, kickoff.last_fields())
                break
            except BackendError as error:
                pause = next(pauses, RECORD_RETRY[-1])
                log.warning("kickoff's end not written yet", kickoff_id=kickoff.id, error=error.message)
                await asyncio.sleep(pause)
        if not applied:
            self._metrics.late.inc()
            log.warning("kickoff had ended otherwise", kickoff_id=kickoff.id, ours=outcome.status, stored=status)
        self._forget(kickoff)

    def _forget(self, kickoff: Kickoff) -> None:
        kickoff.recorded.set()
        self._known.pop(kickoff.id, None)
        if not self._known:
            self._idle.set()

    async def _stop(self, kickoff: Kickoff) -> None:
        with bind(kickoff_id=kickoff.id):
            await stopping.stop(self._slots, kickoff)

    async def _look(self, running: list[Kickoff]) -> None:
        patches = [one.take_unsaved() for one in running]
        try:
            seen = await self._store.watch(
                [Watched(one.id, patch) for one, patch in zip(running, patches, strict=True)]
            )
        except BackendError:
            # The health check says so; what was not stored goes with the next look.
            for kickoff, patch in zip(running, patches, strict=True):
                kickoff.untake(patch)
            return
        for kickoff, status in zip(running, seen, strict=True):
            if status in state.ENDS or status == "fenced":
                log.info("kickoff was ended by another replica", kickoff_id=kickoff.id, status=status)
                self.cancel(kickoff, state.Outcome(status, ENDED_ELSEWHERE))
            elif not status and kickoff.outcome is None:
                # Redis came back without it, or never had it (Degrade): the owner knows everything.
                await self._accept_again(kickoff)

    async def _accept_again(self, kickoff: Kickoff) -> None:
        kickoff.unstored()
        try:
            await self._store.accept(kickoff.request)
        except BackendError as error:
            log.debug("kickoff not stored yet", kickoff_id=kickoff.id, error=error.message)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
