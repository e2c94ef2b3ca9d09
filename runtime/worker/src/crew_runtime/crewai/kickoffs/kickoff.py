"""One kickoff of a loaded crew or flow -> plain values, or a pause for a person; with every memory write done.

What is kicked off is the author's own object, as `Loaded.make` gives it: never a copy. Fields of it are set in these
cases alone: declared inputs (`inputs.braces_left_alone`), a crew that goes on behind finished tasks or after an answer
(`resuming.tasks`, `human_input.reviews`), a `@persist` flow (`resuming.methods`), and a flow after an answer
(`human_input.flow_feedback`).
"""

import threading
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import nullcontext
from typing import Any

from crewai.core.providers.human_input import reset_provider, set_provider
from crewai.flow.async_feedback.types import HumanFeedbackPending
from crewai.types import streaming

from crew_runtime.crewai import memories
from crew_runtime.crewai.human_input import flow_feedback, reviews
from crew_runtime.crewai.human_input.reviews import HumanAnswer, Pause, TaskReview
from crew_runtime.crewai.loading.inputs import braces_left_alone, with_history
from crew_runtime.crewai.loading.load import Loaded, Made
from crew_runtime.crewai.outputs import results, usage
from crew_runtime.crewai.outputs.results import Output
from crew_runtime.crewai.resuming import methods, tasks
from crew_runtime.crewai.resuming.tasks import Course, Start
from crew_runtime.crewai.state import flows

_STREAMS: tuple[Any, ...] = tuple(
    found
    for name in ("StreamingOutputBase", "CrewStreamingOutput", "FlowStreamingOutput", "StreamSession")
    if isinstance(found := getattr(streaming, name, None), type)
)
"""What a kickoff with `stream=True` returns, by CrewAI's version."""


def run(
    loaded: Loaded,
    given: Mapping[str, Any],
    session: str,
    answer: HumanAnswer | None = None,
    course: Course = Course(),  # noqa: B008 - frozen
    *,
    declared: Sequence[str] | None = None,
    process_ends: bool = True,
    history: Callable[[], str] | None = None,
) -> Output | Pause:
    """Kick off and wait, or go on from a pause that `answer` answers. Raises what the crew raises, SystemExit too.

    `course`: what earlier attempts have finished. `declared`: the names in `spec.crew.inputs`, None when it is unset.
    `history`: asks for what was said before in the session, for a crew whose texts do; None: it is not kept.
    `process_ends`: nothing else runs in this process afterwards, so what the crew holds goes with it.
    """
    made = loaded.make()
    try:
        with nullcontext() if made.is_flow else braces_left_alone(made.target, declared):
            inputs = {**made.defaults, **given}
            if not made.is_flow:
                inputs = with_history(made.target, inputs, history)
            return _run(made, inputs, session, answer, course)
    finally:
        if not process_ends and not loaded.shared:
            _close_pools(made.target)


def _run(
    made: Made, inputs: dict[str, Any], session: str, answer: HumanAnswer | None, course: Course
) -> Output | Pause:
    target = made.target
    try:
        if made.is_flow:
            with methods.flow(target, course, answer, conversational=_turns(target, inputs)) as start:
                return _flow(target, inputs, session, start)
        with tasks.crew(target, course, answer) as start:
            return _crew(target, inputs, start)
    except reviews.Asked as asked:
        return asked.pause
    except flow_feedback.AskedInFlowError as error:
        raise RuntimeError(str(error)) from error


def _crew(crew: Any, inputs: dict[str, Any], start: Start) -> Output | Pause:
    before = usage.counted(crew)
    review = TaskReview(crew, start.answer, start.before)
    provider = set_provider(review)
    try:
        # As the author would without inputs: CrewAI then leaves braces in texts alone.
        result = _streamed(crew.kickoff(inputs=inputs) if inputs else crew.kickoff())
    except Exception:
        if review.asked is not None:
            # A streaming kickoff runs in a thread of its own, which ended by it.
            raise review.asked from None
        raise
    finally:
        reset_provider(provider)
    return results.of_crew(crew, result, before, start.usage)


def _flow(flow: Any, inputs: dict[str, Any], session: str, start: Start) -> Output | Pause:
    # The state of a persisted flow is kept under this id: the next kickoff of the session goes on from there.
    inputs.setdefault("id", session)
    provider = set_provider(TaskReview())
    try:
        if start.answer is not None:
            result = flow_feedback.resume(flow, start.answer)
        elif _turns(flow, inputs):
            # A turn of the session's conversation; it takes no other inputs (crewai 1.15.30).
            result = flow.handle_turn(inputs["message"], session_id=session)
        else:
            result = flow.kickoff(inputs=inputs)
        result = _streamed(result)
    except KeyError as error:
        flows.explain(flow, error)
        raise
    finally:
        reset_provider(provider)
        for memory in memories.of(flow):
            memory.drain_writes()
    if isinstance(result, HumanFeedbackPending):
        return flow_feedback.pause(flow, result, start.answer)
    return results.of_flow(flow, result, start.usage)


def _streamed(result: Any) -> Any:
    """The result behind a stream, which runs only as far as somebody reads it. Raises what the crew raised."""
    if not isinstance(result, _STREAMS):
        return result
    for _ in result:
        pass
    return result.result


def is_conversational(flow: Any) -> bool:
    """Source: ConversationalMixin.handle_turn, 1.15.30, which refuses any other flow."""
    enabled = getattr(flow, "_is_conversational_enabled", None)
    return bool(enabled is not None and enabled())


def _turns(flow: Any, inputs: Mapping[str, Any]) -> bool:
    """Whether the kickoff is a turn of a conversation."""
    return isinstance(inputs.get("message"), str) and is_conversational(flow)


def known_threads(loaded: Loaded) -> Set[threading.Thread]:
    """The threads that a crew of the module keeps between its kickoffs: those that save its memories."""
    owners = memories.of(loaded.make().target) if loaded.shared else ()
    return frozenset(thread for memory in owners for thread in getattr(_pool(memory), "_threads", ()))


def _close_pools(owner: Any) -> None:
    """End the save threads of memories that only this kickoff had. Not `Memory.close`: it closes the shared backend."""
    for memory in memories.of(owner):
        if (pool := _pool(memory)) is not None:
            pool.shutdown(wait=True)


def _pool(memory: Any) -> Any:
    return getattr(memory, "_save_pool", None)
