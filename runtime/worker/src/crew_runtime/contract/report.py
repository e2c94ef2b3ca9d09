"""What a replica says of itself: the worker's part travels in a `phase` frame, the server adds its own and serves both
as JSON on `GET :HEALTH_PORT/report`; the operator reads it.

Plain dicts by `asdict`, so that a reader of another version ignores what it does not know: read with `from_dict`.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crew_runtime.contract.replica_reasons import BackendReason, HistoryReason

HISTORY_LAG = 60.0
"""Seconds that something may wait for the durable history before it is told."""
PRELOAD = "Preload"
"""A kickoff's process is a fork of one that has imported the user's module, which left nothing that a fork breaks."""
FORK = "Fork"
"""It is a fork of one that has imported CrewAI and other libraries, and imports the user's module itself."""
SPAWN = "Spawn"
"""It is a new interpreter that imports all: even what CrewAI's import left must not be forked."""
PASSED = "passed"
OPEN = "open"
"""How a rehearsal ended that does not keep the crew from serving."""


@dataclass(frozen=True)
class StateKind:
    """Where one kind of CrewAI's state really lies, as found after the user's code was imported."""

    kind: str
    """`memory`, `flow`, `locks`, `knowledge`, `checkpoints`, `task-outputs`; `output-files` where replicas share
    a volume; the caches: `tool-cache`, `mcp-cache`, `rpm-limit`, `input-files`, `a2a-tasks`, `event-record`."""
    backend: str
    """`redis`, `volume`, or what CrewAI falls back to (`lancedb`, `sqlite`, `chroma`, `files`, `working directory`),
    `process`, or `unused`."""
    local: bool
    """True: lies in this process or on this disk, other replicas do not see it."""
    detail: str = ""
    by_nature: bool = False
    """It is local wherever CrewAI runs and nothing is lost by it; `detail` says what several of them mean."""
    unfit: bool = False
    """It is local though nobody chose so: what would move it does not fit the CrewAI that is installed."""


@dataclass(frozen=True)
class WorkerReport:
    """The worker half's part."""

    runtime_version: str = ""
    crewai_version: str = ""
    python_version: str = ""
    interpreter: str = ""
    """Path of the Python that the crew runs in, and, where it was looked for, how it was found."""
    entrypoint: str = ""
    kind: str = ""
    """`crew` or `flow`."""
    crew_inputs: tuple[str, ...] = ()
    """Names of the inputs that a kickoff has to give."""
    inputs_always: bool = True
    """False: only a kickoff that gives any has to give these; CrewAI leaves the texts alone when there are none."""
    tasks: int | None = None
    """How many tasks the crew has; None of a flow."""
    fork_mode: str = ""
    """PRELOAD, FORK or SPAWN: how the process of a kickoff comes to be."""
    fork_reason: str = ""
    """Why so: what the import left, or that it left nothing."""
    processes: str = ""
    """`PerKickoff`, `PerSession` or `Shared`: which kickoffs may run in one process."""
    warm_up: tuple[str, ...] = ()
    """What each process calls before it takes a kickoff, as `module:name`: the declared warm-up, then local embedders;
    `@module` stands for one of a crew that the user's module holds or that is declared, `provider/model` for one of
    CrewAI's own."""
    rehearsal: str = ""
    """`passed`: a rehearsed kickoff worked, and nothing of the author's own code was left out of it. `open`: whether a
    kickoff works was not seen."""
    rehearsal_note: str = ""
    """Why it could not be found out, or ``."""
    rehearsal_left_out: tuple[str, ...] = ()
    """What of the author's code was not run, in words: `methods of the flow: begin, end`."""
    state: tuple[StateKind, ...] = ()
    embedder: str = ""
    """`provider/model` as the crew was built with, or ``."""
    dimension: int | None = None
    """Of the vectors in the store; None while it holds none."""
    vector_type: str = ""
    """How the store keeps them: `FLOAT32` or `FLOAT16`."""
    search_mode: str = ""
    """`index` (FT.*) or `plain`."""
    uses_memory: bool = False
    redis_py_version: str = ""
    """Of the Redis client in the crew's interpreter."""


@dataclass(frozen=True)
class BackendHealth:
    """What the server half last saw of Redis: PING and a write under a deadline."""

    ready: bool = False
    reason: str = BackendReason.NOT_CHECKED
    """A BackendReason; a text of another version's, when it was read."""
    message: str = ""
    checked_at: float = 0.0
    """Unix time."""
    latency: float = 0.0
    """Seconds."""
    server_version: str = ""
    """`8.2.1`, or `valkey 8.1.0`; what it was when the server was last found ready, `` when it does not say."""
    credentials: str = ""
    """Version of the credentials that new connections are made with (`contract.redis_credentials`), as of the last one
    that Redis took; `` where they do not come out of a folder. A worker beside this server reads the same folder."""


@dataclass(frozen=True)
class HistoryHealth:
    """The durable history, as a replica last saw it. What waits is the crew's, the reason the replica's own."""

    reason: str = HistoryReason.NOT_CHECKED
    """A HistoryReason of its last try; a text of another version's, when it was read."""
    message: str = ""
    lag: float = 0.0
    """Seconds that the oldest entry waits; 0 when none does."""
    waiting: int = 0
    """Entries in Redis that are not in Postgres."""
    bytes: int = 0
    """That they take."""
    lost: int = 0
    """Entries that were not kept, because too much waited."""
    lost_ago: float = 0.0
    """Seconds since the last of these."""


@dataclass(frozen=True)
class Failure:
    """One failure that a kickoff, a proof or a health check met."""

    time: float
    """Unix time."""
    kind: str
    """A FailureKind, or the reason of a kickoff, a proof or a health check that failed."""
    message: str
    """Empty on the health port, where nobody shows a token."""
    kickoff_id: str = ""


@dataclass(frozen=True)
class Report:
    """The whole report of a replica."""

    replica: str
    time: float = 0.0
    """Unix time by the replica's clock when it spoke, so that its other times can be compared with another clock; 0: an
    older replica, which does not say."""
    phase: str = "waiting"
    """`waiting` (no worker yet), `importing`, `loading`, `ready`, `failed`."""
    reason: str = ""
    message: str = ""
    server_version: str = ""
    ready: bool = False
    """What /readyz says."""
    draining: bool = False
    concurrency: int = 0
    running: int = 0
    """Kickoffs in a slot of this replica."""
    backlog: int = 0
    """Kickoffs of the whole crew that wait for a slot, as this replica last saw."""
    slots: int = 0
    worker: WorkerReport = field(default_factory=WorkerReport)
    backend: BackendHealth = field(default_factory=BackendHealth)
    history: HistoryHealth | None = None
    """None: the crew has no durable history, or the replica is older than it."""
    failures: tuple[Failure, ...] = ()
    """The last 20."""


def to_dict(report: Report | WorkerReport) -> dict[str, Any]:
    """Plain JSON types, snake_case keys."""
    return dataclasses.asdict(report)


def worker_from_dict(data: Mapping[str, Any]) -> WorkerReport:
    """The reverse of `to_dict`; unknown keys are ignored, missing ones take the default."""
    state = tuple(StateKind(**_known(StateKind, kind)) for kind in data.get("state", ()))
    inputs = tuple(str(name) for name in data.get("crew_inputs", ()))
    warm_up = tuple(str(name) for name in data.get("warm_up", ()))
    left_out = tuple(str(words) for words in data.get("rehearsal_left_out", ()))
    return WorkerReport(
        **{
            **_known(WorkerReport, data),
            "state": state,
            "crew_inputs": inputs,
            "warm_up": warm_up,
            "rehearsal_left_out": left_out,
        },
    )


def from_dict(data: Mapping[str, Any]) -> Report:
    """The reverse of `to_dict`; unknown keys are ignored, missing ones take the default."""
    return Report(
        **{
            **_known(Report, data),
            "worker": worker_from_dict(data.get("worker", {})),
            "backend": BackendHealth(**_known(BackendHealth, data.get("backend", {}))),
            "history": HistoryHealth(**_known(HistoryHealth, data["history"])) if data.get("history") else None,
            "failures": failures_from(data.get("failures", ())),
        }
    )


def failures_from(data: Iterable[Mapping[str, Any]]) -> tuple[Failure, ...]:
    """Those of a report, or of the API's `/failures`."""
    return tuple(Failure(**_known(Failure, one)) for one in data)


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in dataclasses.fields(cls)}
    return {key: value for key, value in data.items() if key in names}
