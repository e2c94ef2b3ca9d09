"""What is written and read of messages, compared with the real langchain-core."""

import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, message_to_dict, messages_from_dict

import crew_runtime
from crew_runtime.contract import messages

NEEDED = {"tool_call_id": "c1", "role": "guest", "name": "look_up"}


def _raw(kind, **data):
    return json.dumps({"type": kind, "data": {"content": "x", **data}})


@pytest.mark.parametrize("text", ["hi", "", 'ü "🥜" \\ \x00', "\ud800", "{topic}"])
def test_elements_are_those_of_langchain_to_the_byte(text):
    told = {"kickoff_id": "k", "at": 1.5}
    more = {"additional_kwargs": {"crewops": told}}
    human, ai = HumanMessage(text, id="k:user", **more), AIMessage(text, id="k:ai", **more)
    assert messages.written("human", text, "k:user", told) == json.dumps(message_to_dict(human))
    assert messages.written("ai", text, "k:ai", told) == json.dumps(message_to_dict(ai))


@pytest.mark.parametrize("kind", sorted(messages.TYPES))
def test_whatever_is_read_langchain_takes(kind):
    found = messages.read(_raw(kind, **NEEDED))
    assert found is not None
    (made,) = messages_from_dict([found])
    assert messages.read(json.dumps(message_to_dict(made))) is not None


@pytest.mark.parametrize("kind", ["assistant", "user", "Human", "MessageChunk", "", "humanMessageChunk"])
def test_what_langchain_refuses_is_not_read(kind):
    assert messages.read(_raw(kind, **NEEDED)) is None
    with pytest.raises(ValueError, match="unexpected message type"):
        messages_from_dict([json.loads(_raw(kind, **NEEDED))])


def test_message_that_says_nothing_is_not_read():
    assert messages.read(json.dumps({"type": "remove", "data": {"id": "m1", "content": ""}})) is None


@pytest.mark.parametrize("kind", ["tool", "chat", "function", "ToolMessageChunk"])
def test_message_without_what_its_type_needs_is_not_read(kind):
    assert messages.read(_raw(kind)) is None


def test_a_text_that_is_too_long_is_cut_and_says_so():
    found = messages.read(messages.written("ai", "\U0001f95c" * (messages.MOST_TEXT + 1), "k:ai", {}))
    assert found is not None, "the longest that is written is read"
    assert len(found["data"]["content"]) == messages.MOST_TEXT
    assert found["data"]["additional_kwargs"]["crewops"] == {"cut_from": messages.MOST_TEXT + 1}


def test_a_transcript_says_who_said_what_and_leaves_the_oldest_out():
    blocks = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": "x"}, "b"]
    said = [
        {"type": "human", "data": {"content": blocks}},
        {"type": "AIMessageChunk", "data": {"content": "c"}},
        {"type": "tool", "data": {"content": "d"}},
        {"type": "chat", "data": {"content": "e"}},
    ]
    assert messages.transcript(said, 1000) == "User: a\nb\nAssistant: c\nTool: d\nOther: e"
    assert messages.transcript(said, 20) == "Tool: d\nOther: e"
    assert messages.transcript(said[-1:], 9) == "Other: e"
    assert messages.transcript(said[-1:], 6) == "Other:"
    assert messages.transcript([], 10) == ""


def test_there_is_no_history_outside_a_session_and_none_without_a_backend():
    assert crew_runtime.history() == []
    with crew_runtime.session("ada"), pytest.raises(RuntimeError, match=r"crew_runtime\.install\(\)"):
        crew_runtime.history()
