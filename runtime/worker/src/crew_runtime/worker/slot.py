"""A slot: one kickoff at a time, each answered by exactly one `result`, `paused` or `error`, then clean or gone.

What ends it from outside is SIGKILL: nothing softer stops a tool that sleeps, spins or swallows exceptions.
"""

import contextvars
import gc
import signal
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from crew_runtime.contract import frames
from crew_runtime.crewai import bus, canned, flow_feedback, human_input, inputs, kickoff, seams, unseen
from crew_runtime.crewai.human_input import Pause
from crew_runtime.crewai.kickoff import Output
from crew_runtime.crewai.load import Loaded
from crew_runtime.sessions import binding
from crew_runtime.worker import child, clean, limits, watch
from crew_runtime.worker.channel import Channel
from crew_runtime.worker.logs import Log
from crew_runtime.worker.settings import WorkerSettings

log = Log(__name__)

FLUSH_DEADLINE = 5.0
"""For handlers of events that still run when the kickoff has ended."""
SEND_DEADLINE = 30.0
"""For a server that does not take the result."""
TRACEBACK_LINES = 60
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
    answer: human_input.Answer | None = None
    """A person's, to what an earlier attempt asked."""

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
            and human_input.Answer(dict(resume["saved"]), str(resume["feedback"]), resume["approved"] is True),
        )


@dataclass(frozen=True)
class Answer:
    """The frame that ends a kickoff."""

    type: str
    fields: Mapping[str, Any]
    fatal: str = ""
    """Why the slot cannot be used again, whatever it looks like."""


class Slot:
    """A warm process with a loaded crew."""

    def __init__(self, channel: Channel, task: child.Task, loaded: Loaded, settings: WorkerSettings) -> None:
        self._channel = channel
        self._task = task
        self._loaded = loaded
        self._settings = settings
        self._kickoffs = 0

    def serve(self) -> int:
        """Take kickoffs until one leaves the slot unclean. The answer is the exit code."""
        canned.kickoff(memory=self._loaded.uses_memory)
        flow_feedback.register()
        bus.listen(self._channel.event)
        unseen.listen()
        signal.signal(signal.SIGTERM, _terminate)
        limits.cap_data(self._settings.slot_memory)
        gc.collect()
        gc.freeze()
        before = clean.footprint()
        child.tell_zygote(self._task)
        self._channel.send(frames.READY)
        while True:
            frame = self._channel.take()
            if frame["t"] != frames.RUN:
                continue
            why = self._kickoff(Job.of(frame))
            if not why:
                # The copied crew is full of cycles; what is left after this is what stays.
                gc.collect()
                after = clean.footprint()
                if self._kickoffs == 1:
                    before = clean.settled(before, after, self._settings.slot_memory)
                why = self._unclean(before, after)
            told = self._channel.send(frames.IDLE, reusable=not why, reason=why or None)
            if why:
                told.wait(SEND_DEADLINE)
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
            answer = Answer(frames.ERROR, {"kind": "exit", "message": "the kickoff was asked to end"}, "terminated")
        self._channel.busy = False
        self._send(job, answer)
        log.info(
            "kickoff ended",
            kickoff_id=job.id,
            session_id=job.session,
            outcome=answer.fields["kind"] if answer.type == frames.ERROR else answer.type,
            seconds=round(time.monotonic() - begun, 3),
        )
        return answer.fatal

    def _answer(self, job: Job) -> Answer:
        if lacking := inputs.missing(self._loaded.inputs, job.inputs):
            return _error("inputs", f"missing inputs: {', '.join(lacking)}")
        if (registered := seams.registered()) is not None:
            registered.guard.begin()
        with binding.bind(job.session, whole_process=True), watch.failures(self._channel) as failed:
            answer = self._run(job)
            bus.flush(min(FLUSH_DEADLINE, max(0.0, job.ends_at - time.monotonic())))
        return self._judged(job, answer, failed)

    def _judged(self, job: Job, answer: Answer, failed: watch.Failures) -> Answer:
        """A result whose memory failed is no result, or a degraded one, as the spec says; a pause is none either."""
        before = job.answer is not None and job.answer.saved.get("memory") == DEGRADED
        if answer.type == frames.ERROR or not (failed.count or before):
            return answer
        if not failed.count or not self._settings.fail_closed:
            fields = {**answer.fields, "memory": DEGRADED}
            if answer.type == frames.PAUSED:
                fields["saved"] = {**answer.fields["saved"], "memory": DEGRADED}
            return Answer(answer.type, fields)
        message = f"the crew's memory failed {failed.count} times, first: {failed.first}"
        result = dict(answer.fields) if answer.type == frames.RESULT else None
        fields = {"kind": "memory", "message": message, "traceback": None, "result": result}
        return Answer(frames.ERROR, fields)

    def _run(self, job: Job) -> Answer:
        try:
            output = kickoff.run(self._loaded, job.inputs, job.session, job.answer)
        except _Terminated:
            raise
        except SystemExit as error:
            message = f"the crew ended its process: sys.exit({error.code!r})"
            return _error("exit", message, _tail(error), fatal="the crew called sys.exit")
        except Exception as error:  # noqa: BLE001 - a crew may raise anything, and it is its answer
            return _error("exception", str(error) or repr(error), _tail(error))
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt, CancelledError and the user's own
            return _error("exception", repr(error), _tail(error), fatal=f"the crew raised {type(error).__name__}")
        return _paused(output) if isinstance(output, Pause) else _result(output)

    def _send(self, job: Job, answer: Answer) -> None:
        try:
            taken = self._channel.send(answer.type, id=job.id, **answer.fields)
        except frames.FrameError as error:
            too_long = _error("exception", f"the result cannot be told: {error}")
            taken = self._channel.send(too_long.type, id=job.id, **too_long.fields)
        taken.wait(SEND_DEADLINE)

    def _unclean(self, before: clean.Footprint, after: clean.Footprint) -> str:
        known = bus.threads() | kickoff.threads(self._loaded)
        return clean.unclean(before, after, known, self._kickoffs)


def _result(output: Output) -> Answer:
    told = {"output": output.text, "json": output.json, "tasks": output.tasks, "usage": output.usage}
    return Answer(frames.RESULT, {**told, "memory": "ok"})


def _paused(pause: Pause) -> Answer:
    return Answer(frames.PAUSED, {**asdict(pause), "memory": "ok"})


def _error(kind: str, message: str, trace: str | None = None, fatal: str = "") -> Answer:
    return Answer(frames.ERROR, {"kind": kind, "message": message, "traceback": trace}, fatal)


def _tail(error: BaseException) -> str:
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(lines[-TRACEBACK_LINES:])


def _terminate(*_: object) -> None:
    raise _Terminated
