"""The tables of the durable history in Postgres: who writes, who reads and the migrations agree by these. Pure.

A table only grows: a migration adds columns and tables, and changes or removes none, so that servers and commands of
several versions work on one database. A test compares this with what the migrations make.
"""

import contextlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SCHEMA: Final = "crewops"
VERSIONS: Final = "schema_version"
"""Table of the migration tool: one row, `version_num`."""
NEWEST: Final = 1
"""The version that the newest migration makes."""


@dataclass(frozen=True)
class Table:
    """A table, with a partition for each month of `time`."""

    name: str
    time: str
    """The column that it is partitioned, sorted and kept by."""
    key: tuple[str, ...]
    """What tells one row from all others, beside `time`; the crew is the first."""
    columns: Mapping[str, str]
    """Name to type, as Postgres calls it; those of `ADDED` come on top."""
    content: tuple[str, ...] = ()
    """Columns that hold what was said, or by whom; an erasure empties them."""
    once: bool = True
    """Whether a key has one row, whatever its time: a Redis that came back with an older state tells an end again."""

    @property
    def full_name(self) -> str:
        """With its schema."""
        return f"{SCHEMA}.{self.name}"


ADDED: Final[Mapping[str, str]] = {"written_at": "timestamp with time zone", "erased_at": "timestamp with time zone"}
"""Columns of every table: when Postgres was given the row; when its session was erased."""


def misread(parts: Mapping[str, object]) -> bool:
    """Whether a URL of Postgres, as libpq parted it, may have a piece of its password in another part.

    An `@`, `/` or `,` in a password that is not percent-encoded ends it for libpq, which names host, port and database
    in its errors. `parts`: by libpq's names. What is refused here and meant so is a name of a database with `@`, `/` or
    `:` in it.
    """
    host, port, database = (str(parts.get(name) or "") for name in ("host", "port", "dbname"))
    return (
        any(one and not one.isdecimal() for one in port.split(","))
        or any(not one.startswith("/") and not _is_ipv6(one) and set(one) & _PARTING for one in host.split(","))
        or bool(set(database) & _PARTING)
    )


def _is_ipv6(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).version == 6
    return False


_PARTING: Final = frozenset("@/:")
_TEXT, _JSON, _TIME = "text", "jsonb", "timestamp with time zone"

KICKOFFS: Final = Table(
    "kickoffs",
    "ended_at",
    ("crew", "kickoff_id"),
    {
        "crew": _TEXT,
        "kickoff_id": _TEXT,
        "session_id": _TEXT,
        "status": _TEXT,
        "reason": _TEXT,
        "error": _TEXT,
        "memory": _TEXT,
        "inputs": _JSON,
        "meta": _JSON,
        "result": _JSON,
        "details": _JSON,
        "omitted": _JSON,
        "attempts": "integer",
        "losses": "integer",
        "created_at": _TIME,
        "started_at": _TIME,
        "ended_at": _TIME,
        "seconds": "double precision",
        "total_tokens": "bigint",
        "usage": _JSON,
        "replica": _TEXT,
        "image": _TEXT,
        "versions": _JSON,
    },
    content=("session_id", "error", "inputs", "meta", "result", "details"),
)
TASK_OUTPUTS: Final = Table(
    "task_outputs",
    "ended_at",
    ("crew", "kickoff_id", "number"),
    {
        "crew": _TEXT,
        "kickoff_id": _TEXT,
        "number": "integer",
        "session_id": _TEXT,
        "name": _TEXT,
        "agent": _TEXT,
        "output": _TEXT,
        "seconds": "double precision",
        "ended_at": _TIME,
    },
    content=("session_id", "output"),
)
HUMAN_INPUT: Final = Table(
    "human_input",
    "at",
    ("crew", "kickoff_id", "question_id", "event"),
    {
        "crew": _TEXT,
        "kickoff_id": _TEXT,
        "question_id": _TEXT,
        "event": _TEXT,
        "session_id": _TEXT,
        "attempt": "integer",
        "content": _JSON,
        "at": _TIME,
    },
    content=("session_id", "content"),
)
MESSAGES: Final = Table(
    "messages",
    "at",
    ("crew", "message_id"),
    {
        "crew": _TEXT,
        "message_id": _TEXT,
        "kickoff_id": _TEXT,
        "session_id": _TEXT,
        "type": _TEXT,
        "content": _TEXT,
        "at": _TIME,
    },
    content=("session_id", "content"),
)
ERASURES: Final = Table(
    "erasures",
    "at",
    ("crew", "session_sha256"),
    {
        "crew": _TEXT,
        "session_sha256": _TEXT,
        "counts": _JSON,
        "at": _TIME,
    },
    once=False,
)

TABLES: Final[Mapping[str, Table]] = {
    one.name: one for one in (KICKOFFS, TASK_OUTPUTS, HUMAN_INPUT, MESSAGES, ERASURES)
}
"""All of them, by name."""
