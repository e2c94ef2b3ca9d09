"""A kickoff that was lost goes on in a fresh crew or flow: what is finished is not done again.

Real crews and CrewAI's own loops, with a real Redis behind them. Each attempt gets only what a slot of another replica
would get; a loss is an error out of the place where the attempt is to end, that no crew catches.
"""

import contextvars
import json
import os
from dataclasses import asdict

import crewai
import pytest
from crewai.crews import utils
from crewai.flow.persistence import factory
from crewai.tools import tool
from crewai.utilities import task_output_storage_handler as handler

from crew_runtime.crewai.human_input.reviews import HumanAnswer, Pause
from crew_runtime.crewai.kickoffs import kickoff
from crew_runtime.crewai.loading.load import Loaded, Made
from crew_runtime.crewai.resuming import methods, tasks
from crew_runtime.crewai.resuming.tasks import Course
from crew_runtime.crewai.state import task_outputs
from crew_runtime.crewai.state.flows import FlowStates, RedisFlowPersistence
from crew_runtime.crewai.state.task_outputs import RedisTaskOutputsStorage, TaskOutputs
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.settings import Settings

# `@persist` asks for its store when a class is made, as in a slot.
factory.set_flow_persistence_factory(RedisFlowPersistence)
from support.user_crews import resumed  # noqa: E402

factory.set_flow_persistence_factory(None)


class LostError(BaseException):
    """The replica died here."""


class Attempts:
    """The attempts of one kickoff; each has a crew of its own."""

    def __init__(self, make, calls, monkeypatch):
        self.make = make
        self._calls = calls
        self._monkeypatch = monkeypatch
        self.rows: list = []
        self.begun: list = []
        self.number = 0

    def run(self, lost_at=None, answer=None):
        """One attempt; `lost_at`: where it is lost, by the name that the tool or method is called with."""
        self.number += 1
        self.begun = []
        given, rows = json.loads(json.dumps(self.rows)), self.rows

        def keep(index, row):
            assert index <= len(rows), "no gaps"
            rows[index:] = [json.loads(json.dumps(row))]

        def stick(name):
            if name == lost_at:
                raise LostError(name)

        self._monkeypatch.setattr(resumed, "stick", stick)
        course = Course(self.number, given, keep, lambda *told: self.begun.append(told))
        made = self.make()
        loaded = Loaded("x", lambda: Made(made))
        kick_off = contextvars.copy_context().run
        if lost_at is None:
            return kick_off(kickoff.run, loaded, {"topic": "tea"}, "session", answer, course)
        with pytest.raises(LostError, match=lost_at):
            kick_off(kickoff.run, loaded, {"topic": "tea"}, "session", answer, course)
        return None

    def calls(self):
        """What was done since the last look."""
        found = self._calls.read_text().split("\n")[:-1] if self._calls.exists() else []
        self._calls.write_text("")
        return found


@pytest.fixture
def attempts(tmp_path, monkeypatch, redis_env):
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    settings = Settings.from_env({**os.environ, **redis_env})
    connections = Connections(settings)
    guard = Guard(connections)
    monkeypatch.setattr(RedisFlowPersistence, "states", FlowStates(guard, settings.key_prefix))
    monkeypatch.setattr(RedisTaskOutputsStorage, "outputs", TaskOutputs(guard, settings.key_prefix))
    monkeypatch.setattr(handler, task_outputs.PATCHED, RedisTaskOutputsStorage)
    yield lambda make: Attempts(make, tmp_path / "calls", monkeypatch)
    connections.close()


ALL = ["tool one", "callback one", "tool two", "callback two", "tool three", "callback three"]


def test_tools_and_callbacks_of_finished_tasks_are_not_run_again(attempts):
    crew = attempts(resumed.crew)
    crew.run(lost_at="two")
    assert crew.begun == [], "a first attempt begins as any kickoff"
    assert crew.calls() == ALL[:3]
    ended = crew.run()
    assert crew.calls() == ALL[2:]
    assert crew.begun == [("two", 1, "")]
    assert [one["name"] for one in ended.tasks] == ["one", "two", "three"]
    assert ended.text == "did-three as three for tea given did-one,did-two"


def test_every_loss_goes_on_a_little_further(attempts):
    crew = attempts(resumed.crew)
    for name in ("one", "two", "three"):
        crew.run(lost_at=name)
    assert crew.calls() == [
        "tool one",
        "tool one",
        "callback one",
        "tool two",
        "tool two",
        "callback two",
        "tool three",
    ]
    assert crew.begun == [("two", 1, "")]
    crew.run()
    assert crew.begun == [("three", 2, "")]


def test_kickoff_lost_behind_its_last_task_runs_none_again(attempts):
    crew = attempts(resumed.crew)
    first = crew.run()
    crew.calls()
    again = crew.run()
    assert (crew.calls(), crew.begun) == ([], [("three", 3, "")])
    assert (again.text, again.tasks) == (
        first.text,
        [{**one, "task_id": other["task_id"]} for one, other in zip(first.tasks, again.tasks, strict=True)],
    )


def test_usage_is_that_of_all_attempts_up_to_their_last_finished_task(attempts):
    whole = attempts(resumed.crew).run().usage
    crew = attempts(resumed.crew)
    crew.run(lost_at="three")
    assert crew.run().usage == whole
    assert whole["total_tokens"] == 60


def test_inputs_of_the_first_attempt_hold_for_later_tasks(attempts):
    crew = attempts(resumed.prepared)
    crew.run(lost_at="two")
    assert crew.calls()[0] == "before_kickoff"
    ended = crew.run()
    assert crew.calls()[0] == "before_kickoff", "what it sets up in its process is needed in each"
    topics = {one["output"].split(" for ")[1].split()[0] for one in ended.tasks}
    assert len(topics) == 1, topics


def test_typed_skipped_and_guarded_tasks_are_restored_as_they_were(attempts):
    crew = attempts(resumed.mixed)
    crew.run(lost_at="last")
    assert crew.calls() == [
        "tool typed",
        "callback typed",
        "tool guarded",
        "guardrail",
        "callback guarded",
        "tool last",
    ]
    assert crew.rows[0]["output"]["pydantic"] == {"name": "typed", "size": 3}
    ended = crew.run()
    assert crew.calls() == ["tool last", "callback last"]
    assert [one["output"] for one in ended.tasks][:2] == ['{"name": "typed", "size": 3}', ""]


@pytest.mark.parametrize(
    ("make", "why"),
    [(resumed.led, tasks.HIERARCHICAL), (resumed.beside, tasks.ASYNC)],
    ids=["hierarchical", "async"],
)
def test_what_cannot_go_on_starts_anew_and_says_so(attempts, make, why):
    crew = attempts(make)
    crew.run(lost_at="two")
    assert crew.rows == []
    first = crew.calls()
    crew.run(lost_at="two")
    assert sorted(crew.calls()) == sorted(first)
    assert crew.begun == [(None, 0, why)]


def test_changed_crew_starts_anew_and_what_the_old_one_finished_is_not_mixed_in(attempts):
    crew = attempts(resumed.crew)
    crew.run(lost_at="three")
    crew.make = resumed.changed
    crew.calls()
    crew.run(lost_at="other")
    assert crew.begun == [(None, 0, tasks.CHANGED)]
    assert crew.calls() == ["tool one", "callback one", "tool other"]
    assert len(crew.rows) == 1, "the new crew's first task took the place of all the old crew's"
    crew.make = resumed.crew
    crew.run()
    assert crew.begun == [(None, 0, tasks.CHANGED)]


def altered(change):
    made = resumed.crew()
    change(made)
    return made


OTHER_TOOL = tool("another")(resumed.act.func)
CHANGES = {
    "role": lambda made: setattr(made.agents[0], "role", "Other"),
    "goal": lambda made: setattr(made.agents[0], "goal", "other"),
    "backstory": lambda made: setattr(made.agents[0], "backstory", "other"),
    "tool of an agent": lambda made: made.agents[0].tools.append(OTHER_TOOL),
    "tool of a task": lambda made: made.tasks[2].tools.append(OTHER_TOOL),
    "agent of a task": lambda made: setattr(made.tasks[2], "agent", resumed.agent(role="Other")),
    "another agent": lambda made: made.agents.append(resumed.agent(role="Other")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_rollout_that_changes_agents_or_tools_starts_anew(attempts, change):
    crew = attempts(resumed.crew)
    crew.run(lost_at="three")
    crew.make = lambda: altered(change)
    crew.calls()
    crew.run(lost_at="three")
    assert crew.begun == [(None, 0, tasks.CHANGED)]
    assert crew.calls() == ["tool one", "callback one", "tool two", "callback two", "tool three"]
    crew.run()
    assert crew.begun == [("three", 2, "")], "the changed crew knows itself again"
    assert crew.calls() == ["tool three", "callback three"]


def test_rollout_of_another_crewai_starts_anew(attempts, monkeypatch):
    crew = attempts(resumed.crew)
    crew.run(lost_at="three")
    monkeypatch.setattr(crewai, "__version__", "0")
    crew.run()
    assert crew.begun == [(None, 0, tasks.CHANGED)]


def test_inputs_are_no_change():
    made = altered(lambda one: setattr(one.agents[0], "role", "Doer of {topic}"))
    before = tasks.mark(made)
    made._interpolate_inputs({"topic": "tea"})
    assert (made.agents[0].role, tasks.mark(made)) == ("Doer of tea", before)


@pytest.mark.parametrize("authors", [None, "of the author's"])
def test_what_an_attempt_sets_on_the_crew_is_put_back(attempts, authors):
    crew = attempts(resumed.crew)
    crew.run(lost_at="three")
    made = resumed.crew()
    made.checkpoint_kickoff_event_id = authors
    crew.make = lambda: made
    crew.run()
    assert crew.begun == [("three", 2, "")]
    assert (made.checkpoint_kickoff_event_id, made.before_kickoff_callbacks) == (authors, [])


def test_files_that_a_before_kickoff_makes_are_there_in_each_attempt(attempts, monkeypatch):
    class File:
        """crewai-files is optional: a type that CrewAI takes for one of its."""

    given = []
    monkeypatch.setattr(utils, "_FILE_TYPES", (File,))
    monkeypatch.setattr(utils, "store_files", lambda _, files: given.append(files))
    made = File()

    def crew_with_file():
        return altered(
            lambda one: one.before_kickoff_callbacks.append(lambda told: {**told, "menu": made, "n": number()})
        )

    numbers = iter(range(9))

    def number():
        return next(numbers)

    crew = attempts(crew_with_file)
    crew.run(lost_at="three")
    crew.run()
    assert crew.begun == [("three", 2, "")]
    assert given == [{"menu": made}] * 2
    assert crew.rows[-1]["inputs"] == {"topic": "tea", "n": 0}, "of the first attempt"


def test_loss_before_any_task_has_finished_is_named(attempts):
    crew = attempts(resumed.crew)
    crew.run(lost_at="one")
    crew.run()
    assert crew.begun == [(None, 0, tasks.NOTHING_FINISHED)]


def test_row_that_no_longer_fits_the_tasks_model_starts_anew(attempts):
    crew = attempts(resumed.mixed)
    crew.run(lost_at="last")
    crew.rows[0]["output"]["pydantic"] = {"name": "typed"}
    crew.calls()
    crew.run()
    assert crew.begun == [(None, 0, tasks.CHANGED)]
    assert crew.calls()[0] == "tool typed"


def test_replay_knows_the_tasks_of_all_attempts(attempts):
    crew = attempts(resumed.crew)
    crew.run(lost_at="two")
    crew.run()
    made = resumed.crew()
    assert [row["task_index"] for row in made._task_output_handler.load()] == [0, 1, 2]


def approved(pause):
    saved = json.loads(json.dumps(asdict(pause)))["saved"]
    return HumanAnswer(saved, "", True)


def test_loss_behind_an_answered_task_does_not_ask_again(attempts):
    crew = attempts(resumed.reviewed)
    asked = crew.run()
    assert isinstance(asked, Pause)
    crew.calls()
    crew.run(lost_at="four", answer=approved(asked))
    assert crew.begun == [("two", 1, "")]
    assert crew.calls() == ["callback two", "tool three", "callback three", "tool four"]
    ended = crew.run(answer=approved(asked))
    assert crew.begun == [("four", 3, "")]
    assert crew.calls() == ["tool four", "callback four"]
    assert len(ended.tasks) == 4
    assert ended.usage["total_tokens"] == 80


def test_loss_at_the_answered_task_goes_on_from_the_answer(attempts, monkeypatch):
    crew = attempts(resumed.reviewed)
    asked = crew.run()
    crew.run(lost_at="three", answer=approved(asked))
    crew.rows[1:] = []
    crew.calls()
    ended = crew.run(answer=approved(asked))
    assert crew.begun == [("two", 1, "")]
    assert crew.calls() == ["callback two", "tool three", "callback three", "tool four", "callback four"]
    assert len(ended.tasks) == 4


# -- flows ------------------------------------------------------------------------------------------------------------

LOOP = ["draft", "judge Thing 1", "draft", "judge Thing 2", "publish"]


def test_persisted_flow_goes_on_behind_its_finished_methods_through_loops_and_routers(attempts):
    flow = attempts(resumed.Written)
    flow.run(lost_at="publish")
    assert flow.calls() == LOOP
    flow.run(lost_at="praise")
    assert (flow.calls(), flow.begun) == (["publish", "praise GOOD"], [("publish", 4, "")])
    ended = flow.run()
    assert (flow.calls(), flow.begun) == (["praise GOOD"], [("praise", 5, "")])
    assert ended.text == "good tea++ 2", "each change of the state is made once"
    assert (ended.json["drafts"], ended.json["topic"]) == (2, "tea++")


def test_methods_side_by_side_are_each_run_once_and_waited_for(attempts):
    flow = attempts(resumed.Gathered)
    flow.run(lost_at="further")
    assert sorted(flow.calls()) == ["begin", "further left", "left begun", "right begun"]
    ended = flow.run()
    assert (flow.calls(), flow.begun) == (["further left", "gather"], [("further", 3, "")])
    assert ended.text == "gathered"


def test_method_that_is_not_persisted_runs_again_over_the_state_before_it(attempts):
    flow = attempts(resumed.Partly)
    flow.run(lost_at="third")
    flow.calls()
    ended = flow.run()
    assert (flow.calls(), flow.begun) == (["second first", "third second"], [("second", 1, "")])
    assert ended.text == "2"


def test_next_kickoff_of_the_session_is_a_first_attempt_again(attempts):
    flow = attempts(resumed.Written)
    flow.run(lost_at="praise")
    flow.run()
    later = attempts(resumed.Written)
    flow.calls()
    later.run()
    assert later.calls()[0] == "draft"


@pytest.mark.parametrize(
    ("make", "then", "why"),
    [
        (resumed.Unkept, resumed.Unkept, methods.NOT_PERSISTED),
        (resumed.Written, resumed.Renamed, methods.CHANGED),
        (resumed.Opaque, resumed.Opaque, "the type object is not the same"),
        (resumed.Carrying, resumed.Carrying, "keeps more in itself than its state"),
    ],
    ids=["not persisted", "changed", "not JSON", "more than its state"],
)
def test_flow_that_cannot_go_on_starts_anew_and_says_so(attempts, make, then, why):
    flow = attempts(make)
    flow.run(lost_at={resumed.Written: "publish", resumed.Opaque: None}.get(make, "second"))
    flow.calls()
    flow.make = then
    flow.run()
    ((task, completed, told),) = flow.begun
    assert (task, completed) == (None, 0)
    assert why in told
    assert flow.calls()[0] in ("first", "begin")
