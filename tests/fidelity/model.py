"""What a case of the corpus is: a crew's file, and how it is kicked off; and what is seen of a kickoff."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kickoff:
    """One kickoff. Those of one session are in one home when bare: one user's machine."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    session: str | None = None
    answers: tuple[str, ...] = ()
    """What a person says when asked, in order; an empty one approves."""
    turn: bool = False
    """A turn of a conversational flow: bare it is `handle_turn`."""


@dataclass(frozen=True)
class Step:
    """Kickoffs that run at once; the next step begins when all have ended."""

    kickoffs: tuple[Kickoff, ...]
    rounds: int = 1
    """So often through the server, one round after the other. Each round has to be as the bare one."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Set from this step on, as by a rollout."""

    @property
    def alike(self) -> bool:
        """All are the same kickoff without a session: bare, one shows what each does."""
        first = self.kickoffs[0]
        return first.session is None and all(one == first for one in self.kickoffs)


@dataclass(frozen=True)
class Differs:
    """A difference that is promised: what exactly is seen on each side, and why. Any other difference is one."""

    where: str
    """Path in the observation: `0.0.output` is the output of the first step's first kickoff."""
    bare: Any
    ours: Any
    why: str


@dataclass(frozen=True)
class Case:
    """A crew's file and how it is kicked off."""

    name: str
    """Of the case; the module in `crews/`, unless `module` says otherwise."""
    attribute: str
    """What the entrypoint names in it."""
    kind: str
    """What is tried, in the words of the table."""
    steps: tuple[Step, ...] = (Step((Kickoff(),)),)
    module: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """In the folder where it runs, before it starts."""
    shows: str = ""
    """Text that the bare observation has to contain: a crew that does not do what it is to try proves nothing."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What the CrewDeployment says of the crew, as the runtime's variables."""
    distinct: bool = False
    """Its notes are random: it is compared how many of each step differ."""
    differs: tuple[Differs, ...] = ()
    steady_usage: bool = True
    """False: CrewAI's memory asks the crew's LLM in the background, which is counted or not, by chance."""
    settles: float = 0.0
    """Seconds after a kickoff's result in which its process, which then ends, may still write notes."""
    timeout: float = 180.0
    """Seconds for one kickoff."""

    @property
    def entrypoint(self) -> str:
        """`module:attribute`."""
        return f"{self.module or self.name}:{self.attribute}"
