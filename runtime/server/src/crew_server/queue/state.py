"""What a kickoff is and how it may end. Pure: frames and exits to outcomes, stored fields to what a client sees.

    running (waits for a slot, then has one) -> completed | error | timeout | cancelled
       ^                                 |
       +----- pending_human_input <------+      (`human`)

An end is final: whoever writes it first wins, and `queue` holds that line in Redis.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from crew_runtime.contract import frames
from crew_runtime.contract.replica_reasons import KickoffReason
from crew_server.queue import human
from crew_server.worker.exits import Exit

RUNNING: Final = "running"
PENDING: Final = "pending_human_input"
COMPLETED: Final = "completed"
ERROR: Final = "error"
TIMEOUT: Final = "timeout"
CANCELLED: Final = "cancelled"
ENDS: Final = (COMPLETED, ERROR, TIMEOUT, CANCELLED)
PLATFORM_STATES: Final = {COMPLETED: "SUCCESS", ERROR: "FAILURE", TIMEOUT: "FAILURE", CANCELLED: "REVOKED"}
"""What CrewAI's platform calls the ends, in its refusal to stop what has ended."""

MAX_GUARD_FAILURES = 20
"""Failures of the memory backend that are kept with a kickoff; the rest is only counted."""


@dataclass(frozen=True)
class Request:
    """An accepted kickoff."""

    kickoff_id: str
    session_id: str
    inputs: Mapping[str, Any]
    meta: Mapping[str, Any]
    timeout: float
    """Seconds from its start in a slot."""
    hooks: Mapping[str, Any] = field(default_factory=dict)
    """`task`, `step`, `crew`, `human` to where each is told: `url`, and `authentication` if there is one."""
    ordered: bool = False
    """Whether it waits for the earlier ones of its session; not of a session that was made up for it alone."""


@dataclass(frozen=True)
class Resume:
    """A person's answer, with what the attempt that asked left behind for the one that goes on."""

    task_id: str
    """Of the question."""
    saved: Mapping[str, Any]
    feedback: str
    approved: bool


@dataclass(frozen=True)
class Claim:
    """A kickoff that a server was given to run."""

    request: Request
    attempt: int
    """Grows by one with each claim; with the owner it tells this one from all others."""
    losses: int
    """How often what ran it was lost."""
    waited: float
    """Seconds from its acceptance, or the last answer, to this claim."""
    resume: Resume | None = None
    completed: int = 0
    """Tasks that earlier attempts have finished for good."""
    finished: tuple[str, ...] = ()
    """What they left of these, for the slot that goes on after a loss (JSON, a row a task)."""


_STARTED = ("task_started", "method_execution_started")
_COMPLETED = ("task_completed", "method_execution_finished")
"""CrewAI's names: a crew's tasks, a flow's methods."""


@dataclass(frozen=True)
class Progress:
    """How far a kickoff is, out of the events of its slot."""

    total_tasks: int | None = None
    """None when nobody can know, as of a flow."""
    seq: int = 0
    """Of the start that named the current task."""
    current_task: str | None = None
    completed_tasks: int = 0

    def after(self, event: frames.Frame) -> "Progress":
        """The progress after one `event` frame. Frames come out of order and some are dropped: `seq` decides."""
        seq, kind, task = event.get("seq"), event.get("type"), event.get("task")
        seq = seq if isinstance(seq, int) else self.seq
        known = replace(self, completed_tasks=self.completed_tasks + 1) if kind in _COMPLETED else self
        if kind not in _STARTED or seq < self.seq:
            return known
        return replace(known, seq=seq, current_task=str(task) if task else None)

    def to_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return {"task": self.current_task, "completed": self.completed_tasks, "total": self.total_tasks}


@dataclass(frozen=True)
class Event:
    """What a kickoff tells of itself while it runs."""

    type: str
    """CrewAI's name."""
    data: str
    """A JSON object."""
    channel: str = ""
    """The webhook that wants it: `task`, `step`, or none."""


_TOLD = ("crew_", "flow_", "task_", "tool_usage_", "agent_execution_", "method_execution_")
"""What the types begin with of which clients are told; calls of LLMs and of memory are many, and say nothing."""
_CHANNELS = {
    "task_completed": "task",
    "tool_usage_finished": "step",
    "tool_usage_error": "step",
    "agent_execution_completed": "step",
}


def event(frame: frames.Frame) -> Event | None:
    """What clients are told of an `event` frame."""
    kind = str(frame.get("type") or "")
    if not kind.startswith(_TOLD):
        return None
    data = frame.get("data")
    told = {name: frame[name] for name in ("task", "agent") if frame.get(name)} | {
        name: one for name, one in (data.items() if isinstance(data, Mapping) else ()) if one is not None
    }
    return Event(kind, json.dumps(strict(told)), _CHANNELS.get(kind, ""))


@dataclass(frozen=True)
class Outcome:
    """How a kickoff ended."""

    status: str
    reason: str = ""
    """CamelCase; empty for `completed`."""
    error: str = ""
    result: Mapping[str, Any] | None = None
    memory: str = "unknown"
    """`ok`, `degraded`, or `unknown`: what the crew saved may or may not be there."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """`kind` and `traceback` of an error."""
    lost: bool = False
    """What ran it was taken away from under it, and not by its own doing: it may be started again."""
    pause: "human.Pause | None" = None
    """Of `pending_human_input`."""


def completed(frame: frames.Frame) -> Outcome:
    """The outcome that a `result` frame says."""
    memory = "degraded" if frame.get("memory") == "degraded" else "ok"
    return Outcome(COMPLETED, result=_result(frame), memory=memory)


_ERROR_REASONS = {
    "exception": KickoffReason.CREW_FAILED,
    "exit": KickoffReason.CREW_EXITED,
    "memory": KickoffReason.MEMORY_FAILED,
}


def failed(frame: frames.Frame) -> Outcome:
    """The outcome that an `error` frame says; it may carry the crew's result, when only its memory failed."""
    kind = str(frame.get("kind") or "exception")
    result = frame.get("result")
    traceback = frame.get("traceback")
    return Outcome(
        ERROR,
        reason=_ERROR_REASONS.get(kind, KickoffReason.CREW_FAILED),
        error=str(frame.get("message") or "the crew failed and said nothing"),
        result=_result(result) if isinstance(result, Mapping) else None,
        memory="degraded" if kind == "memory" else "unknown",
        extra={"kind": kind} | ({"traceback": traceback} if isinstance(traceback, str) else {}),
    )


_SIGNALS = {
    "SIGSEGV": "crashed with a segmentation fault (SIGSEGV), in C code of a library that the crew uses",
    "SIGBUS": "crashed with a bus error (SIGBUS), in C code of a library that the crew uses or on a full disk",
    "SIGABRT": "aborted (SIGABRT), in C code of a library that the crew uses",
    "SIGFPE": "crashed with an arithmetic error (SIGFPE), in C code of a library that the crew uses",
    "SIGILL": "crashed with an illegal instruction (SIGILL): a library of the crew is built for another processor",
    "SIGKILL": "was killed (SIGKILL) from outside; often the node or the container ran out of memory",
}


def lost(how: Exit | None, slot_memory: int) -> Outcome:
    """The outcome of a kickoff whose process ended without a result. `slot_memory` in MiB."""
    if how is None:
        return Outcome(
            ERROR, KickoffReason.SLOT_LOST, "the kickoff's process is gone, and the worker did not say why", lost=True
        )
    if how.reason == "oom":
        text = (
            f"the kickoff took more than {slot_memory} MiB of memory and was stopped; "
            "give each kickoff more (spec.kickoffs.memory), or have the crew work on less at once"
        )
        return Outcome(ERROR, KickoffReason.OUT_OF_MEMORY, text)
    if how.signal:
        what = _SIGNALS.get(how.signal, f"was ended by the signal {how.signal}")
        return Outcome(ERROR, KickoffReason.CRASHED, f"the kickoff's process {what}")
    text = f"the kickoff's process ended with exit code {how.code} before the crew returned; the crew must not end it"
    return Outcome(ERROR, KickoffReason.EXITED, text)


WORKER_LOST = Outcome(
    ERROR, KickoffReason.WORKER_LOST, "the worker of the replica that ran the kickoff ended; start it again", lost=True
)
REPLICA_LOST = Outcome(ERROR, KickoffReason.REPLICA_LOST, "the replica that ran it died; start it again", lost=True)
BABBLED = Outcome(
    ERROR, KickoffReason.SLOT_LOST, "the kickoff's process sent what is no message of a worker, and was killed"
)
DRAINED = Outcome(
    ERROR,
    KickoffReason.REPLICA_DRAINED,
    "the replica was shut down before the kickoff ended; start it again",
    lost=True,
)
UNREADABLE = Outcome(
    ERROR,
    KickoffReason.UNREADABLE,
    "what Redis holds of the kickoff cannot be read; it was dead-lettered, see the server's log",
)
BY_CLIENT = Outcome(CANCELLED, KickoffReason.CANCELLED, "the kickoff was cancelled by a client")


def too_many_attempts(most: int) -> Outcome:
    """The outcome of a kickoff that may itself be what takes its replicas down."""
    text = f"the replica or worker that ran it was lost {most} times, so it was not started again; see their logs"
    return Outcome(ERROR, KickoffReason.TOO_MANY_ATTEMPTS, text)


def wedged(seconds: float) -> Outcome:
    """The outcome of a kickoff whose interpreter did not run for `seconds`."""
    text = f"the kickoff's interpreter gave no sign of life for {seconds:g} s and was killed: C code held it, or a stop"
    return Outcome(ERROR, KickoffReason.WEDGED, text)


def unanswered(seconds: float) -> Outcome:
    """The outcome of a kickoff whose question nobody answered."""
    text = f"nobody answered within {seconds:g} s (spec.kickoffs.humanInputTimeout); kick it off again"
    return Outcome(TIMEOUT, KickoffReason.HUMAN_INPUT_TIMEOUT, text)


def paused(frame: frames.Frame) -> Outcome:
    """The outcome, of this attempt only, that a `paused` frame says."""
    memory = "degraded" if frame.get("memory") == "degraded" else "ok"
    return Outcome(PENDING, memory=memory, pause=human.paused(frame))


def timed_out(seconds: float) -> Outcome:
    """The outcome of a kickoff that took longer than it may."""
    return Outcome(
        TIMEOUT,
        KickoffReason.KICKOFF_TIMEOUT,
        f"the kickoff took longer than its timeout of {seconds:g} s and was stopped",
    )


def view(fields: Mapping[str, str], now_ms: int) -> dict[str, Any]:
    """What a client sees of the stored `fields`, in the shape of CrewAI's platform, with our own beside it."""
    status = fields["status"]
    ours: dict[str, Any] = {
        "kickoff_id": fields["kickoff_id"],
        "session_id": fields["session_id"],
        "replica": fields.get("replica", ""),
        "attempt": int(fields.get("attempt", "0")),
        "resumed_from_task": fields.get("resumed_from_task"),
    }
    if "restarted_because" in fields:
        ours["restarted_because"] = fields["restarted_because"]
    if "hooks" in fields:
        ours["webhooks"] = _hooks(fields)
    if status == RUNNING:
        return {"status": status, **_running(fields, now_ms), **ours}
    if status == PENDING:
        return {"status": status, **human.view(fields), "progress": _progress(fields), **ours}
    seen: dict[str, Any] = {"status": status}
    if result := fields.get("result"):
        seen["result"] = json.loads(result)
    if status != COMPLETED:
        seen["error"] = fields.get("error", "")
        seen["reason"] = fields.get("reason", "")
        seen |= json.loads(fields.get("extra", "{}"))
    seen["execution_time"] = _duration(fields, int(fields.get("ended_at", now_ms)))
    seen["memory"] = fields.get("memory", "unknown")
    if failures := fields.get("memory_failures"):
        seen["memory_failures"] = json.loads(failures)
    return seen | ours


def _hooks(fields: Mapping[str, str]) -> dict[str, Any]:
    seen: dict[str, Any] = {name: int(fields.get(f"hooks_{name}", "0")) for name in ("delivered", "failed")}
    return seen | ({"last_error": fields["hooks_error"]} if "hooks_error" in fields else {})


def _running(fields: Mapping[str, str], now_ms: int) -> dict[str, Any]:
    return {
        "queued": "started_at" not in fields,
        "current_task": json.loads(fields.get("progress", "{}")).get("task"),
        "progress": _progress(fields),
        "execution_time": _duration(fields, now_ms),
    }


def _progress(fields: Mapping[str, str]) -> dict[str, Any]:
    progress = json.loads(fields.get("progress", "{}"))
    return {"completed_tasks": progress.get("completed", 0), "total_tasks": progress.get("total")}


def _duration(fields: Mapping[str, str], until_ms: int) -> float:
    """Seconds in a slot: as its owner measured them, or up to `until_ms` while no owner did."""
    if measured := fields.get("execution_ms"):
        return int(measured) / 1000
    started = fields.get("started_at")
    return round(max(0, until_ms - int(started)) / 1000, 3) if started else 0.0


def _result(frame: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "output": frame.get("output"),
        "json": strict(frame.get("json")),
        "tasks": strict(frame.get("tasks") or []),
        "usage": strict(frame.get("usage")),
    }


def strict(value: Any) -> Any:
    """`value` as JSON allows it: Python's decoder takes NaN and Infinity, other languages' clients do not."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: strict(one) for key, one in value.items()}
    if isinstance(value, list):
        return [strict(one) for one in value]
    return value
