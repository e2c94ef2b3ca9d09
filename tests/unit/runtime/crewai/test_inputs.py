"""The inputs that a kickoff has to give are those without which a real CrewAI raises, or those that were declared."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
from crewai import Crew

from crew_runtime.crewai.kickoffs import kickoff
from crew_runtime.crewai.loading import inputs, load
from support.user_crews import plain


def _menu() -> Crew:
    """A crew whose texts have two names in braces, of which none may be an input."""
    crew = plain.make()
    crew.tasks[0].description = 'Say {dish}: {price} as {"json": 1} or {} or {not this}'
    crew.tasks[1].description = "Say done"
    return crew


def _lone() -> Crew:
    """An agent that only a task names: CrewAI leaves its texts alone."""
    crew = plain.make()
    crew.agents[1].goal = "serve {guest}"
    crew.agents = crew.agents[:1]
    return crew


def _backstory() -> Crew:
    crew = plain.make()
    crew.agents[0].backstory = "has known {guest_name} for long"
    return crew


def _filled() -> Crew:
    crew = _menu()
    crew.before_kickoff_callbacks = [lambda given: {**(given or {}), "dish": "soup", "price": 3}]
    return crew


class Filling(Crew):
    """A crew that makes its inputs itself."""

    def kickoff(self, inputs: Any = None, **more: Any) -> Any:
        return super().kickoff(inputs={"message": "hi", **(inputs or {})}, **more)


def _subclass() -> Crew:
    made = plain.make()
    return Filling(agents=made.agents, tasks=made.tasks)


def _refused(crew: Crew, given: Mapping[str, Any], declared: Sequence[str] | None = None) -> bool:
    demand = inputs.demand(crew, {}, declared)
    return bool(given or demand.always) and bool(inputs.missing(demand.names, given))


@pytest.mark.parametrize("make", [plain.make, _menu, _lone, _backstory, _filled, _subclass])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"other": 1},
        {"message": "hi"},
        {"dish": "soup"},
        {"dish": "soup", "price": 3},
        {"message": 1, "guest_name": 2},
    ],
)
def test_a_kickoff_is_refused_exactly_when_crewai_itself_raises(make: Any, given: dict[str, Any]):
    refused = _refused(make(), given)
    # A task's texts raise ValueError, an agent's KeyError, both with the words of `interpolate_only`.
    with pytest.raises((ValueError, KeyError), match="not found in inputs") if refused else nullcontext():
        make().kickoff(inputs=dict(given)) if given else make().kickoff()


def test_a_crew_that_was_kicked_off_still_asks_for_its_inputs():
    crew = plain.make()
    crew.kickoff(inputs={"message": "hi"})
    assert inputs.asked_for(crew) == ("message",)


def test_names_that_a_definition_gives_are_not_asked_for_and_the_others_always_are():
    assert inputs.demand(_menu(), {"price": 3}, None) == inputs.Demand(("dish",), always=True)


def test_what_is_declared_is_demanded_of_every_kickoff_and_nothing_else_is():
    crew = _menu()
    assert inputs.demand(crew, {}, ["guest"]) == inputs.Demand(("guest",), always=True)
    assert _refused(crew, {}, ["guest"])
    assert not _refused(crew, {"guest": "Ann"}, ["guest"])
    assert not _refused(crew, {"x": 1}, [])


def _remembering(*texts: str) -> Crew:
    crew = _menu()
    crew.tasks[0].description = " ".join(texts)
    return crew


def test_what_was_said_before_is_asked_of_nobody_where_it_is_kept():
    crew = _remembering("{history}", "{dish}")
    assert inputs.demand(crew, {}, None, remembers=True) == inputs.Demand(("dish",), always=True)
    assert inputs.demand(crew, {}, ["history", "guest"], remembers=True) == inputs.Demand(("guest",), always=True)
    assert inputs.demand(crew, {}, None) == inputs.Demand(("dish", "history"), always=False)
    assert inputs.demand(_menu(), {}, None, remembers=True) == inputs.demand(_menu(), {}, None)
    assert inputs.demand(None, {}, ["history"], remembers=True) == inputs.Demand(("history",), always=True)


def test_what_was_said_before_is_filled_in_where_the_texts_ask_for_it_and_it_was_not_given():
    asking = _remembering("{history}")
    assert inputs.with_history(asking, {"dish": "soup"}, lambda: "said") == {"dish": "soup", "history": "said"}
    assert inputs.with_history(asking, {}, lambda: "") == {"history": ""}

    def never() -> str:
        raise AssertionError("nobody asked")

    assert inputs.with_history(asking, {"history": ""}, never) == {"history": ""}
    assert inputs.with_history(_menu(), {"dish": "soup"}, never) == {"dish": "soup"}
    assert inputs.with_history(asking, {"dish": "soup"}, None) == {"dish": "soup"}


def test_a_flow_asks_for_what_is_declared():
    assert inputs.demand(None, {}, None) == inputs.Demand((), always=False)
    assert inputs.demand(None, {}, ["message"]) == inputs.Demand(("message",), always=True)


def test_hooks_that_may_add_inputs_leave_the_asking_to_crewai():
    dispatch = pytest.importorskip("crewai.hooks.dispatch")

    def fill(context: Any) -> None:
        context.payload = {**(context.payload or {}), "dish": "soup", "price": 3}

    dispatch.register(dispatch.InterceptionPoint.INPUT, fill)
    try:
        assert not _refused(_menu(), {"dish": "soup"})
        assert _menu().kickoff(inputs={"dish": "soup"}).raw == "done"
    finally:
        dispatch.unregister(dispatch.InterceptionPoint.INPUT, fill)


def _run(crew: Crew, given: dict[str, Any], declared: Sequence[str] | None) -> Any:
    loaded = load.Loaded("x", lambda: load.Made(crew), shared=True)
    return kickoff.run(loaded, given, "s", declared=declared)


def test_braces_that_are_declared_away_stay_as_they_are():
    crew = _menu()
    crew.tasks[1].description = "Say {guest}"
    told = _run(crew, {"guest": "Ann"}, ["guest"])
    assert [one["output"] for one in told.tasks] == ['{dish}: {price} as {"json": 1} or {} or {not this}', "Ann"]
    assert crew.before_kickoff_callbacks == []
    with pytest.raises(ValueError, match="dish"):
        _run(_menu(), {"guest": "Ann"}, None)


def test_braces_that_are_declared_away_are_still_the_authors_own_callbacks_to_fill():
    crew = _menu()
    seen = []

    def fill(given: dict[str, Any]) -> dict[str, Any]:
        seen.append(dict(given))
        return {**given, "dish": "soup"}

    crew.before_kickoff_callbacks = [fill]
    told = _run(crew, {"guest": "Ann"}, ["guest"])
    assert seen == [{"guest": "Ann"}]
    assert told.tasks[0]["output"].startswith("soup: {price} as")
    assert crew.before_kickoff_callbacks == [fill]
