"""The facts that a pass has gathered, or the failure to gather them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from crew_operator.errors import Problem
from crew_runtime.contract.pods import ContainerTrouble
from crew_runtime.contract.replica_reasons import BackendReason
from crew_runtime.contract.report import Report
from crew_runtime.contract.resource import ACCEPT_LOSS_ANNOTATION


@dataclass(frozen=True)
class Failure:
    """A look that failed: why nothing is known."""

    message: str


class RedisState(StrEnum):
    """How Redis took a PING and a write."""

    OK = BackendReason.OK.value
    UNREACHABLE = "Unreachable"
    WEDGED = "Wedged"
    """Took the connection, answered nothing before the deadline."""
    LOADING = BackendReason.LOADING.value
    AUTH_FAILED = BackendReason.AUTH_FAILED.value
    READ_ONLY = BackendReason.READ_ONLY.value
    OUT_OF_MEMORY = BackendReason.OUT_OF_MEMORY.value
    DISK_FULL = BackendReason.DISK_FULL.value
    ERROR = BackendReason.ERROR.value


@dataclass(frozen=True)
class Persistence:
    """How Redis writes to its disk, in its own words."""

    appends: bool
    """It keeps an append-only file."""
    failing: str = ""
    """What it could not do when it last tried to, such as `aof_last_write_status`."""
    base: int = 0
    """Bytes of that file when it was last rewritten."""


@dataclass(frozen=True)
class RedisLook:
    """One look at Redis."""

    state: RedisState
    message: str = ""
    latency: float = 0.0
    """Seconds for PING and write together."""
    run_id: str = ""
    """Of the server process: another one means that it was restarted or failed over. Empty: it did not say; not every
    user may ask."""
    data_id: str = ""
    """Names the data that the server holds, whichever process holds it: another one means another, or an emptied,
    database. Empty: it could not be read."""
    up_since: float = 0.0
    """Unix time, up to a second late; 0: it did not say."""
    fullness: float = 0.0
    """What is used of its maxmemory, from 0 to 1; 0 when it has none, or did not say."""
    evicts: str = ""
    """The policy by which it takes keys away when it is full; empty when it takes none, or did not say."""
    persistence: Persistence | None = None
    """None: it did not say."""
    canary: str | None = None
    """What lay in the canary's key; empty: nothing did; None: it could not be read."""
    canary_written: str = ""
    """What was written over it; empty: nothing was."""


@dataclass(frozen=True)
class Canary:
    """What was written."""

    store: str
    """Names the data: 16 hexadecimal digits, new when the store is begun."""
    number: int
    time: int
    """Unix time of the write, in seconds."""

    def __str__(self) -> str:
        """As it stands in Redis."""
        return f"{self.store} {self.number} {self.time}"


@dataclass(frozen=True)
class Loss:
    """What the store should have had and has not."""

    id: str
    """By which somebody accepts it."""
    time: int
    """Unix time at which it was seen, in seconds."""
    message: str

    @property
    def remedy(self) -> str:
        """What somebody can do about it."""
        return (
            "Restore it from a backup, which ends this by itself; or accept the loss: "
            f"kubectl annotate crew NAME --overwrite {ACCEPT_LOSS_ANNOTATION}={self.id}"
        )


@dataclass(frozen=True)
class RedisPod:
    """The pod of a managed Redis."""

    uid: str
    ip: str = ""
    trouble: str = ""
    """Why its container does not run."""


@dataclass(frozen=True)
class RedisMember:
    """One pod of a replicated Redis."""

    name: str
    ordinal: int
    uid: str = ""
    """Of the pod."""
    ip: str = ""
    role: str = ""
    """The value of its role label."""
    outdated: bool = False
    """Made from an older template than the newest."""
    terminating: bool = False
    ready: bool = False

    @property
    def is_there(self) -> bool:
        """It has an address to be asked at."""
        return bool(self.ip)


@dataclass(frozen=True)
class Members:
    """Of a replicated Redis, and how they stand."""

    primary: RedisMember | None = None
    """That serves, as last seen; None while there is none."""
    term: int = 0
    """Grows with each new primary."""
    wanted: int = 0
    following: tuple[str, ...] = ()
    """Names of those that have what the primary has."""
    missing: str = ""
    """Why the others do not."""
    waits: str = ""
    """Why there is no primary."""
    whole: bool = False
    """All of them have once held the same: from then on the promise of several holds."""
    leaving: str = ""
    """How far all but one are from being given up."""

    @property
    def holding(self) -> int:
        """How many hold what is acknowledged."""
        return len(self.following) + (self.primary is not None)


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
class Claim:
    """The claim of the crew's files."""

    name: str
    uid: str = ""
    phase: str = "Pending"
    """Kubernetes' word; Bound: it has a volume."""
    storage_class: str = ""
    modes: tuple[str, ...] = ()
    said: str = ""
    """By its provisioner, or whoever looks for a volume; asked while pods wait for it."""
    warned: bool = False
    """That was a warning."""


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
    uid: str = ""

    @property
    def is_rolled_out(self) -> bool:
        """All replicas that are wanted are ready, of the newest template, and there are no others."""
        return self.up_to_date and self.wanted == self.replicas == self.ready == self.updated


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
    broken: str = ""
    """Why no pass comes to its end; all looks are Failures then."""
    managed: bool = True
    problems: tuple[Problem, ...] = ()
    """Of the spec as it is now; what runs is then an older one's."""
    refused: tuple[Problem, ...] = ()
    """Changes that would lose or hide memories."""
    taken: tuple[Problem, ...] = ()
    """Objects of others that have the names of children."""
    missing: tuple[Problem, ...] = ()
    """Secrets and ConfigMaps that the spec names and that are not there."""
    rejected: str = ""
    """The API server's words when it refused a child."""
    not_resized: str = ""
    """The API server's words when it refused to grow a claim."""
    settled: Mapping[str, str] = field(default_factory=dict)
    """What may not change any more, by its name in `status.memory`; empty when that was not decided now."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Workload -> digest of the versions of its Secrets; empty when that was not looked at now."""
    rollout: Mapping[str, str] = field(default_factory=dict)
    """What the crew's pods are made of, by its name in `status.crew`; empty when that was not decided now."""
    ignored_env: tuple[str, ...] = ()
    durable_history: bool = False
    """The spec asks for one."""
    api: Mapping[str, Any] = field(default_factory=dict)
    """`status.api`."""
    open_as_before: bool = False
    """The API asks for no token, and nobody said that it should not."""
    workload: Workload | Failure | None = None
    """None: there is no Deployment (yet)."""
    replicas: tuple[Replica, ...] | Failure = ()
    files: Claim | None = None
    """None: the spec asks for no volume for the crew's files, or its claim does not exist yet."""
    members: Members | None = None
    """None: Redis is not replicated, or not by the operator."""
    redis_pod: RedisPod | None = None
    """Of several the primary's."""
    redis_pod_taken: str = ""
    """Its name, when somebody else's pod has it: that one is not asked, and not replaced."""
    redis: RedisLook | Failure | None = None
    """None: there was nothing to ask."""
    redis_restarted: bool = False
    """Another server than the one that the status speaks of has answered, for the first time."""
    redis_several: bool = False
    """Several servers answer at its address, side by side."""
    redis_apart: bool = False
    """And they hold different data."""
    redis_nearly_full: bool = False
    disk_nearly_full: bool = False
    """Of a managed Redis: its append-only file may outgrow its volume before long."""
    canary: Canary | None = None
    """The newest that the store has to have."""
    loss: Loss | None = None
    """What it should have and has not; nobody has accepted that yet."""
    stopped: bool = False
    """The crew is stopped for it."""
    proof: Proof | None = None

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
        look = self.redis if isinstance(self.redis, RedisLook) else None
        run_id = "" if look is None else look.run_id if look.run_id and not self.redis_several else look.data_id
        return hashlib.sha256(" ".join([*sorted(pods), f"redis/{run_id}"]).encode()).hexdigest()[:16]


def reports(replicas: tuple[Replica, ...]) -> tuple[tuple[Replica, Report], ...]:
    """Those replicas that answered, with their report."""
    return tuple((one, one.report) for one in replicas if isinstance(one.report, Report))
