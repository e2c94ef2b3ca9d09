"""Human feedback of flows in a slot: a paused flow as a `Pause`, and a flow brought back to where it paused.

CrewAI does the pausing (`HumanFeedbackPending`) and the resuming (`Flow.from_pending`, `resume`). The pause travels
with the kickoff as well as in the flow's persistence, because an attempt that goes on uses the latter up and may die.
"""

from collections.abc import Mapping
from typing import Any

from crewai.flow.async_feedback.types import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.flow import Flow
from crewai.flow.flow_config import flow_config
from crewai.flow.persistence.factory import default_flow_persistence

from crew_runtime.crewai.human_input.reviews import CrewChangedError, HumanAnswer, Pause
from crew_runtime.crewai.outputs import usage
from crew_runtime.crewai.outputs.values import plain


class AskedInFlowError(BaseException):
    """`Flow.ask` was called. No `Exception`: `ask` would take any for an answer of None and go on."""


class _Feedback:
    """CrewAI's provider for `@human_feedback` without one of its own."""

    def request_feedback(self, context: PendingFeedbackContext, flow: Any) -> str:
        """Pause."""
        raise HumanFeedbackPending(context=context)


class _Input:
    """CrewAI's provider for `Flow.ask`."""

    def request_input(self, message: str, flow: Any, metadata: Mapping[str, Any] | None = None) -> str | None:
        """Refuse: a method that is half done cannot be put away."""
        raise AskedInFlowError(
            f"the flow called ask({message!r}), which waits in the middle of a method: such a kickoff cannot be put "
            "away until somebody answers. End the method there, and decorate it with @human_feedback"
        )


def register() -> None:
    """Have flows of this process pause instead of asking on the console; providers of the user's stay."""
    if flow_config.hitl_provider is None:
        flow_config.hitl_provider = _Feedback()
    if flow_config.input_provider is None:
        flow_config.input_provider = _Input()


def pause(flow: Any, pending: HumanFeedbackPending, before: HumanAnswer | None) -> Pause:
    """A flow's pause, which CrewAI has just saved. Raises BackendError."""
    loaded = _persistence(flow).load_pending_feedback(pending.context.flow_id)
    state, context = loaded if loaded is not None else (plain(flow.state), pending.context)
    number = before.round + 1 if before else 1
    saved = {
        "kind": "flow",
        "flow": type(flow).__name__,
        "round": number,
        "state": plain(state),
        "context": plain(context.to_dict()),
        # CrewAI counts anew when another process goes on (1.15.30).
        "usage": usage.total(
            usage.since(getattr(flow, "usage_metrics", None), {}), before.usage if before is not None else None
        ),
    }
    output = context.method_output
    return Pause(
        "flow",
        context.method_name,
        output if isinstance(output, str) else str(plain(output)),
        saved,
        message=context.message,
        choices=tuple(context.emit or ()),
        round=number,
    )


def resume(flow: Any, answer: HumanAnswer) -> Any:
    """Go on with a new flow where another paused; its result, or HumanFeedbackPending. Raises CrewChangedError."""
    saved = answer.saved
    context = PendingFeedbackContext.from_dict(dict(saved["context"]))
    if type(flow).__name__ != saved["flow"] or context.method_name not in flow._definition.methods:
        text = "the flow was changed while its kickoff waited for a person, so it cannot go on: kick it off again"
        raise CrewChangedError(text)
    persistence = _persistence(flow)
    # An earlier attempt may have used it up.
    persistence.save_pending_feedback(context.flow_id, context, dict(saved["state"]))

    def made(persistence: Any, **_: Any) -> Any:
        flow.persistence = persistence
        return flow

    # `from_pending` calls its class for an instance; this one may come out of a factory with arguments of its own.
    from_pending: Any = Flow.from_pending
    restored = from_pending.__func__(made, context.flow_id, persistence)
    restored._pending_feedback_context.llm = _llm(flow, context)
    return restored.resume(answer.feedback)


def _llm(flow: Any, context: PendingFeedbackContext) -> Any:
    """What finds the outcome of an answer: the author's own object.

    CrewAI writes it down as a model's name and settings, out of which it makes one of its own clients: a subclass of
    BaseLLM, and whatever a setting cannot say, would be lost (Flow.resume, 1.15.30).
    """
    declared = flow._definition.methods[context.method_name].human_feedback
    live = getattr(declared, "llm", None)
    return context.llm if live is None or isinstance(live, str | dict) else live


def _persistence(flow: Any) -> Any:
    return flow.persistence if flow.persistence is not None else default_flow_persistence()
