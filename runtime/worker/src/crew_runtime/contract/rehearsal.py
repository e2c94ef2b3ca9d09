"""What one step of a rehearsal found: `crew_runtime.rehearsal` writes it as JSON, `crewctl verify` reads it.

A rehearsal is two processes with a disk of their own each, as two pods have: the first remembers a nonce through the
crew's own memory and every other store of CrewAI's, the second looks for it.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crew_runtime.contract.report import StateKind

MODULE: Final = "crew_runtime.rehearsal"
"""`python -m` of the process."""
WRITE: Final = "write"
READ: Final = "read"
STEPS: Final = (WRITE, READ)

AUTO: Final = "auto"
OWN: Final = "own"
STAND_IN: Final = "stand-in"
EMBEDDERS: Final = (AUTO, OWN, STAND_IN)
"""Which embedder a rehearsal uses: `auto` is the crew's own where that is the crew's own code, which needs no key."""

PLACEHOLDER: Final = "crewops-placeholder"
"""In place of an API key that is not there: enough to build a crew, of no use to call anybody."""


@dataclass(frozen=True)
class Store:
    """One store of the crew, and how the step went with it."""

    kind: str
    """`memory`, `flow`, `conversation`, `knowledge`, `checkpoints`, `task-outputs` or `locks`."""
    owner: str
    """Whose: `crew`, `agent <role>`, `manager`, `flow`; `crewai's` of what CrewAI gives to whoever asks for it. The
    same in both processes."""
    engine: str = ""
    """`redis`, `lancedb`, `sqlite`, or the class of a storage that the crew's code brought."""
    place: str = ""
    """The path of one on the disk, or ``."""
    embedder: str = ""
    """`own` or `stand-in`; `` of a flow."""
    embedder_note: str = ""
    """Why not the crew's own."""
    read_only: bool = False
    done: bool = False
    """Written, or looked for, without an error."""
    found: bool = False
    """The process of this step finds the nonce."""
    leaked: bool = False
    """Of a read: another session found it too."""
    error: str = ""


@dataclass(frozen=True)
class Answer:
    """All that one process found."""

    reason: str = ""
    """Why there is no crew to rehearse: a reason of a replica's report; `` when there is one."""
    message: str = ""
    detail: str = ""
    """The tail of the user's traceback."""
    runtime_version: str = ""
    crewai_version: str = ""
    redis_py_version: str = ""
    python_version: str = ""
    source: str = ""
    """The entrypoint or definition."""
    kind: str = ""
    """`crew` or `flow`."""
    uses_memory: bool = False
    embedder: str = ""
    note: str = ""
    """Why the rehearsal of the kickoff left open whether one works, or ``."""
    left_out: tuple[str, ...] = ()
    """What of the author's code it did not run, in words; what of it fails, fails kickoffs unseen."""
    state: tuple[StateKind, ...] = ()
    """Where each kind of state lies; empty without the runtime."""
    stores: tuple[Store, ...] = ()


def to_dict(answer: Answer) -> dict[str, Any]:
    """Plain JSON types."""
    return dataclasses.asdict(answer)


def from_dict(data: Mapping[str, Any]) -> Answer:
    """The reverse of `to_dict`; unknown keys are ignored, missing ones take the default."""
    state = tuple(StateKind(**_known(StateKind, one)) for one in data.get("state", ()))
    stores = tuple(Store(**_known(Store, one)) for one in data.get("stores", ()))
    left_out = tuple(str(words) for words in data.get("left_out", ()))
    return Answer(**{**_known(Answer, data), "left_out": left_out, "state": state, "stores": stores})


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in dataclasses.fields(cls)}
    return {key: value for key, value in data.items() if key in names}
