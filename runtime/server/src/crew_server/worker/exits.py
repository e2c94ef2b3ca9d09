"""How a child of the worker half ends."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Exit:
    """How a slot's process ended, as the zygote that reaped it says."""

    code: int | None = None
    signal: str | None = None
    reason: str | None = None
    """`oom` when the zygote's watchdog killed it."""
    maxrss: int | None = None
    """Bytes."""
