"""The kickoffs in this server's slots: started, watched, stopped, and their ends brought to Redis.

In: claimed kickoffs, idle slots, frames and deaths of slots. Out: `run` frames; ends, or kickoffs given back, in Redis.
`claiming` gets them out of the queue, `stopping` says how one that runs is stopped.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from crew_runtime.contract import frames
from crew_runtime.contract.replica_reasons import KickoffReason
from crew_server.errors import BackendError
from crew_server.execution import stopping
from crew_server.execution.kickoff import RunningKickoff
from crew_server.execution.progress import Keeper, run_fields
from crew_server.execution.telling import Teller
from crew_server.logs import Log, bind
from crew_server.metrics import Metrics
from crew_server.queue import human, state
from crew_server.queue.queue import FENCED, Queue, Watched
from crew_server.settings import Settings
from crew_server.worker.slots import Slots

log = Log(__name__)
T = TypeVar("T")

WATCH_EVERY = 0.25
"""A cancel by another replica is seen at the latest so late; the rest of its second is for the kill."""
RECORD_RETRY = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Pauses before an end is written again; the last one for ever."""
ENDED_ELSEWHERE = KickoffReason.ENDED_ELSEWHERE


@dataclass(frozen=True)
class Listeners:
    """Whom to tell."""

    on_end: Callable[[RunningKickoff], None]
    """It has ended here, and Redis took the end."""
    on_told: Callable[[RunningKickoff], None]
    """Redis has something more that it told."""
    on_recorded: Callable[[str], None]
    """Redis knows about the end of the kickoff with this id, or has given it to somebody else."""


class Dispatcher:
    """The kickoffs that run in this server."""

    def __init__(self, settings: Settings, slots: Slots, queue: Queue, metrics: Metrics, listeners: Listeners) -> None:
        self._settings = settings
        self._slots = slots
        self._queue = queue
        self._metrics = metrics
        self._listeners = listeners
        self._known: dict[str, RunningKickoff] = {}
        self.teller = Teller(queue, self._known.values, listeners.on_told)
        self.keeper = Keeper(queue, self._known.values)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    # -- what others ask ------------------------------------------------------------------------------------------

    @property
    def running(self) -> int:
        """Kickoffs in a slot."""
        return len(list(self.unfinished()))

    @property
    def free(self) -> int:
        """How many more could start at once."""
        return self._slots.free

    def get(self, kickoff_id: str) -> RunningKickoff | None:
        """A kickoff of this server whose end is not in Redis yet."""
        return self._known.get(kickoff_id)

    def start(self, claim: state.Claim, tasks: int | None) -> None:
        """Run a claimed kickoff; one for which no slot is left any more is given back."""
        slot_memory = self._settings.slot_memory
        kickoff = RunningKickoff(
            claim, tasks, slot_memory, self._metrics, self._over, self.teller.rounds.wake, self.keeper.rounds.wake
        )
        request = claim.request
        self._known[kickoff.id] = kickoff
        self._idle.clear()
        child = self._slots.take(kickoff, request.session_id)
        if child is None:
            kickoff.reported.set()
            kickoff.leave(KickoffReason.NO_SLOT)
            self._spawn(self._give_back(kickoff, lost=False))
            return
        kickoff.child = child
        self._metrics.waited.observe(claim.waited)
        kickoff.timer = asyncio.get_running_loop().call_later(
            request.timeout, self.cancel, kickoff, state.timed_out(request.timeout)
        )
        self._slots.tell(
            child,
            frames.RUN,
            id=request.kickoff_id,
            inputs=request.inputs,
            session=request.session_id,
            attempt=claim.attempt,
            deadline=request.timeout,
            resume=claim.resume and asdict(claim.resume),
            **run_fields(claim, keep=self._settings.retry_lost),
        )
        fields = {"kickoff_id": kickoff.id, "session_id": request.session_id, "attempt": claim.attempt}
        log.info("kickoff started", pid=child.pid, **fields)

    def cancel(self, kickoff: RunningKickoff, outcome: state.Outcome) -> None:
        """End a kickoff and stop its slot, unless it is over."""
        if kickoff.decide(outcome):
            self._spawn(self._stop(kickoff))

    async def wait_idle(self, seconds: float) -> bool:
        """Whether every kickoff is over, and Redis knows, within `seconds`."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def wait_ended(self, seconds: float) -> bool:
        """Whether the processes of kickoffs that are over have ended within `seconds`."""
        return await self._slots.ended(seconds)

    def unfinished(self) -> Iterable[RunningKickoff]:
        """Kickoffs that are not over."""
        return [one for one in self._known.values() if not one.over]

    def pending(self) -> int:
        """Kickoffs that are not over, or whose end is not in Redis."""
        return len(self._known)

    async def watch(self) -> None:
        """For ever: renew leases, store progress, notice what others did to our kickoffs."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            if running := list(self.unfinished()):
                await self._look(running)

    async def close(self) -> None:
        """Drop what still tries to write."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- the end of a kickoff -------------------------------------------------------------------------------------

    def _over(self, kickoff: RunningKickoff) -> None:
        outcome = kickoff.outcome
        if kickoff.child is not None and kickoff.reported.is_set():
            self._slots.done(kickoff.child)
        if outcome is None:
            return
        if outcome.lost and self._settings.retry_lost:
            self._spawn(self._give_back(kickoff, lost=outcome is not state.DRAINED))
            return
        if outcome.pause is not None:
            self._spawn(self._put_away(kickoff, outcome.pause))
            return
        self._metrics.duration.observe(kickoff.seconds)
        fields = {"kickoff_id": kickoff.id, "session_id": kickoff.request.session_id}
        seconds = round(kickoff.seconds, 3)
        log.info("kickoff ended", status=outcome.status, reason=outcome.reason, seconds=seconds, **fields)
        self._spawn(self._record(kickoff, outcome))

    async def _record(self, kickoff: RunningKickoff, outcome: state.Outcome) -> None:
        """Write an end until Redis has it, or somebody else's; then let its session go on when its process is gone."""
        end_id, fields, gone = uuid.uuid4().hex, kickoff.last_fields(), kickoff.reported.is_set()

        async def write() -> tuple[bool, str]:
            await self.teller.tell(kickoff)
            return await self._queue.finish(kickoff.claim, outcome, end_id, fields, gone=gone, seconds=kickoff.seconds)

        applied, status = await self._written(kickoff, write)
        if applied:
            self._metrics.kickoffs.labels(outcome.status, outcome.reason).inc()
            self._listeners.on_end(kickoff)
        else:
            self._refused(kickoff, outcome.status, status)
        self._forget(kickoff)
        if not gone and status != FENCED:
            await self._settle(kickoff)

    async def _settle(self, kickoff: RunningKickoff) -> None:
        await kickoff.reported.wait()
        await self._written(kickoff, lambda: self._queue.settle(kickoff.claim))

    async def _give_back(self, kickoff: RunningKickoff, *, lost: bool) -> None:
        """Let it be claimed again, as soon as its process is gone."""
        why = kickoff.left or (kickoff.outcome.reason if kickoff.outcome else "")
        await kickoff.reported.wait()
        end_id = uuid.uuid4().hex

        async def write() -> tuple[bool, str]:
            await self.keeper.keep(kickoff)
            return await self._queue.release(kickoff.claim, end_id, lost=lost)

        applied, status = await self._moved(kickoff, write)
        if applied:
            self._metrics.given_back.labels(why).inc()
            log.warning("kickoff requeued", kickoff_id=kickoff.id, reason=why, status=status)
            if status == state.ERROR:
                self._metrics.kickoffs.labels(status, KickoffReason.TOO_MANY_ATTEMPTS).inc()
                self._listeners.on_end(kickoff)
        else:
            self._refused(kickoff, "given back", status)
        self._forget(kickoff)

    async def _put_away(self, kickoff: RunningKickoff, pause: human.Pause) -> None:
        """Let it wait for a person; its slot is free."""
        more = kickoff.pause_fields()

        async def write() -> tuple[bool, str]:
            await self.teller.tell(kickoff)
            await self.keeper.keep(kickoff)
            return await self._queue.pause(kickoff.claim, pause, more)

        applied, status = await self._moved(kickoff, write)
        if applied:
            self._metrics.paused.inc()
            self._listeners.on_told(kickoff)
            log.info(
                "kickoff waits for human input",
                kickoff_id=kickoff.id,
                task_id=pause.task_id,
                round=pause.asked["round"],
            )
        else:
            self._refused(kickoff, state.PENDING, status)
        self._forget(kickoff)

    async def _moved(
        self, kickoff: RunningKickoff, write: Callable[[], Awaitable[tuple[bool, str]]]
    ) -> tuple[bool, str]:
        """Write that it is not this server's any more."""
        applied, status = await self._written(kickoff, write)
        if not applied and not status:
            # Redis lost it: it has to be there before it can go elsewhere.
            await self._written(kickoff, lambda: self._queue.restore(kickoff.claim, kickoff.seconds, {}))
            applied, status = await self._written(kickoff, write)
        return applied, status

    async def _written(self, kickoff: RunningKickoff, write: Callable[[], Awaitable[T]]) -> T:
        pauses = iter(RECORD_RETRY)
        while True:
            try:
                return await write()
            except BackendError as error:
                log.warning("kickoff's end not written yet", kickoff_id=kickoff.id, error=error.message)
            except Exception as error:
                # Nothing may lose an end: it stays with this server, which tells it, and is tried again.
                text = "kickoff's end not written, by a fault of the server"
                log.error(text, kickoff_id=kickoff.id, exc_info=error)  # noqa: TRY400 - our Log takes it so
            await asyncio.sleep(next(pauses, RECORD_RETRY[-1]))

    def _refused(self, kickoff: RunningKickoff, ours: str, stored: str) -> None:
        if stored == FENCED:
            self._metrics.stale.inc()
            log.warning(
                "stale end of a kickoff refused", kickoff_id=kickoff.id, attempt=kickoff.claim.attempt, ours=ours
            )
        else:
            self._metrics.late.inc()
            log.warning("kickoff had ended otherwise", kickoff_id=kickoff.id, ours=ours, stored=stored)

    def _forget(self, kickoff: RunningKickoff) -> None:
        kickoff.recorded.set()
        if kickoff.child is not None:
            self._slots.stored(kickoff.child, kickoff.id, quick=kickoff.stopped or not kickoff.reported.is_set())
        if self._known.get(kickoff.id) is kickoff:
            del self._known[kickoff.id]
        self._listeners.on_recorded(kickoff.id)
        if not self._known:
            self._idle.set()

    # -- what others did ------------------------------------------------------------------------------------------

    async def _look(self, running: list[RunningKickoff]) -> None:
        patches = [one.take_unsaved() for one in running]
        try:
            seen = await self._queue.watch(
                [Watched(one.id, one.claim.attempt, patch) for one, patch in zip(running, patches, strict=True)]
            )
        except BackendError:
            # The health check says so; what was not stored goes with the next look.
            for kickoff, patch in zip(running, patches, strict=True):
                kickoff.untake(patch)
            return
        for kickoff, status in zip(running, seen, strict=True):
            if status == FENCED:
                self._fenced(kickoff)
            elif status in state.ENDS:
                self._ended_elsewhere(kickoff, status)
            elif not status and not kickoff.over:
                # Redis came back without it, or with an older state: its server knows everything.
                await self._restore(kickoff)

    def _fenced(self, kickoff: RunningKickoff) -> None:
        """Another server has it: this one was silent for too long. Nothing that its slot does may come after this."""
        if kickoff.leave(KickoffReason.FENCED):
            self._metrics.stale.inc()
            log.error(
                "kickoff was taken over by another replica: its slot is killed",
                kickoff_id=kickoff.id,
                attempt=kickoff.claim.attempt,
            )
            if kickoff.child is not None:
                self._slots.kill(kickoff.child)
            self._forget(kickoff)

    def _ended_elsewhere(self, kickoff: RunningKickoff, status: str) -> None:
        if kickoff.leave(ENDED_ELSEWHERE):
            log.info("kickoff was ended by another replica", kickoff_id=kickoff.id, status=status)
            self._forget(kickoff)
            self._spawn(self._stop_and_settle(kickoff))

    async def _restore(self, kickoff: RunningKickoff) -> None:
        try:
            if await self._queue.restore(kickoff.claim, kickoff.seconds, kickoff.told()):
                log.warning("kickoff written again: Redis had lost it", kickoff_id=kickoff.id)
        except BackendError as error:
            log.debug("kickoff not stored yet", kickoff_id=kickoff.id, error=error.message)

    async def _stop(self, kickoff: RunningKickoff) -> None:
        with bind(kickoff_id=kickoff.id):
            await stopping.stop(self._slots, kickoff)

    async def _stop_and_settle(self, kickoff: RunningKickoff) -> None:
        await self._stop(kickoff)
        await self._settle(kickoff)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a step of a kickoff failed by a fault of the server", exc_info=error)
