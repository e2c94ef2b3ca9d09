"""A kickoff's turn: when there is one, and what is said in it."""

import json

import pytest

from crew_server.queue import state, turns


def _claim(**inputs):
    return state.Claim(state.Request("k", "ada", inputs, {}, 60), attempt=1, losses=0, waited=0.0)


def _outcome(output="yes", status=state.COMPLETED):
    return state.Outcome(status, result={"output": output, "json": None, "tasks": [], "usage": None})


def _said(said="", **inputs):
    turn = turns.of(_claim(**inputs), _outcome(), said, 1.0, 2.5)
    assert turn is not None
    return json.loads(turn.user)["data"]["content"]


def test_a_turn_says_whose_it_is_and_when():
    turn = turns.of(_claim(message="hi"), _outcome(), "message", 1.0, 2.5)
    assert turn is not None
    user, answer = json.loads(turn.user), json.loads(turn.answer)
    assert (user["type"], user["data"]["content"], user["data"]["id"]) == ("human", "hi", "k:user")
    assert (answer["type"], answer["data"]["content"], answer["data"]["id"]) == ("ai", "yes", "k:ai")
    assert user["data"]["additional_kwargs"] == {"crewops": {"kickoff_id": "k", "at": 1.0}}
    assert answer["data"]["additional_kwargs"] == {"crewops": {"kickoff_id": "k", "at": 2.5}}


def test_what_the_user_said_is_the_named_input_or_all_of_them():
    assert _said("message", message="hi", room=1) == "hi"
    assert _said("message", message={"text": "hi"}) == '{"text": "hi"}'
    assert _said("message", message="") == ""
    assert _said("message", room=1) == '{"room": 1}', "it was not given"
    assert _said(room=1, history="said before", guest="Ä") == '{"room": 1, "guest": "Ä"}'
    assert _said(x=float("nan")) == '{"x": null}'
    assert _said() == "{}"


@pytest.mark.parametrize("status", [state.ERROR, state.TIMEOUT, state.CANCELLED])
def test_only_a_kickoff_that_completed_is_a_turn(status):
    assert turns.of(_claim(), _outcome(status=status), "", 1.0, 2.0) is None
    assert turns.of(_claim(), state.Outcome(state.COMPLETED), "", 1.0, 2.0) is None


def test_a_crew_that_answered_nothing_said_so():
    turn = turns.of(_claim(), _outcome(output=None), "", 1.0, 2.0)
    assert turn is not None
    assert json.loads(turn.answer)["data"]["content"] == ""
