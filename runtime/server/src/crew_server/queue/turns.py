"""A kickoff that ended well as a turn of its session's messages: what the user said, what the crew answered. Pure."""

import json
from dataclasses import dataclass
from typing import Any, Final

from crew_runtime.contract import messages
from crew_server.queue import state

FILLED: Final = "history"
"""The input that the messages themselves are given to a crew in; saying it again would double them with each turn."""


@dataclass(frozen=True)
class Turn:
    """The elements of the list that a turn adds."""

    user: str
    answer: str


def of(claim: state.Claim, outcome: state.Outcome, said: str, begun: float, ended: float) -> Turn | None:
    """The turn; None of a kickoff that has no result that counts, for then there was no answer.

    Args:
        claim: The kickoff.
        outcome: How it ended.
        said: Name of the input that is what the user said; all of them count when it is empty or was not given.
        begun: Unix time.
        ended: Unix time.
    """
    if outcome.status != state.COMPLETED or outcome.result is None:
        return None
    kickoff_id = claim.request.kickoff_id
    answer = str(outcome.result.get("output") or "")
    return Turn(
        messages.written(messages.HUMAN, _said(claim.request.inputs, said), f"{kickoff_id}:user",
                         {"kickoff_id": kickoff_id, "at": round(begun, 3)}),
        messages.written(messages.AI, answer, f"{kickoff_id}:ai",
                         {"kickoff_id": kickoff_id, "at": round(ended, 3)}),
    )  # fmt: skip


def _said(inputs: Any, name: str) -> str:
    if name and name in inputs:
        one = inputs[name]
        return one if isinstance(one, str) else _json(one)
    return _json({key: one for key, one in inputs.items() if key != FILLED})


def _json(value: Any) -> str:
    return json.dumps(state.strict(value), ensure_ascii=False)
