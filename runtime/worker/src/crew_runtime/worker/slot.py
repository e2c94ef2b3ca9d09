"""A slot: a process that runs one kickoff, answered by exactly one `result`, `paused` or `error`, and then ends.

Only where the crew's author asked for it does it run more than one, as long as each leaves it clean. What ends it from
outside is SIGKILL: nothing softer stops a tool that sleeps, spins or swallows exceptions.
"""

import contextvars
import gc
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import crew_runtime
from crew_runtime.contract import frames, messages
from crew_runtime.crewai.human_input import flow_feedback, reviews
from crew_runtime.crewai.human_input.reviews import Pause
from crew_runtime.crewai.kickoffs import bus, kickoff
from crew_runtime.crewai.loading.load import Loaded
from crew_runtime.crewai.outputs import tracebacks
from crew_runtime.crewai.outputs.results import Output
from crew_runtime.crewai.resuming.tasks import Course
from crew_runtime.crewai.state import registration, unseen
from crew_runtime.errors import BackendError
from crew_runtime.sessions import binding
from crew_runtime.worker import child, clean, ending, limits, watch
from crew_runtime.worker.channel import Channel
from crew_runtime.worker.logs import Log
from crew_runtime.worker.settings import WorkerSettings

log = Log(__name__)

FLUSH_DEADLINE = 5.0
"""For handlers of events that still run when the kickoff has ended."""
SEND_DEADLINE = 30.0
"""For a server that does not take the result."""
STORED_DEADLINE = 30.0
"""Seconds to wait for the word that the answer is in Redis; with Redis away it may never come."""
MOST_HISTORY = 64_000
"""Characters of what was said before that a prompt gets; the oldest messages that do not fit are left out."""
DEGRADED = "degraded"


class _Terminated(BaseException):
    """The server's courtesy before the kill: user code's `finally` blocks may run."""


@dataclass(frozen=True)
class Job:
    """One `run` frame."""

    id: str
    session: str
    inputs: Mapping[str, Any]
    attempt: int
    ends_at: float
    """On the monotonic clock; the server kills at that time."""
    answer: reviews.HumanAnswer | None = None
    """A person's, to what an earlier attempt asked."""
    keep: bool = False
    """Whether an attempt after a loss would go on."""
    finished: tuple[Mapping[str, Any], ...] = ()
    """What earlier attempts have left for this one."""

    @property
    def degraded(self) -> bool:
        """Whether the memory of an attempt before failed."""
        before = [self.answer.saved] if self.answer else []
        return any(one.get("memory") == DEGRADED for one in (*before, *self.finished))

    @classmethod
    def of(cls, frame: frames.Frame) -> "Job":
        """Read it."""
        deadline = float(frame.get("deadline") or 0) or float("inf")
        resume = frame.get("resume")
        return cls(
            id=str(frame["id"]),
            session=str(frame["session"]),
            inputs=dict(frame.get("inputs") or {}),
            attempt=int(frame.get("attempt") or 1),
            ends_at=time.monotonic() + deadline,
            answer=resume
            and reviews.HumanAnswer(dict(resume["saved"]), str(resume["feedback"]), resume["approved"] is True),
            keep=frame.get("keep") is True,
            finished=tuple(frame.get("finished") or ()),
        )


@dataclass(frozen=True)
class SlotAnswer:
    """The frame that ends a kickoff."""

    type: str
    fields: Mapping[str, Any]
    fatal: str = ""
    """Why the slot cannot be used again, whatever it looks like."""


class Slot:
    """A warm process with a loaded crew. `prepare` makes it warm, before it tells anybody that it is."""

    def __init__(
        self,
        channel: Channel,
        task: child.Task,
        loaded: Loaded,
        settings: WorkerSettings,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._channel = channel
        self._task = task
        self._loaded = loaded
        self._settings = settings
        self._prepare = prepare
        self._kickoffs = 0

    def serve(self) -> int:
        """Run a kickoff, or several while they leave the slot clean. The answer is the exit code, if it gets so far."""
        flow_feedback.register()
        bus.listen(self._channel.event)
        unseen.listen()
        bus.start()
        self._prepare()
        signal.signal(signal.SIGTERM, self._terminate)
        limits.cap_data(self._settings.slot_memory)
        gc.collect()
        gc.freeze()
        before = clean.footprint() if self._settings.reuses else None
        child.tell_zygote(self._task)
        self._channel.send(frames.READY)
        while True:
            frame = self._channel.take()
            if frame["t"] == frames.EXIT:
                ending.end(0, quick=False)
            if frame["t"] != frames.RUN:
                continue
            job = Job.of(frame)
            why = self._kickoff(job)
            if before is None:
                return self._end(job)
            if not why:
                # A crew is full of cycles; what is left after this is what stays.
                gc.collect()
                after = clean.footprint()
                if self._kickoffs == 1:
                    before = clean.settled(before, after, self._settings.slot_memory)
                why = self._unclean(before, after)
            told = self._channel.send(frames.IDLE, reusable=not why, reason=why or None)
            if why:
                told.wait(SEND_DEADLINE)
                return self._end(job)

    def _end(self, job: Job) -> int:
        """End as the interpreter would, once the answer is safe."""
        until = time.monotonic() + STORED_DEADLINE
        quick = False
        while (left := until - time.monotonic()) > 0:
            frame = self._channel.take_within(left)
            if frame is not None and frame["t"] == frames.STORED and frame.get("id") == job.id:
                quick = frame.get("quick") is True
                break
        ending.end(0, quick=quick)
        return 0

    def _kickoff(self, job: Job) -> str:
        """Run, answer, and say why the slot must end, or ``."""
        self._kickoffs += 1
        log.info("kickoff started", kickoff_id=job.id, session_id=job.session, attempt=job.attempt)
        begun = time.monotonic()
        self._channel.start_kickoff()
        try:
            answer = contextvars.copy_context().run(self._answer, job)
        except _Terminated:
            answer = SlotAnswer(frames.ERROR, {"kind": "exit", "message": "the kickoff was asked to end"}, "terminated")
        self._channel.busy = False
        self._send(job, answer)
        log.info(
            "kickoff ended",
            kickoff_id=job.id,
            session_id=job.session,
            outcome=answer.fields["kind"] if answer.type == frames.ERROR else answer.type,
            seconds=round(time.monotonic() - begun, 3),
        )
        return answer.fatal or ("it went on from a pause" if job.answer else "")

    def _answer(self, job: Job) -> SlotAnswer:
        if (registered := registration.registered()) is not None:
            registered.guard.begin()
        with binding.bind(job.session, whole_process=True), watch.failures(self._channel) as failed:
            answer = self._run(job, failed)
            bus.flush(min(FLUSH_DEADLINE, max(0.0, job.ends_at - time.monotonic())))
        return self._judged(job, answer, failed)

    def _judged(self, job: Job, answer: SlotAnswer, failed: watch.Failures) -> SlotAnswer:
        """A result whose memory failed is no result, or a degraded one, as the spec says; a pause is none either."""
        if answer.type == frames.ERROR or not (failed.count or job.degraded):
            return answer
        if not failed.count or not self._settings.fail_closed:
            fields = {**answer.fields, "memory": DEGRADED}
            if answer.type == frames.PAUSED:
                fields["saved"] = {**answer.fields["saved"], "memory": DEGRADED}
            return SlotAnswer(answer.type, fields)
        message = f"the crew's memory failed {failed.count} times, first: {failed.first}"
        result = dict(answer.fields) if answer.type == frames.RESULT else None
        fields = {"kind": "memory", "message": message, "traceback": None, "result": result}
        return SlotAnswer(frames.ERROR, fields)

    def _run(self, job: Job, failed: watch.Failures) -> SlotAnswer:
        try:
            course, process_ends = self._course(job, failed), not self._settings.reuses
            output = kickoff.run(
                self._loaded,
                job.inputs,
                job.session,
                job.answer,
                course,
                declared=self._settings.inputs,
                process_ends=process_ends,
                history=self._history if self._settings.history_turns else None,
            )
        except _Terminated:
            raise
        except SystemExit as error:
            message = f"the crew ended its process: sys.exit({error.code!r})"
            return _error("exit", message, tracebacks.users(error), fatal="the crew called sys.exit")
        except Exception as error:  # noqa: BLE001 - a crew may raise anything, and it is its answer
            return _raised(error)
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt, CancelledError and the user's own
            return _raised(error, fatal=f"the crew raised {type(error).__name__}")
        return _paused(output) if isinstance(output, Pause) else _result(output)

    def _history(self) -> str:
        """For the crew's texts. Raises BackendError, unless a crew goes on without its memory."""
        try:
            return messages.transcript(crew_runtime.history(self._settings.history_turns), MOST_HISTORY)
        except BackendError:
            if self._settings.fail_closed:
                raise
            return ""

    def _course(self, job: Job, failed: watch.Failures) -> Course:
        def keep(index: int, row: Mapping[str, Any]) -> None:
            memory = {"memory": DEGRADED} if failed.count or job.degraded else {}
            self._channel.send(frames.FINISHED, id=job.id, index=index, row={**row, **memory})

        def begun(task: str | None, completed: int, why: str) -> None:
            fields = {"kickoff_id": job.id, "attempt": job.attempt, "completed": completed}
            log.info("kickoff starts over" if why else "kickoff goes on", task=task, reason=why or None, **fields)
            self._channel.send(frames.BEGUN, id=job.id, task=task, completed=completed, why=why)

        return Course(job.attempt, job.finished, keep if job.keep else None, begun)

    def _send(self, job: Job, answer: SlotAnswer) -> None:
        try:
            taken = self._channel.send(answer.type, id=job.id, **answer.fields)
        except frames.FrameError as error:
            too_long = _error("exception", f"the result cannot be sent: {error}")
            taken = self._channel.send(too_long.type, id=job.id, **too_long.fields)
        taken.wait(SEND_DEADLINE)

    def _terminate(self, *_: object) -> None:
        # CrewAI runs tools in a pool, which the main thread joins on its way out: a tool that sleeps holds it.
        ending.end_unless(lambda: not self._channel.busy)
        raise _Terminated

    def _unclean(self, before: clean.Footprint, after: clean.Footprint) -> str:
        known = bus.threads() | kickoff.known_threads(self._loaded)
        return clean.unclean(before, after, known, self._kickoffs)


def _result(output: Output) -> SlotAnswer:
    told = {"output": output.text, "json": output.json, "tasks": output.tasks, "usage": output.usage}
    return SlotAnswer(frames.RESULT, {**told, "memory": "ok"})


def _paused(pause: Pause) -> SlotAnswer:
    return SlotAnswer(frames.PAUSED, {**asdict(pause), "memory": "ok"})


def _error(kind: str, message: str, trace: str | None = None, fatal: str = "") -> SlotAnswer:
    return SlotAnswer(frames.ERROR, {"kind": kind, "message": message, "traceback": trace}, fatal)


def _raised(error: BaseException, fatal: str = "") -> SlotAnswer:
    return SlotAnswer(frames.ERROR, {"kind": "exception", **tracebacks.of_exception(error)}, fatal)
