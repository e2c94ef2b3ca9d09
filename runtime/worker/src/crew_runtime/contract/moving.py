"""What crewctl asks of the process that moves memories, and what that tells while it works. Pure.

One Order as JSON on its standard input (where no other user of the machine sees the password in it), lines of JSON on
its standard output: `{"event": ...}` with one of the events below.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crew_runtime.contract import durability

MODULE: Final = "crew_runtime.moving"
"""`python -m` of the process."""

FILE, FOLDER, REDIS = "file", "folder", "redis"
"""What a place is: a file of ours, a LanceDB folder as CrewAI writes it, a store of the runtime."""

STEP: Final = "step"
"""`name`: what begins now, and `records`: how many it is for; None when that is not known."""
ADVANCED: Final = "advanced"
"""`records`: how many of the step are done."""
DONE: Final = "done"
"""`report`: a Report. The last one."""
FAILED: Final = "failed"
"""`message`: what is wrong and what to change. The last one."""

SAMPLES: Final = 100
"""Records that are searched for at the end, unless another number is asked for."""


@dataclass(frozen=True)
class Place:
    """Where memories come from, or go to."""

    kind: str
    path: str = ""
    """Of a file or folder; a folder without one is CrewAI's default."""
    url: str = ""
    """`redis[s]://[user[:password]@]host:port[/db]`."""
    key_prefix: str = ""
    ca_file: str = ""
    """PEM file to verify a `rediss://` server with."""
    durability: str = durability.BUFFERED
    """How far a write has come before it is acknowledged."""
    vector_type: str = "FLOAT32"
    """Of a store that is new."""
    embedder: str = ""
    """Of a folder: the name of what its vectors were made with, where somebody says so."""


@dataclass(frozen=True)
class Project:
    """Whose embedder makes the vectors anew; one of the two is set. The process' working directory is its folder."""

    entrypoint: str = ""
    definition: str = ""


@dataclass(frozen=True)
class Order:
    """One move."""

    source: Place
    target: Place
    session: str = ""
    """Where what belongs to no session goes; empty: to the whole crew."""
    merge_sessions: bool = False
    """Whether what belongs to sessions may go where there are none."""
    overwrite: bool = False
    """Whether what is there already is replaced, also by what is older."""
    samples: int = SAMPLES
    embed: Project | None = None
    """None: vectors are moved as they are."""


@dataclass(frozen=True)
class Report:
    """What was moved, and what was seen of it afterwards."""

    records: int = 0
    """Of the source."""
    written: int = 0
    equal: int = 0
    """Were there already."""
    kept: int = 0
    """Are there otherwise, and used later than the source's: left as they are."""
    sampled: int = 0
    """Searched for by their own vector."""
    dimension: int | None = None
    embedder: str = ""
    """Name of the one that the vectors were made with; empty: nobody knows."""
    problems: tuple[str, ...] = ()
    """What is not as it has to be."""
    notes: tuple[str, ...] = ()
    """What is worth knowing."""


def order_to_dict(order: Order) -> dict[str, Any]:
    """Plain JSON types."""
    return dataclasses.asdict(order)


def order_from_dict(data: Mapping[str, Any]) -> Order:
    """The reverse. Raises KeyError, TypeError."""
    embed = data.get("embed")
    places = {"source": Place(**data["source"]), "target": Place(**data["target"])}
    return Order(**{**data, **places, "embed": Project(**embed) if embed else None})


def report_to_dict(report: Report) -> dict[str, Any]:
    """Plain JSON types."""
    return dataclasses.asdict(report)


def report_from_dict(data: Mapping[str, Any]) -> Report:
    """The reverse. Raises TypeError."""
    return Report(**{**data, "problems": tuple(data["problems"]), "notes": tuple(data["notes"])})
