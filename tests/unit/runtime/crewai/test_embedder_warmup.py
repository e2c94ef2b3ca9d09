"""Which embedders of a crew are called before its kickoff, by their settings alone."""

import pytest
from crewai import Agent, Crew, Memory, Task

from crew_runtime.crewai.embedders import warmup
from support.user_crews.remembering import FilingLLM

KEYED = {"provider": "openai", "config": {"api_key": "sk-secret", "model_name": "text-embedding-3-small"}}
TINY = {"provider": "sentence-transformer", "config": {"model_name": "tiny"}}
LLM = FilingLLM(model="filing")


def crew(**more):
    who = Agent(role="Host", goal="answer", backstory="knows", llm=LLM)
    return Crew(agents=[who], tasks=[Task(description="Say it", expected_output="a line", agent=who)], **more)


def remembering(embedder):
    return crew(memory=Memory(llm=LLM, embedder=embedder))


@pytest.fixture
def tried(monkeypatch):
    """How many embedders were tried, each of which works."""
    calls = []
    monkeypatch.setattr(warmup, "_works", lambda call: calls.append(call) or True)
    return calls


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("made", [lambda: remembering(KEYED), lambda: remembering(None)])
def test_a_provider_that_asks_a_server_is_not_even_tried(tried, made, kept):
    """Its client would try again and again while the replica starts."""
    assert warmup.local(made(), kept=kept) == ()
    assert tried == []


def test_a_local_provider_is_told_by_its_settings_and_shown_without_them(tried):
    (name,) = warmup.local(remembering(TINY), kept=False)
    assert len(tried) == 1
    assert warmup.shown(name) == "sentence-transformer/tiny"


def test_one_of_a_crew_that_is_kept_is_told_by_its_place(tried):
    (name,) = warmup.local(remembering(TINY), kept=True)
    assert warmup.shown(name) == warmup.OF_MODULE


def test_settings_that_no_other_process_has_are_left_alone(tried):
    held = {"provider": "sentence-transformer", "config": {"model_name": "tiny", "device": object()}}
    assert warmup.local(remembering(held), kept=False) == ()
    assert tried == []
