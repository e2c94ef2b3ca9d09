"""What a kickoff's result says, of real crews and flows whose model is an HTTP server that counts tokens."""

import json
import threading
from collections.abc import Iterator
from datetime import date
from enum import Enum
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from crewai import LLM, Agent, Crew, Task
from crewai.crews.crew_output import CrewOutput
from crewai.flow.flow import Flow, listen, start
from pydantic import BaseModel, RootModel

from crew_runtime.crewai.outputs import results, usage
from support import openai_server
from support.user_crews import plain


class Urgency(Enum):
    HIGH = "high"


class Booking(BaseModel):
    urgency: Urgency
    day: date


BOOKING = Booking(urgency=Urgency.HIGH, day=date(2026, 1, 2))
STATE = object()
"""In the place of what is the flow's state."""


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    """The base URL of a model whose every call is of two tokens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), openai_server.Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def _counting_crew(url: str) -> Crew:
    llm = LLM(model="openai/gpt-4o-mini", base_url=url, api_key="none")
    agent = Agent(role="Clerk", goal="answer", backstory="knows", llm=llm, max_iter=2)
    return Crew(agents=[agent], tasks=[Task(description="Say peanuts", expected_output="a word", agent=agent)])


def _run(crew: Any) -> results.Output:
    before = usage.counted(crew)
    return results.of_crew(crew, crew.kickoff(inputs={"message": "hi"}), before)


def _with(after: Any) -> Crew:
    crew = plain.make()
    crew.after_kickoff_callbacks = [after]
    return crew


def test_a_crews_output_is_its_raw_and_not_pythons_notation():
    crew = plain.make()
    result = crew.kickoff(inputs={"message": "hi"})
    result.pydantic = BOOKING
    told = results.of_crew(crew, result, {})
    assert told.text == result.raw == "two hi"
    assert told.json == BOOKING.model_dump(mode="json") == {"urgency": "high", "day": "2026-01-02"}
    assert [(one["name"], one["output"], one["task_id"]) for one in told.tasks] == [
        ("one", "one hi", str(crew.tasks[0].id)),
        ("two", "two hi", str(crew.tasks[1].id)),
    ]
    assert all(one["execution_time"] > 0 for one in told.tasks)


@pytest.mark.parametrize(
    ("made", "text", "found"),
    [
        (None, "", None),
        ("short", "short", None),
        (BOOKING, '{"urgency": "high", "day": "2026-01-02"}', {"urgency": "high", "day": "2026-01-02"}),
        (RootModel[list[int]]([1, 2]), "[1, 2]", [1, 2]),
        (CrewOutput(raw="[1, 2]", pydantic=RootModel[list[int]]([1, 2])), "[1, 2]", [1, 2]),
        ({"day": date(2026, 1, 2)}, '{"day": "2026-01-02"}', {"day": "2026-01-02"}),
        (CrewOutput(raw="anew"), "anew", None),
    ],
)
def test_what_an_after_kickoff_returns_is_the_result_and_the_tasks_stay(made: Any, text: str, found: Any):
    told = _run(_with(lambda result: made))
    assert (told.text, told.json) == (text, found)
    assert [one["output"] for one in told.tasks] == ["one hi", "two hi"]
    assert [one["agent"] for one in told.tasks] == ["First", "Second"]
    json.dumps(told.tasks, allow_nan=False)


def test_usage_is_that_of_one_kickoff_however_often_the_crew_ran(model: str):
    crew = _counting_crew(model)
    first, second = _run(crew), _run(crew)
    assert first.usage is not None
    assert first.usage["total_tokens"] == 2 * first.usage["successful_requests"] > 0
    assert second.usage == first.usage
    assert crew.calculate_usage_metrics().total_tokens == 2 * first.usage["total_tokens"]


def test_usage_survives_an_after_kickoff_that_gives_something_else(model: str):
    crew = _counting_crew(model)
    crew.after_kickoff_callbacks = [lambda result: CrewOutput(raw="anew")]
    told = _run(crew)
    assert told.usage is not None
    assert told.usage["total_tokens"] > 0


def test_counting_leaves_the_crew_as_it_was(model: str):
    crew = _counting_crew(model)
    usage.counted(crew)
    assert crew.usage_metrics is None


def test_usage_of_attempts_adds_up():
    assert usage.total({"total_tokens": 2}, {"total_tokens": 3, "prompt_tokens": 1}) == {
        "total_tokens": 5,
        "prompt_tokens": 1,
    }
    assert usage.total(None, {"total_tokens": 3}) == {"total_tokens": 3}
    assert usage.total({"total_tokens": 2}, None) == {"total_tokens": 2}
    assert usage.total(None, None) is None


def test_a_flow_tells_the_tokens_of_all_that_it_called(model: str):
    crew = _counting_crew(model)

    class Two(Flow):
        @start()
        def crew_first(self) -> str:
            return str(crew.kickoff().raw)

        @listen(crew_first)
        def then_the_model(self, said: str) -> str:
            llm = LLM(model="openai/gpt-4o-mini", base_url=model, api_key="none")
            return str(llm.call(f"{said} peanuts"))

    flow = Two()
    told = results.of_flow(flow, flow.kickoff())
    assert told.usage is not None
    crews = crew.calculate_usage_metrics().total_tokens
    assert crews > 0
    assert told.usage["total_tokens"] == crews + 2
    again = results.of_flow(flow, flow.kickoff())
    assert again.usage == told.usage


@pytest.mark.parametrize(
    ("made", "text", "found"),
    [
        ("heard", "heard", STATE),
        (BOOKING, '{"urgency": "high", "day": "2026-01-02"}', {"urgency": "high", "day": "2026-01-02"}),
        ([BOOKING], '[{"urgency": "high", "day": "2026-01-02"}]', STATE),
        (Urgency.HIGH, "high", STATE),
        (date(2026, 1, 2), "2026-01-02", STATE),
        (True, "true", STATE),
        (2.5, "2.5", STATE),
        ({}, "{}", {}),
        (RootModel[list[Urgency]]([Urgency.HIGH]), '["high"]', ["high"]),
        (RootModel[int](7), "7", 7),
        (RootModel[str]("said"), "said", "said"),
        (RootModel[None](None), "null", None),
        (None, "", STATE),
        (CrewOutput(raw="raw", json_dict={"a": 1}), "raw", {"a": 1}),
    ],
)
def test_what_a_flow_returns_is_its_text_and_its_json_or_its_state(made: Any, text: str, found: Any):
    flow = plain.Conversation()
    told = results.of_flow(flow, made)
    assert told.text == text
    assert told.json == (flow.state.model_dump(mode="json") if found is STATE else found)


def test_a_flow_that_gives_its_crews_output_tells_the_crews_tasks():
    told = results.of_flow(plain.Conversation(), plain.make().kickoff(inputs={"message": "hi"}))
    assert [one["output"] for one in told.tasks] == ["one hi", "two hi"]
