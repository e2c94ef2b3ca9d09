"""The facts that a pass has gathered, or the failure to gather them."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

from crew_operator.api.reasons import Reason
from crew_operator.errors import Problem
from crew_runtime.contract.report import Report


@dataclass(frozen=True)
class Failure:
    """A look that failed: why nothing is known."""

    message: str


class RedisState(StrEnum):
    """How Redis took a PING and a write."""

    OK = "Ok"
    UNREACHABLE = "Unreachable"
    WEDGED = "Wedged"
    """Took the connection, answered nothing before the deadline."""
    LOADING = "Loading"
    AUTH_FAILED = "AuthFailed"
    READ_ONLY = "ReadOnly"
    OUT_OF_MEMORY = "OutOfMemory"
    DISK_FULL = "DiskFull"
    ERROR = "Error"


@dataclass(frozen=True)
class RedisLook:
    """One look at Redis."""

    state: RedisState
    message: str = ""
    latency: float = 0.0
    """Seconds for PING and write together."""
    run_id: str = ""
    """Of the server process: another one means that it was restarted or failed over."""
    up_since: float = 0.0
    """Unix time, up to a second late; 0: it did not say."""


@dataclass(frozen=True)
class RedisPod:
    """The pod of a managed Redis."""

    uid: str
    ip: str = ""
    trouble: str = ""
    """Why its container does not run."""


@dataclass(frozen=True)
class ContainerTrouble:
    """Why a pod's containers do not run."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Replica:
    """One pod of the crew."""

    name: str
    uid: str
    ip: str = ""
    ready: bool = False
    terminating: bool = False
    restarts: int = 0
    newest: bool = True
    """Of the newest ReplicaSet."""
    trouble: ContainerTrouble | None = None
    crew_runs: bool = False
    """The crew's own container is running."""
    report: Report | Failure | None = None
    """None: not asked, because it has no address yet."""


@dataclass(frozen=True)
class Workload:
    """The crew's Deployment, in its own status' words."""

    wanted: int
    replicas: int = 0
    ready: int = 0
    updated: int = 0
    up_to_date: bool = True
    """Its controller has seen the newest generation."""
    deadline_exceeded: bool = False


@dataclass(frozen=True)
class Proof:
    """One attempt to prove that memory is shared."""

    time: float
    """Unix time."""
    subject: str
    """Digest of what it speaks of: the ready pods and the Redis process. Another subject needs another proof."""
    ok: bool
    replicas: int
    latency: float = 0.0
    """Seconds from the write to the last read."""
    message: str = ""


@dataclass(frozen=True)
class Observed:
    """All that a pass knows."""

    generation: int
    managed: bool = True
    problems: tuple[Problem, ...] = ()
    """Of the spec as it is now; what runs is then an older one's."""
    refused: tuple[Problem, ...] = ()
    """Changes that would lose or hide memories."""
    missing: tuple[Problem, ...] = ()
    """Secrets and ConfigMaps that the spec names and that are not there."""
    rejected: str = ""
    """The API server's words when it refused a child."""
    not_resized: str = ""
    """The API server's words when it refused to grow the claim."""
    ignored_env: tuple[str, ...] = ()
    workload: Workload | Failure | None = None
    """None: there is no Deployment (yet)."""
    replicas: tuple[Replica, ...] | Failure = ()
    redis_pod: RedisPod | None = None
    redis: RedisLook | Failure | None = None
    """None: there was nothing to ask."""
    redis_known: str = ""
    """`run_id` of the server that the status last spoke of."""
    proof: Proof | None = None
    embedder_dimension: int | None = field(default=None)
    """As declared in the spec."""

    @property
    def live_replicas(self) -> tuple[Replica, ...]:
        """Those that are not about to go; empty when the look failed."""
        return () if isinstance(self.replicas, Failure) else tuple(one for one in self.replicas if not one.terminating)

    @property
    def ready_replicas(self) -> tuple[Replica, ...]:
        """Those that serve."""
        return tuple(one for one in self.live_replicas if one.ready)

    @property
    def subject(self) -> str:
        """What a proof must speak of to count now."""
        pods = {f"{one.uid}/{one.restarts}" for one in self.ready_replicas}
        run_id = self.redis.run_id if isinstance(self.redis, RedisLook) else ""
        return hashlib.sha256(" ".join([*sorted(pods), f"redis/{run_id}"]).encode()).hexdigest()[:16]


def reports(replicas: tuple[Replica, ...]) -> tuple[tuple[Replica, Report], ...]:
    """Those replicas that answered, with their report."""
    return tuple((one, one.report) for one in replicas if isinstance(one.report, Report))
