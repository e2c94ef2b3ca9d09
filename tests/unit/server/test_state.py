import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crew_server.queue import record, state
from crew_server.queue.state import Outcome, Progress
from crew_server.worker.exits import Exit

RUNNING = {
    "status": "running",
    "kickoff_id": "k",
    "session_id": "s",
    "replica": "r1",
    "attempt": "1",
    "created_at": "1000",
}


@pytest.mark.parametrize(
    ("how", "reason", "words"),
    [
        (None, "SlotLost", "did not say why"),
        (Exit(signal="SIGKILL", reason="oom"), "OutOfMemory", "more than 512 MiB"),
        (Exit(signal="SIGSEGV"), "Crashed", "segmentation fault"),
        (Exit(signal="SIGKILL"), "Crashed", "killed (SIGKILL)"),
        (Exit(signal="SIGUSR1"), "Crashed", "SIGUSR1"),
        (Exit(code=0), "Exited", "exit code 0"),
        (Exit(code=7), "Exited", "exit code 7"),
    ],
)
def test_lost_slot_says_in_words_how(how, reason, words):
    outcome = state.lost(how, 512)
    assert (outcome.status, outcome.reason, outcome.memory) == ("error", reason, "unknown")
    assert words in outcome.error


def test_memory_failure_carries_the_result_the_crew_had():
    outcome = state.failed({"t": "error", "kind": "memory", "message": "no save", "result": {"output": "answer"}})
    assert outcome.reason == "MemoryFailed"
    assert outcome.memory == "degraded"
    assert outcome.result is not None
    assert outcome.result["output"] == "answer"


def test_progress_counts_completed_tasks_and_names_the_last_started():
    progress = Progress(2)
    for seq, kind, task in [(1, "task_started", "a"), (2, "task_completed", "a"), (3, "task_started", "b")]:
        progress = progress.after({"t": "event", "seq": seq, "type": kind, "task": task})
    assert progress.to_dict() == {"task": "b", "completed": 1, "total": 2}


@given(st.permutations([(1, "task_started", "a"), (2, "task_completed", "a"), (3, "task_started", "b")]))
def test_progress_does_not_depend_on_the_order_of_events(order):
    progress = Progress()
    for seq, kind, task in order:
        progress = progress.after({"t": "event", "seq": seq, "type": kind, "task": task})
    assert (progress.completed_tasks, progress.current_task) == (1, "b")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_whatever_a_slot_sends_is_strict_json_for_the_client(value):
    json.dumps(state.strict(value), allow_nan=False)


def test_view_of_a_waiting_kickoff_says_that_it_is_queued():
    seen = state.view(RUNNING, 5000)
    assert seen["queued"] is True
    assert seen["progress"] == {"completed_tasks": 0, "total_tasks": None}
    assert seen["execution_time"] == 0


def test_view_of_a_running_kickoff_has_the_platforms_shape():
    progress = json.dumps({"task": "write", "completed": 1, "total": 3})
    seen = state.view({**RUNNING, "started_at": "2000", "progress": progress}, 5500)
    assert (seen["status"], seen["current_task"], seen["execution_time"]) == ("running", "write", 3.5)
    assert seen["progress"] == {"completed_tasks": 1, "total_tasks": 3}
    assert seen["queued"] is False


@pytest.mark.parametrize(
    "outcome",
    [
        state.completed({"t": "result", "output": "x", "memory": "ok"}),
        state.failed({"t": "error", "kind": "exception", "message": "bad", "traceback": "T"}),
        state.timed_out(3),
        state.BY_CLIENT,
        state.REPLICA_LOST,
    ],
    ids=lambda one: f"{one.status}-{one.reason}",
)
def test_view_of_every_end_tells_status_time_memory_and_why(outcome: Outcome):
    fields = {**RUNNING, "status": outcome.status, "execution_ms": "1500", **record.outcome_fields(outcome)}
    seen = state.view(fields, 9000)
    assert seen["status"] == outcome.status
    assert seen["execution_time"] == 1.5
    assert seen["memory"] == outcome.memory
    assert ("error" in seen) == (outcome.status != "completed")
    assert seen.get("reason", "") == outcome.reason
    assert (seen.get("result") or {}).get("output") == ("x" if outcome.status == "completed" else None)


def test_broken_unicode_in_an_error_can_be_stored():
    fields = record.outcome_fields(Outcome("error", "CrewFailed", "bad \ud800 text"))
    assert "bad" in fields["error"]
    fields["error"].encode()


@pytest.mark.parametrize("outcome", [state.WORKER_LOST, state.REPLICA_LOST, state.DRAINED, state.lost(None, 512)])
def test_kickoff_that_was_taken_away_may_start_again(outcome):
    assert outcome.lost


@pytest.mark.parametrize(
    "outcome",
    [
        state.lost(Exit(signal="SIGKILL", reason="oom"), 512),
        state.lost(Exit(signal="SIGSEGV"), 512),
        state.lost(Exit(signal="SIGKILL"), 512),
        state.lost(Exit(code=0), 512),
        state.failed({"t": "error", "kind": "exit", "message": "sys.exit"}),
        state.wedged(30),
        state.timed_out(1),
        state.BABBLED,
        state.BY_CLIENT,
        state.too_many_attempts(3),
    ],
    ids=lambda one: one.reason,
)
def test_kickoff_that_would_end_so_again_does_not_start_again(outcome):
    assert not outcome.lost
