"""What the processes of a verification answered. Data only."""

from dataclasses import dataclass

from crew_runtime.contract.rehearsal import Answer


@dataclass(frozen=True)
class Pair:
    """A process that wrote and one that read; `read` is None when the writing one had no crew."""

    write: Answer
    read: Answer | None = None


@dataclass(frozen=True)
class Outcome:
    """All that was found."""

    shared: Pair
    """With the runtime."""
    alone: Pair
    """Without it: what happens today."""
    placeholders: bool = False
    """The crew could only be built with placeholders for API keys."""
