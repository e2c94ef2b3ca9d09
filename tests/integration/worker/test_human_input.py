"""A kickoff that asks is put away as JSON and goes on in a fresh crew: what is done is not done again.

Real crews and CrewAI's own loop; each attempt gets only what a slot of another replica would get.
"""

import contextvars
import json
from dataclasses import asdict

import pytest

from crew_runtime.crewai.human_input import flow_feedback
from crew_runtime.crewai.human_input.reviews import CrewChangedError, HumanAnswer, Pause, UnsupportedHumanInputError
from crew_runtime.crewai.kickoffs import kickoff
from crew_runtime.crewai.loading.load import Loaded, Made
from support.user_crews import reviewed


class Attempts:
    """The attempts of one kickoff; each has a crew of its own."""

    def __init__(self, make, calls):
        self.make = make
        self._calls = calls

    def run(self, feedback=None, pause=None, *, approve=True):
        loaded = Loaded("x", lambda: Made(self.make()))
        answer = None
        if pause is not None:
            saved = json.loads(json.dumps(asdict(pause), allow_nan=False))["saved"]
            answer = HumanAnswer(saved, feedback or "", approve)
        return contextvars.copy_context().run(kickoff.run, loaded, {"topic": "tea"}, "session", answer)

    def calls(self):
        """What the LLM was asked since the last look."""
        found = self._calls.read_text().split("\n")[:-1] if self._calls.exists() else []
        self._calls.write_text("")
        return found


@pytest.fixture
def attempts(tmp_path, monkeypatch):
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    monkeypatch.setattr(flow_feedback.flow_config, "_hitl_provider", None)
    monkeypatch.setattr(flow_feedback.flow_config, "_input_provider", None)
    flow_feedback.register()
    return lambda make: Attempts(make, tmp_path / "calls")


def test_finished_tasks_are_not_run_again_and_an_approval_needs_no_llm(attempts):
    crew = attempts(reviewed.three)
    first = crew.run()
    assert isinstance(first, Pause)
    assert (first.kind, first.task, first.agent, first.round, first.completed) == ("task", "two", "Writer", 1, 1)
    assert first.output == "<two given one"
    assert crew.calls() == ["one:", "callback one", "two:"]
    second = crew.run(pause=first)
    assert crew.calls() == ["callback two", "three:"]
    assert (second.task, second.round, second.completed) == ("three", 2, 2)
    # What a person approved is what the next task is given.
    assert second.output == "<three given one,two"
    ended = crew.run(pause=second)
    assert crew.calls() == ["callback three"]
    assert ended.text == "<three given one,two"
    assert [one["output"] for one in ended.tasks] == ["<one given nothing", "<two given one", "<three given one,two"]
    assert [one["name"] for one in ended.tasks] == ["one", "two", "three"]
    assert all(one["execution_time"] is not None for one in ended.tasks)


def test_feedback_goes_on_with_the_conversation_and_is_asked_about_again(attempts):
    crew = attempts(reviewed.three)
    asked = crew.run()
    crew.calls()
    for number, feedback in enumerate(("shorter", "warmer"), start=2):
        asked = crew.run(feedback, asked, approve=False)
        assert (asked.task, asked.round) == ("two", number)
    assert crew.calls() == ["two:shorter", "two:shorter,warmer"]
    assert asked.output == "<two<shorter<warmer given one"
    assert [one["role"] for one in asked.saved["messages"]][-5:] == ["assistant", "user"] * 2 + ["assistant"]
    assert crew.run(pause=asked).output == "<three given one,shorter,two,warmer"
    assert crew.calls() == ["callback two", "three:"]


def test_each_question_has_an_id_of_its_own(attempts):
    crew = attempts(reviewed.three)
    first = crew.run()
    assert first.task_id != crew.run("again", first, approve=False).task_id


def test_tokens_of_all_attempts_are_counted(attempts):
    crew = attempts(reviewed.three)
    first = crew.run()
    first.saved["usage"]["total_tokens"] = 40
    assert crew.run(pause=crew.run(pause=first)).usage["total_tokens"] == 40


def test_async_skipped_and_typed_tasks_are_kept(attempts):
    crew = attempts(reviewed.mixed)
    asked = crew.run()
    assert (asked.task, asked.completed) == ("last", 4)
    assert sorted(crew.calls()) == ["beside:", "last:", "one:", "typed:"]
    ended = crew.run(pause=asked)
    assert crew.calls() == []
    assert [one["output"] for one in ended.tasks][2:4] == ["", '{"said": "json"}']
    assert len(ended.tasks) == 5


def test_reviewed_json_becomes_the_tasks_model(attempts):
    crew = attempts(reviewed.typed)
    asked = crew.run()
    crew.calls()
    ended = crew.run(pause=asked)
    assert (crew.calls(), ended.json) == ([], {"said": "json"})


def test_guardrail_that_refuses_what_was_approved_is_asked_about_again(attempts):
    crew = attempts(reviewed.guarded)
    again = crew.run(pause=crew.run())
    assert isinstance(again, Pause)
    assert (again.round, "<more" in again.output) == (2, True)
    assert "<more" in crew.run(pause=again).text


def test_managers_answer_is_reviewed(attempts):
    crew = attempts(reviewed.led)
    asked = crew.run()
    assert (asked.task, asked.completed) == ("two", 1)
    crew.calls()
    assert crew.run(pause=asked).text == "<two given one"
    assert crew.calls() == []


def test_crew_that_changed_meanwhile_does_not_go_on(attempts):
    crew = attempts(reviewed.three)
    asked = crew.run()
    crew.make = reviewed.mixed
    with pytest.raises(CrewChangedError, match="kick it off again"):
        crew.run(pause=asked)


def test_review_of_an_async_task_is_refused_before_anything_is_done(attempts):
    crew = attempts(reviewed.both)
    with pytest.raises(UnsupportedHumanInputError, match="choose one: one"):
        crew.run()
    assert crew.calls() == []


def test_crew_inside_of_a_flow_cannot_ask_and_is_tried_once(attempts):
    flow = attempts(reviewed.NestingFlow)
    with pytest.raises(UnsupportedHumanInputError, match="human_feedback"):
        flow.run()
    assert flow.calls() == ["one:", "callback one", "two:"]


def test_flow_that_asks_in_the_middle_of_a_method_is_told_what_to_do(attempts):
    with pytest.raises(RuntimeError, match="human_feedback"):
        attempts(reviewed.AskingFlow).run()


@pytest.mark.parametrize("make", [reviewed.ReviewFlow, reviewed.made_flow])
def test_flow_goes_on_after_each_feedback_as_often_as_an_attempt_needs(attempts, make):
    flow = attempts(make)
    first = flow.run()
    assert (first.kind, first.task, first.output, first.message) == (
        "flow",
        "draft",
        "a draft of tea",
        "Is the draft good?",
    )
    # The second time is that of a replica that goes on after another died: the pause is used up by then.
    for _ in range(2):
        second = flow.run("good", first)
        assert (second.task, second.output, second.round) == ("headline", "a draft of tea, good", 2)
    ended = flow.run("bold", second)
    assert ended.text == "published a draft of tea, good, bold; drafted 1"
    assert flow.calls() == ["draft", "headline after good", "headline after good", "publish after bold"]


def test_without_a_slot_crewai_asks_on_the_console(attempts, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda: "")
    crew = contextvars.copy_context().run(lambda: reviewed.three().kickoff(inputs={"topic": "tea"}))
    assert crew.raw == "<three given one,two"
