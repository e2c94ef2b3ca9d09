"""Which inputs a kickoff has to give: those without which CrewAI would raise, or those that the author declared.

The rule is CrewAI's (1.15.30). `prepare_kickoff` calls `Crew._interpolate_inputs`, and the tasks and agents under it
(`Task.interpolate_inputs_and_add_conversation_history`, `BaseAgent.interpolate_inputs`) return at once when there are
no inputs: texts stay as they are, braces and all. With any inputs, `string_utils.interpolate_only` raises for a name in
braces that is none of them. It reads the texts of the crew's tasks and of the agents in `crew.agents`; not those of
agents that only tasks name, nor of the manager.
"""

import contextlib
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import crewai

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_\-]*)}")
"""Source: crewai.utilities.string_utils, 1.15.30. `Crew.fetch_inputs` takes anything in braces, JSON examples too."""
HISTORY = "history"
"""The input that is filled with what was said before in the session."""
_TASK_TEXTS = ("description", "expected_output", "output_file")
_AGENT_TEXTS = ("role", "goal", "backstory")

try:
    from crewai.hooks.dispatch import InterceptionPoint, get_hooks
except ImportError:
    # CrewAI before 1.15.10 has no such hooks.
    _POINTS: tuple[Any, ...] = ()
else:
    _POINTS = (InterceptionPoint.EXECUTION_START, InterceptionPoint.INPUT)


@dataclass(frozen=True)
class Demand:
    """What a kickoff has to give."""

    names: tuple[str, ...] = ()
    always: bool = True
    """Also of a kickoff without any inputs; CrewAI itself leaves the texts alone then."""


def demand(
    crew: Any, defaults: Mapping[str, Any], declared: Sequence[str] | None, *, remembers: bool = False
) -> Demand:
    """What a kickoff of the crew has to give, or of a flow (None), whose inputs only its author knows.

    Args:
        crew: As it was made.
        defaults: Inputs that its definition gives.
        declared: `spec.crew.inputs`, None when it is unset.
        remembers: Whether `with_history` gives a crew that asks for it what was said before.
    """
    filled = remembers and crew is not None and HISTORY in asked_for(crew)
    given = {*defaults, HISTORY} if filled else set(defaults)
    if declared is not None:
        return Demand(tuple(missing(declared, given)), always=True)
    if crew is None or _makes_inputs(crew):
        return Demand((), always=False)
    return Demand(tuple(missing(asked_for(crew), given)), always=bool(given))


def with_history(crew: Any, given: Mapping[str, Any], told: Callable[[], str] | None) -> dict[str, Any]:
    """The inputs, with what was said before where the crew's texts ask for it and the caller gave none.

    `told`: asks for it; None: nothing is kept of what is said, and the inputs stay what they are.
    """
    if told is None or HISTORY in given or HISTORY not in asked_for(crew):
        return dict(given)
    return {**given, HISTORY: told()}


def asked_for(crew: Any) -> tuple[str, ...]:
    """The names in braces in the texts that CrewAI fills in, sorted; also of a crew that was kicked off before."""
    texts = [_text(task, name) for task in crew.tasks for name in _TASK_TEXTS]
    texts += [_text(agent, name) for agent in crew.agents for name in _AGENT_TEXTS]
    return tuple(sorted({name for text in texts for name in _PLACEHOLDER.findall(text)}))


def missing(needed: Iterable[str], given: Container[str]) -> list[str]:
    """The needed names that were not given, in their order."""
    return [name for name in needed if name not in given]


@contextlib.contextmanager
def braces_left_alone(crew: Any, declared: Sequence[str] | None) -> Iterator[None]:
    """While open, a kickoff leaves names in braces as they are that are neither given nor declared.

    Nothing without a declaration: then a crew is what its author wrote, and CrewAI raises for them.
    """
    if declared is None:
        yield
        return

    def leave(given: Any) -> Any:
        others = [name for name in missing(asked_for(crew), given or {}) if name not in declared]
        return {**given, **{name: f"{{{name}}}" for name in others}} if given else given

    kept = crew.before_kickoff_callbacks
    # The last one, so that it sees what the author's own make of the inputs.
    crew.before_kickoff_callbacks = [*kept, leave]
    try:
        yield
    finally:
        crew.before_kickoff_callbacks = kept


def _makes_inputs(crew: Any) -> bool:
    """Whether code of the author's may add inputs on the way; CrewAI itself complains when it does not."""
    own = any(
        getattr(type(crew), name) is not getattr(crewai.Crew, name) for name in ("kickoff", "_interpolate_inputs")
    )
    return own or bool(crew.before_kickoff_callbacks) or any(get_hooks(point) for point in _POINTS)


def _text(owner: Any, name: str) -> str:
    """As the author wrote it: a kickoff with inputs replaces the field itself."""
    return getattr(owner, f"_original_{name}", None) or getattr(owner, name, None) or ""
