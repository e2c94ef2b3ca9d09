"""An attempt after a loss goes on behind the tasks that an earlier attempt of the same kickoff has finished.

In: a fresh crew, and the rows that earlier attempts kept. Out: the crew with these tasks done, as CrewAI itself goes on
from a checkpoint, or as it is and the reason why; and a row for each task that it finishes. `methods` does the
same for flows. Nothing here ends a kickoff: what cannot be kept or restored runs again.
"""

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import crewai
from crewai import Process
from crewai.crews import utils
from crewai.tasks.conditional_task import ConditionalTask

from crew_runtime.crewai.human_input import reviews
from crew_runtime.crewai.human_input.reviews import HumanAnswer
from crew_runtime.crewai.outputs import task_results, usage
from crew_runtime.crewai.outputs.values import plain
from crew_runtime.crewai.state import task_outputs

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
MAX_NAME = 200
"""Characters of a task's name; CrewAI takes the description for a task without one."""

_AGENT_TEXTS = ("role", "goal", "backstory")

NOTHING_FINISHED = "no task of an earlier attempt had finished"
CHANGED = "the crew, or its CrewAI, was changed since an earlier attempt"
HIERARCHICAL = "the crew is hierarchical: its manager decides again who does what"
ASYNC = "its first task has async_execution"
UNSEEN = "this CrewAI does not report finished tasks in a way that is known"


@dataclass(frozen=True)
class Course:
    """What an attempt knows of those before it, and whom it reports to."""

    attempt: int = 1
    rows: Sequence[Row] = ()
    """Of what they finished, in order."""
    keep: Callable[[int, Row], object] | None = None
    """Takes the row with this index; it replaces all from there on. Raises if it is too long. None: none is kept."""
    begun: Callable[[str | None, int, str], object] = lambda task, completed, why: None
    """Takes the task with which an attempt after the first goes on, how many are done, and else why it starts anew."""


@dataclass(frozen=True)
class Start:
    """How a kickoff begins."""

    answer: HumanAnswer | None = None
    """A person's, if it is still to be applied."""
    before: Mapping[str, Any] | None = None
    """`usage` and `round` of earlier attempts."""

    @property
    def usage(self) -> Any:
        """The tokens of earlier attempts; None when they are not known."""
        return (self.before or {}).get("usage")


@contextlib.contextmanager
def crew(crew: Any, course: Course, answer: HumanAnswer | None) -> Iterator[Start]:
    """Kick off `crew` within this context, as `Start` says."""
    checkpoint = crew.checkpoint_kickoff_event_id
    journal = _Journal(crew, course)
    done = _restore(crew, course, journal.mark, answer)
    start = _start(crew, course, journal.mark, answer, done)
    journal.earlier = start.usage
    callbacks = _keep_inputs(crew, course.rows[done - 1].get("inputs")) if done else []
    try:
        with task_outputs.listen(journal.add):
            yield start
    finally:
        with contextlib.suppress(Exception):
            # The start of a kickoff has dropped what `Crew.replay` would read.
            for index, task in enumerate(crew.tasks[:done]):
                crew._store_execution_log(task, task.output, index, False)
        for one in callbacks:
            crew.before_kickoff_callbacks.remove(one)
        # A process may run more than one kickoff of the same object.
        crew.checkpoint_kickoff_event_id = checkpoint


def _restore(crew: Any, course: Course, mark: str, answer: HumanAnswer | None) -> int:
    """Restore what can be; how many tasks are done by it. What a person answered to is newer only at its own task."""
    rows = [] if _obstacle(crew) else list(_leading(course.rows, mark))
    if not rows or (answer is not None and len(rows) <= answer.saved["index"]):
        return 0
    try:
        reviews.go_on(crew, [row["output"] for row in rows])
    except Exception as error:  # noqa: BLE001 - a row of another version, or a model that has changed
        log.warning("finished tasks cannot be restored: %r", error)
        for task in crew.tasks:
            task.output = None
        return 0
    # Else CrewAI takes the kickoff for the one that this object ran before, and leaves out its first event.
    crew._kickoff_event_id = None
    return len(rows)


def _start(crew: Any, course: Course, mark: str, answer: HumanAnswer | None, done: int) -> Start:
    if done:
        course.begun(_name(crew, done), done, "")
        used = course.rows[done - 1].get("usage")
        return Start(before={"usage": used, "round": answer.round if answer else 0})
    if answer is not None:
        asked = answer.saved["index"]
        course.begun(_name(crew, asked), asked, "")
        return Start(answer, answer.saved)
    if course.attempt > 1:
        course.begun(None, 0, _why(crew, course.rows, mark))
    return Start()


def _why(crew: Any, rows: Sequence[Row], mark: str) -> str:
    if obstacle := _obstacle(crew):
        return obstacle
    if not rows:
        return NOTHING_FINISHED
    return str(rows[0].get("why") or CHANGED)


def _obstacle(crew: Any) -> str:
    if crew.process != Process.sequential:
        return HIERARCHICAL
    if crew.tasks and crew.tasks[0].async_execution:
        return ASYNC
    return "" if task_outputs.in_force() else UNSEEN


def _leading(rows: Sequence[Row], mark: str) -> Iterator[Row]:
    """The first rows that are of this very crew and hold an output."""
    for row in rows:
        if row.get("crew") != mark or "output" not in row:
            return
        yield row


def _keep_inputs(crew: Any, inputs: Mapping[str, Any] | None) -> list[Any]:
    """Have later tasks see the inputs of the finished ones. `before_kickoff` has run, and changes none but files.

    CrewAI takes files out of the inputs before these are kept, and no other process has them.
    """
    if inputs is None:
        return []

    def kept(made: Mapping[str, Any] | None) -> dict[str, Any]:
        return {**{name: one for name, one in (made or {}).items() if isinstance(one, _file_types())}, **inputs}

    crew.before_kickoff_callbacks.append(kept)
    return [kept]


def _file_types() -> tuple[type, ...]:
    """Of crewai-files, where it is installed. Source: crewai.crews.utils, 1.15.30."""
    return tuple(getattr(utils, "_FILE_TYPES", ()))


class _Journal:
    """Makes a row of each task that one crew finishes, as long as the next attempt could use it."""

    def __init__(self, crew: Any, course: Course) -> None:
        self._crew = crew
        self._keep = course.keep
        self._stopped = course.keep is None or crew.process != Process.sequential
        self.mark = mark(crew)
        self._counted = usage.counted(crew)
        self.earlier: Any = None
        """The tokens of earlier attempts."""

    def add(self, task: Any, index: int) -> None:
        """A task of some crew has finished."""
        tasks = self._crew.tasks
        if self._stopped or self._keep is None or index >= len(tasks) or tasks[index] is not task:
            return
        # What runs beside it may have finished as well, and nobody knows yet.
        self._stopped = any(one.async_execution for one in tasks[: index + 1])
        if self._stopped:
            return
        try:
            self._keep(index, self._row(task))
        except Exception as error:  # noqa: BLE001 - the crew goes on whatever its author's types do
            self._stopped = True
            log.warning("the task %s cannot be kept: %s", name(task), error)
            with contextlib.suppress(Exception):
                why = f"the output of the task {name(task)} cannot be kept: {error}"
                self._keep(index, {"crew": self.mark, "why": why})

    def _row(self, task: Any) -> Row:
        output = task.output
        if output is None and isinstance(task, ConditionalTask):
            output = task.get_skipped_task_output()
        packed = task_results.packed(task, output)
        task_results.check(task, output, packed)
        return {
            "crew": self.mark,
            "output": packed,
            "inputs": _as_json(self._crew._inputs),
            "usage": usage.total(usage.since(self._crew.calculate_usage_metrics(), self._counted), self.earlier),
        }


def mark(crew: Any) -> str:
    """What tells a crew from one that was changed: the texts of its tasks and agents, before inputs are put in; the
    names of their tools; and CrewAI's version.
    """
    tasks = [
        [str(task.key), task.agent and _telling(task.agent), _names(task.tools)]  # an agent may be of its task alone
        for task in crew.tasks
    ]
    told = [crewai.__version__, tasks, [_telling(agent) for agent in crew.agents]]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _telling(agent: Any) -> list[Any]:
    texts = [str(getattr(agent, f"_original_{one}", None) or getattr(agent, one)) for one in _AGENT_TEXTS]
    return [*texts, _names(agent.tools)]


def _names(tools: Sequence[Any] | None) -> list[str]:
    return sorted(str(getattr(tool, "name", type(tool).__name__)) for tool in tools or ())


def name(task: Any) -> str:
    """As progress and events call a task."""
    return str(task.name or task.description)[:MAX_NAME]


def _name(crew: Any, index: int) -> str | None:
    """Of the task that comes now; of the last one when all have finished."""
    return name(crew.tasks[min(index, len(crew.tasks) - 1)]) if crew.tasks else None


def _as_json(inputs: Any) -> Any:
    """The inputs when JSON keeps them as they are; else None, and the next attempt makes them anew."""
    return inputs if inputs is not None and same(plain(inputs), inputs) else None


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
