"""Entries of the outbox, which may hold anything, as rows that Postgres takes."""

import json
from datetime import UTC, datetime

import pytest

from crew_runtime.contract import history
from crew_server.history import rows, store
from crew_server.history.rows import UNREADABLE, Erasure

# The limit of recursion is the process': the operator raises it for its own, and xdist shares processes.
DEEPER_THAN_ANY_STACK = 100_000

KICKOFF = {"kind": "kickoff", "kickoff_id": "k", "status": "completed", "ended_at": "1795464477668"}


def test_kickoff_and_its_tasks_are_rows_and_the_result_has_them_no_more():
    result = {"output": "hi", "json": None, "tasks": [{"name": "t", "output": "o"}], "usage": {"total_tokens": 7}}
    kickoff, task = rows.of("a/b", {**KICKOFF, "session_id": "s", "result": json.dumps(result)})
    assert kickoff.values["result"] == {"output": "hi", "json": None}
    assert kickoff.values["total_tokens"] == 7
    assert (task.table, task.values["number"], task.values["output"]) == (history.TASK_OUTPUTS, 0, "o")
    assert set(kickoff.values) == set(history.KICKOFFS.columns)
    assert set(task.values) == set(history.TASK_OUTPUTS.columns)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "other"},
        {"ended_at": "soon"},
        {"ended_at": "1"},
        {"ended_at": "9" * 30},
        {"inputs": "{"},
        {"inputs": "[" * DEEPER_THAN_ANY_STACK + "]" * DEEPER_THAN_ANY_STACK},
        {"result": '{"tasks": [1]}'},
        {"made_by": "[1]"},
        {"attempt": "one"},
    ],
)
def test_what_no_script_wrote_is_unreadable(changes):
    with pytest.raises(UNREADABLE):
        rows.of("a/b", {**KICKOFF, **changes})


def test_values_are_what_jsonb_takes():
    told = rows.cleaned({"a\0": ["\ud800", float("nan"), {"b": "\0"}], "n": 1.5})
    assert told == {"a\ufffd": ["?", None, {"b": "\ufffd"}], "n": 1.5}
    (kickoff,) = rows.of("a/b", {**KICKOFF, "replica": "r" * 9000, "attempt": str(1 << 80), "losses": "-3"})
    assert len(kickoff.values["replica"]) == 4096
    assert (kickoff.values["attempts"], kickoff.values["losses"]) == ((1 << 31) - 1, 0)


def test_erasure_knows_its_session_and_its_row_does_not():
    (found,) = rows.of("a/b", {"kind": "erasure", "session_id": "ada", "erased_at": "1795464477668", "counts": "{}"})
    assert isinstance(found, Erasure)
    assert "ada" not in str(found.row.values.values())


@pytest.mark.parametrize(
    ("at", "bounds"),
    [
        (datetime(2026, 11, 30, 23, 59, tzinfo=UTC), ("2026-11-01 00:00:00+00", "2026-12-01 00:00:00+00")),
        (datetime(2026, 12, 1, tzinfo=UTC), ("2026-12-01 00:00:00+00", "2027-01-01 00:00:00+00")),
    ],
)
def test_a_partition_is_a_month(at, bounds):
    assert store._bounds(at) == bounds
