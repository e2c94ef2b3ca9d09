"""Entries of the outbox to rows of the tables. Pure: what Redis holds may be anything, and what Postgres takes is not.

An entry is a flat list of fields that a script wrote (`note` in `lua/kickoffs.lua`); its `kind` says which.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from crew_runtime.contract import history, messages
from crew_runtime.contract.history import Table
from crew_server.queue import state

UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading an entry raises that none of our scripts wrote."""
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Times beyond these would only make partitions."""
_MOST_WORD: Final = 4096
"""Characters of what is no content: ids and names."""
_MOST_INTEGER: Final = (1 << 31) - 1


@dataclass(frozen=True)
class Row:
    """A row to be added."""

    table: Table
    values: Mapping[str, Any]
    """By column: text, int, float, datetime; of a `jsonb` column what JSON knows."""

    @property
    def at(self) -> datetime:
        """Which decides its partition."""
        found: datetime = self.values[self.table.time]
        return found


@dataclass(frozen=True)
class Erasure:
    """A session whose rows up to a time are to be emptied."""

    session_id: str
    row: Row


def of(crew: str, fields: Mapping[str, str]) -> list[Row | Erasure]:
    """What an entry says. Raises one of UNREADABLE."""
    kinds = {"kickoff": _kickoff, "question": _human, "answer": _human, "turn": _turn, "erasure": _erasure}
    return kinds[fields["kind"]](crew, fields)


def entry(flat: Sequence[str]) -> dict[str, str]:
    """The fields of an entry. Raises ValueError when it has half of one."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _kickoff(crew: str, fields: Mapping[str, str]) -> list[Row | Erasure]:
    result = _json(fields, "result")
    tasks = result.pop("tasks", None) if isinstance(result, dict) else None
    usage = result.pop("usage", None) if isinstance(result, dict) else None
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    made_by = _json(fields, "made_by") or {}
    kickoff_id, session_id, ended_at = _word(fields["kickoff_id"]), _session(fields), _time(fields["ended_at"])
    erased = {"erased_at": _time(fields["erased_at"])} if "erased_at" in fields else {}
    values = {
        "crew": crew,
        "kickoff_id": kickoff_id,
        "session_id": session_id,
        "status": _word(fields["status"]),
        "reason": _word(fields.get("reason", "")),
        "error": text(fields["error"]) if fields.get("error") else None,
        "memory": _word(fields.get("memory", "")),
        "inputs": _json(fields, "inputs"),
        "meta": _json(fields, "meta"),
        "result": result,
        "details": _json(fields, "extra"),
        "omitted": _json(fields, "omitted"),
        "attempts": _whole(fields.get("attempt")),
        "losses": _whole(fields.get("losses", "0")),
        "created_at": _time(fields["created_at"]) if "created_at" in fields else None,
        "started_at": _time(fields["started_at"]) if "started_at" in fields else None,
        "ended_at": ended_at,
        "seconds": int(fields["execution_ms"]) / 1000 if "execution_ms" in fields else None,
        "total_tokens": tokens if isinstance(tokens, int) and 0 <= tokens < 1 << 62 else None,
        "usage": usage,
        "replica": _word(fields.get("replica", "")) or None,
        "image": _word(str(made_by.get("image") or "")) or None,
        "versions": {name: _word(str(one)) for name, one in made_by.items() if name != "image"} or None,
        **erased,
    }
    found: list[Row | Erasure] = [Row(history.KICKOFFS, values)]
    for number, one in enumerate(tasks if isinstance(tasks, list) else ()):
        seconds = one.get("execution_time")
        task = {
            "crew": crew,
            "kickoff_id": kickoff_id,
            "number": number,
            "session_id": session_id,
            "name": _word(str(one.get("name") or "")),
            "agent": _word(str(one.get("agent") or "")),
            "output": text(str(one.get("output") or "")),
            "seconds": float(seconds) if isinstance(seconds, int | float) else None,
            "ended_at": ended_at,
        }
        found.append(Row(history.TASK_OUTPUTS, task))
    return found


def _human(crew: str, fields: Mapping[str, str]) -> list[Row | Erasure]:
    asked = fields["kind"] == "question"
    values = {
        "crew": crew,
        "kickoff_id": _word(fields["kickoff_id"]),
        "question_id": _word(fields["question_id"]),
        "event": "asked" if asked else "answered",
        "session_id": _session(fields),
        "attempt": _whole(fields.get("attempt")),
        "content": _json(fields, "question" if asked else "answer"),
        "at": _time(fields["at"]),
    }
    if "erased_at" in fields:
        values["erased_at"] = _time(fields["erased_at"])
    return [Row(history.HUMAN_INPUT, values)]


def _turn(crew: str, fields: Mapping[str, str]) -> list[Row | Erasure]:
    """Of an erased session only that there was one is known, which its kickoff says."""
    found: list[Row | Erasure] = []
    for name in ("said", "answered"):
        if name not in fields:
            continue
        message = messages.read(fields[name])
        if message is None:
            raise ValueError(f"{name} is no message")
        values = {
            "crew": crew,
            "message_id": _word(str(message["data"]["id"])),
            "kickoff_id": _word(fields["kickoff_id"]),
            "session_id": _session(fields),
            "type": _word(message["type"]),
            "content": text(messages.text(message)),
            "at": _time(fields["at"]),
        }
        found.append(Row(history.MESSAGES, values))
    return found


def _erasure(crew: str, fields: Mapping[str, str]) -> list[Row | Erasure]:
    session_id, at = text(fields["session_id"]), _time(fields["erased_at"])
    values = {"crew": crew, "session_sha256": digest(session_id), "counts": _json(fields, "counts"), "at": at}
    return [Erasure(session_id, Row(history.ERASURES, values))]


def digest(session_id: str) -> str:
    """What an erasure's row knows of its session: SHA-256, in hex."""
    return hashlib.sha256(session_id.encode()).hexdigest()


def emptied(row: Row, erased: Mapping[str, datetime]) -> Row:
    """As an erasure would leave it. `erased`: until when a session's texts are erased, by the session's digest."""
    session_id = row.values.get("session_id")
    at = erased.get(digest(session_id)) if session_id is not None else None
    if at is None or row.at > at:
        return row
    return Row(row.table, {**row.values, **dict.fromkeys(row.table.content), "erased_at": at})


def _session(fields: Mapping[str, str]) -> str | None:
    return text(fields["session_id"]) if fields.get("session_id") else None


def _json(fields: Mapping[str, str], name: str) -> Any:
    """As `jsonb` takes it; None for what is not there."""
    return cleaned(json.loads(fields[name])) if fields.get(name) else None


def cleaned(value: Any) -> Any:
    """What JSON knows and `jsonb` takes: no NaN, no NUL, no half of a character pair, no number without end."""
    value = state.strict(value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(str(key)): cleaned(one) for key, one in value.items()}
    if isinstance(value, list):
        return [cleaned(one) for one in value]
    return value


def text(given: str) -> str:
    """As Postgres takes it."""
    return given.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _word(given: str) -> str:
    return text(given)[:_MOST_WORD]


def _whole(given: str | None) -> int | None:
    return None if given is None else min(max(int(given), 0), _MOST_INTEGER)


def _time(milliseconds: str) -> datetime:
    found = datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    if not _EARLIEST <= found < _LATEST:
        raise ValueError(f"{found} is no time of a kickoff")
    return found
