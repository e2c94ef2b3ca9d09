"""A fault as an entry of the matrix."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from faults.matrix.figures import Tells
from faults.matrix.scene import Scene

Act = Callable[[Scene], Iterator[None]]


class Where(Enum):
    """Which cluster shows a fault."""

    LOCAL = "local"
    """Processes, folders or Redis itself have to be reached."""
    ANY = "any"
    REAL = "real"
    """Several nodes or NetworkPolicies, which the local cluster has not."""


class RedisKind(Enum):
    """What Redis the crew of a fault has; rows of another kind are added here."""

    MANAGED = "managed, 1 member"
    EXTERNAL = "external"


@dataclass(frozen=True)
class Fault:
    """One row. `act` makes the fault up to its `yield`, and lifts it after."""

    name: str
    section: str
    what: str
    act: Act
    tells: Tells | None = None
    """What has to be told; None: nothing has to, since no client should notice."""
    within: float = 10.0
    """Seconds in which it has to be told."""
    lasts: float = 0.0
    """Seconds until it is lifted, at least; and not before it is told."""
    destroys: bool = False
    """It takes the only copy of something away."""
    restored: Callable[[Scene], bool] = lambda _: True
    """Whether what was changed is as it should be."""
    redis: RedisKind = RedisKind.MANAGED
    where: Where = Where.LOCAL
    directly: bool = False
    """Clients go to the replicas themselves: the proxy of Services is part of what fails."""
    needs: Callable[[], str] = str
    """Why it cannot be run here; empty: it can."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    """What its crew has different; faults of the same spec share a crew."""
