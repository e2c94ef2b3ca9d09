"""What a crew's texts ask for, what the report calls its embedder, and values as JSON holds them."""

import json

import pytest
from pydantic import BaseModel

from crew_runtime.crewai import inputs, kickoff, load, values
from support.user_crews import plain


class Shape(BaseModel):
    size: float
    tags: set[str]


def test_inputs_are_the_placeholders_and_not_any_braces():
    crew = plain.make()
    crew.tasks[0].description = 'Say {topic} as {"json": 1} or {}'
    crew.agents[0].goal = "please {guest_name}"
    assert inputs.asked_for(crew) == ("guest_name", "message", "topic")


def test_missing_inputs_keep_their_order():
    assert inputs.missing(("a", "b", "c"), {"b": None}) == ["a", "c"]


@pytest.mark.parametrize(
    ("embedder", "name"),
    [
        (None, ""),
        ({"provider": "openai", "config": {"model_name": "text-embedding-3-small"}}, "openai/text-embedding-3-small"),
        ({"provider": "ollama", "config": {"model": "nomic"}}, "ollama/nomic"),
        ({"provider": "custom", "config": {"embedding_callable": Shape}}, "custom/Shape"),
        ({"provider": "openai"}, "openai"),
    ],
)
def test_an_embedder_has_a_name(embedder, name):
    assert load.embedder_name(embedder) == name


def test_any_value_becomes_plain_json():
    value = {"shape": Shape(size=float("nan"), tags={"a"}), 1: (1, 2), "when": plain.NUMBER, "what": object}
    told = json.loads(json.dumps(values.plain(value), allow_nan=False))
    assert told["shape"] == {"size": None, "tags": ["a"]}
    assert told["1"] == [1, 2]
    assert told["what"] == "<class 'object'>"


def test_a_crew_is_never_kicked_off_itself_but_copied():
    crew = plain.make()
    before = crew.tasks[0].description
    loaded = load.Loaded(source="x", kind="crew", crew=crew)
    assert kickoff.run(loaded, {"message": "hi"}, "s").text == "two hi"
    assert crew.tasks[0].description == before
    assert crew.tasks[0].output is None
