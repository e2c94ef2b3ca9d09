"""A question to a person: from its frame to what is stored and shown; and what an answer must say."""

import json

import pytest

from crew_server import requests
from crew_server.errors import RequestError
from crew_server.queue import human, record, state

FRAME = {
    "t": "paused",
    "id": "k",
    "task_id": "q",
    "kind": "task",
    "task": "write",
    "agent": "Writer",
    "output": "a draft",
    "message": "",
    "choices": [],
    "round": 2,
    "completed": 1,
    "saved": {"messages": ["secret"]},
    "memory": "degraded",
}
STORED = {
    "kickoff_id": "k",
    "session_id": "ada",
    "inputs": "{}",
    "meta": "{}",
    "timeout": "60",
    "attempt": "3",
    "created_at": "1000",
    "started_at": "91000",
}


def test_question_shows_what_a_person_needs_and_nothing_of_what_is_saved():
    outcome = state.paused(FRAME)
    assert (outcome.status, outcome.memory) == (state.PENDING, "degraded")
    fields = {
        **STORED,
        "status": state.PENDING,
        **record.outcome_fields(outcome),
        "asked_at": "5500",
        "answer_by": "9000",
    }
    seen = state.view(fields, 10_000)
    assert {"task_id": "q", "task": "write", "output": "a draft", "round": 2}.items() <= seen.items()
    assert (seen["since"], seen["until"]) == (5.5, 9.0)
    assert "secret" not in json.dumps(seen)


def test_claim_after_an_answer_carries_both_halves_and_waited_since_the_answer():
    pause = human.paused(FRAME)
    fields = {**STORED, **human.pause_fields(pause), **human.answer_fields("warmer", approved=False)}
    claim = record.claimed({**fields, "answered": "q", "resumed_at": "90000"})
    assert claim.resume == state.Resume("q", {"messages": ["secret"]}, "warmer", approved=False)
    assert (claim.completed, claim.waited) == (1, 1.0)
    # A server that has to write it again to a Redis that lost it loses nothing.
    assert record.claimed({**STORED, **record.claim_fields(claim)}).resume == claim.resume


def test_claim_of_a_kickoff_that_never_asked_has_no_answer():
    assert record.claimed(STORED).resume is None


@pytest.mark.parametrize("odd", [{}, {"completed": "many"}, {"saved": None}])
def test_odd_frame_of_a_slot_is_no_error(odd):
    pause = human.paused({"t": "paused", **odd})
    assert (pause.completed, pause.saved) == (0, {})


@pytest.mark.parametrize(("approve", "text", "good"), [(True, "", True), (False, "why", True), (False, " \n", False)])
def test_refusal_has_to_say_what_to_change(approve, text, good):
    body = requests.ResumeRequest(execution_id="k", task_id="q", is_approve=approve, human_feedback=text)
    if good:
        assert requests.checked_feedback(body) == text
        return
    with pytest.raises(RequestError, match="what to change"):
        requests.checked_feedback(body)
