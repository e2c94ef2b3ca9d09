"""What was seen of a deployment. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crew_runtime.contract.report import Failure, Report

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Readiness:
    """What a replica's /readyz says."""

    ready: bool
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Replica:
    """One pod of the crew."""

    name: str
    pod_ready: bool
    """The pod's own condition."""
    restarts: int = 0
    trouble: str = ""
    """Why its containers do not run."""
    report: Report | None = None
    failures: tuple[Failure, ...] = ()
    """The last of it, with their texts where those could be read."""
    texts_missing: str = ""
    """Why they could not."""
    readiness: Readiness | None = None
    unreachable: str = ""
    """Why it was not heard."""
    unreadable: str = ""
    """Why what it said was not read."""
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Container -> its CREWOPS_* variables as the pod's spec gives them; of a Secret's the reference."""


@dataclass(frozen=True)
class Step:
    """What a replica did for the proof."""

    replica: str
    done: bool
    found: bool = False
    error: str = ""


@dataclass(frozen=True)
class Proof:
    """A nonce written through one replica's CrewAI memory and looked for through the others'."""

    written: Step
    read: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Facts:
    """All of it."""

    crew: Manifest
    """The CrewDeployment."""
    now: float
    """Unix time at which it was asked."""
    replicas: tuple[Replica, ...] = ()
    proof: Proof | None = None
    """None: no replica could take part."""
    redis_trouble: str = ""
    """Why the pod of a managed Redis does not run."""
    directly: bool = False
    """Some pod was asked at its own address, because the API server's proxy was of no use."""

    @property
    def heard(self) -> tuple[tuple[Replica, Report], ...]:
        """The replicas that answered, with their report."""
        return tuple((one, one.report) for one in self.replicas if one.report is not None)
