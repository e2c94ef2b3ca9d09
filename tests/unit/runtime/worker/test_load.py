"""What a crew's texts ask for, what the report calls its embedder, and values as JSON holds them."""

import json

from pydantic import BaseModel

from crew_runtime.crewai.kickoffs import kickoff
from crew_runtime.crewai.loading import inputs, load
from crew_runtime.crewai.outputs import values
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


def test_any_value_becomes_plain_json():
    value = {"shape": Shape(size=float("nan"), tags={"a"}), 1: (1, 2), "when": plain.NUMBER, "what": object}
    told = json.loads(json.dumps(values.plain(value), allow_nan=False))
    assert told["shape"] == {"size": None, "tags": ["a"]}
    assert told["1"] == [1, 2]
    assert told["what"] == "<class 'object'>"


def test_the_crew_itself_is_kicked_off():
    made = load.Made(plain.make())
    loaded = load.Loaded("x", lambda: made, shared=True)
    assert kickoff.run(loaded, {"message": "hi"}, "s").text == "two hi"
    assert made.target.tasks[1].output.raw == "two hi"
