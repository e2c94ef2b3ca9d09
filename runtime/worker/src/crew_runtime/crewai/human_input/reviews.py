"""Human input of a crew's tasks without a process that waits for a person.

In: a task's answer that CrewAI wants reviewed. Out: `Asked`, which unwinds the kickoff and carries all that another
process needs to go on; and, in that process, the answer put where CrewAI reads it. A flow pauses by CrewAI's own
means (`flow_feedback`). Without a slot of ours nothing is registered, and CrewAI asks on the console.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crewai.agents.parser import AgentFinish
from crewai.core.providers.human_input import HumanInputProvider, SyncHumanInputProvider
from crewai.tasks.conditional_task import ConditionalTask

from crew_runtime.crewai.outputs import task_results, usage

try:
    from crewai.hooks.dispatch import HookAborted
except ModuleNotFoundError:
    # CrewAI before 1.15.10 knows no error after which agents do not try again: they do, and end with it all the same.
    HookAborted = RuntimeError  # type: ignore[misc,assignment]


@dataclass(frozen=True)
class Pause:
    """A kickoff that goes on when a person has answered, here or elsewhere. In JSON's types."""

    kind: str
    """`task` or `flow`."""
    task: str
    """The name of the task, or of the flow's method."""
    output: str
    """What is to be reviewed."""
    saved: Mapping[str, Any]
    """For `HumanAnswer`."""
    agent: str = ""
    message: str = ""
    """What the flow's author wrote for the reviewer."""
    choices: tuple[str, ...] = ()
    """The outcomes that a flow tells apart."""
    round: int = 1
    """How often this kickoff has asked by now."""
    completed: int = 0
    """Tasks that are finished."""
    task_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Of this question: another one, also of the same task, has another. So an answer cannot reach the wrong one."""


@dataclass(frozen=True)
class HumanAnswer:
    """What a person said to a `Pause`."""

    saved: Mapping[str, Any]
    feedback: str
    approved: bool

    @property
    def round(self) -> int:
        """Of the question that it answers."""
        return int(self.saved.get("round", 1))

    @property
    def usage(self) -> Any:
        """The tokens that the kickoff had used up to the question; None when they are not known."""
        return self.saved.get("usage")


class Asked(BaseException):
    """A task asks a person. No `Exception`: an agent would try its task again, and a crew report a failure."""

    def __init__(self, pause: Pause) -> None:
        super().__init__(f"the task '{pause.task}' waits for a person")
        self.pause = pause


class UnsupportedHumanInputError(HookAborted):
    """A task asks where its kickoff cannot be put away. A HookAborted, because agents do not try again after one."""


class CrewChangedError(ValueError):
    """The crew that should go on is not the one that asked."""


class TaskReview(HumanInputProvider):
    """CrewAI's provider for one kickoff: of `crew`, or of a flow, whose crews cannot pause."""

    def __init__(
        self, crew: Any = None, answer: HumanAnswer | None = None, before: Mapping[str, Any] | None = None
    ) -> None:
        """`answer`: to the question that this kickoff ended with before. Raises what `check` and `restore` do.

        `before`: `usage` and `round` of earlier attempts, when there is no answer to apply.
        """
        self._crew = crew
        self._answer = answer
        earlier = answer.saved if answer else before or {}
        self._counted = usage.counted(crew)
        self._earlier = earlier.get("usage")
        self._round = int(earlier.get("round", 1 if answer else 0))
        self.asked: Asked | None = None
        """What this kickoff ended with, if it did: raised in a thread of the crew's it may reach nobody."""
        self._keys = [] if crew is None else [str(task.key) for task in crew.tasks]
        if crew is not None:
            check(crew)
        if answer is not None:
            restore(crew, answer.saved)

    def setup_messages(self, context: Any) -> bool:
        """Let the asked task's agent go on from where it was; any other begins as always."""
        answer = self._answer
        if answer is None or self._index(context.task) != answer.saved["index"]:
            return False
        for index, task in enumerate(self._crew.tasks[: answer.saved["index"]]):
            # The start of a kickoff has dropped what `Crew.replay` would read.
            self._crew._store_execution_log(task, task.output, index, False)
        context.messages[:] = [dict(message) for message in answer.saved["messages"]]
        # As in CrewAI's own second rounds: no plan is made again.
        context._is_feedback_iteration = True
        if answer.approved:
            # Its loop ends at once with what it has (AgentExecutor.call_llm_and_parse, 1.15.30).
            context.state.current_answer = AgentFinish(**answer.saved["answer"])
            context.state.is_finished = True
        else:
            context.messages.append(context._format_feedback_message(answer.feedback))
        return True

    def post_setup_messages(self, context: Any) -> None:
        """Nothing to add."""

    def handle_feedback(self, formatted_answer: AgentFinish, context: Any) -> AgentFinish:
        """Take an approved answer; raise Asked for any other, as the console asks until there is no feedback.

        A crew that is trained is its author's to answer, in the way that CrewAI asks.
        """
        if context._is_training_mode():
            return SyncHumanInputProvider().handle_feedback(formatted_answer, context)
        answer = self._answer
        if answer is not None and self._index(context.task) == answer.saved["index"]:
            self._answer = None
            context._is_feedback_iteration = False
            if answer.approved:
                context.ask_for_human_input = False
                return formatted_answer
        error = self._ask(formatted_answer, context)
        if isinstance(error, Asked):
            self.asked = error
        raise error

    async def handle_feedback_async(self, formatted_answer: AgentFinish, context: Any) -> AgentFinish:
        """The same: nothing waits."""
        if context._is_training_mode():
            return await SyncHumanInputProvider().handle_feedback_async(formatted_answer, context)
        return self.handle_feedback(formatted_answer, context)

    def _index(self, task: Any) -> int:
        tasks = () if self._crew is None else self._crew.tasks
        return next((index for index, one in enumerate(tasks) if one is task), -1)

    def _ask(self, answer: AgentFinish, context: Any) -> BaseException:
        index = self._index(context.task)
        if index < 0:
            name = getattr(context.task, "name", None) or "a task"
            return UnsupportedHumanInputError(
                f"{name} has human_input, in a crew that is kicked off by a flow or a tool: such a kickoff cannot wait "
                "for a person. Remove human_input there, and let the flow ask with @human_feedback"
            )
        task = self._crew.tasks[index]
        text = self._get_output_string(answer)
        saved = {
            "kind": "task",
            "index": index,
            "round": self._round + 1,
            "tasks": self._keys,
            "outputs": [_output_of(one) for one in self._crew.tasks[:index]],
            "messages": task_results.conversation(context.messages, answer.text),
            # A model is its JSON from here on: the task reads it again, as it reads any text.
            "answer": {"thought": answer.thought, "text": answer.text, "output": text},
            "usage": usage.total(usage.since(self._crew.calculate_usage_metrics(), self._counted), self._earlier),
        }
        name = task.name or task.description
        agent = getattr(context.agent, "role", "")
        return Asked(Pause("task", name, text, saved, agent=agent, round=self._round + 1, completed=index))


def check(crew: Any) -> None:
    """Raises UnsupportedHumanInputError when a task asks while others run: the kickoff could not be put away."""
    if both := [one.name or one.description for one in crew.tasks if one.human_input and one.async_execution]:
        text = f"these tasks have human_input and async_execution, choose one: {', '.join(both)}"
        raise UnsupportedHumanInputError(text)


def restore(crew: Any, saved: Mapping[str, Any]) -> None:
    """Make a fresh crew one whose first tasks are done. Raises CrewChangedError."""
    if crew is None or [str(task.key) for task in crew.tasks] != saved.get("tasks"):
        text = "the crew was changed while its kickoff waited for a person, so it cannot go on: kick it off again"
        raise CrewChangedError(text)
    go_on(crew, saved["outputs"])


def go_on(crew: Any, finished: Sequence[Mapping[str, Any]]) -> None:
    """Have a crew begin behind its first tasks, whose outputs are given. Raises when one does not fit its task."""
    for task, packed in zip(crew.tasks, finished, strict=False):
        task_results.restore(task, packed)
    for task in crew.tasks[len(finished) :]:
        # Of an earlier kickoff, where a process runs more than one.
        task.output = None
    # How CrewAI itself goes on from a checkpoint: at the first task without an output (Crew._execute_tasks, 1.15.30).
    crew.checkpoint_kickoff_event_id = "resumed"


def _output_of(task: Any) -> dict[str, Any]:
    if task.output is None and isinstance(task, ConditionalTask):
        task.output = task.get_skipped_task_output()
    return task_results.packed(task)
