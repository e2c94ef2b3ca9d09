"""Verdicts + the conditions as they were -> the conditions as they are, and what changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crew_operator.api.names import ConditionType
from crew_operator.status.checks import Verdict
from crew_operator.words import quoted
from crew_runtime.contract.reasons import Reason

Condition = dict[str, Any]

MAX_MESSAGE = 1024
"""Characters; an Event takes no longer message either."""


_SOON = frozenset({Reason.REDIS_NEARLY_FULL.word, Reason.REDIS_DISK_NEARLY_FULL.word})
"""Reasons of a condition that holds, and before long will not."""


@dataclass(frozen=True)
class Transition:
    """A condition that changed its status or its reason."""

    type: str
    status: str
    reason: str
    message: str
    before: str | None
    """The status that it had."""

    @property
    def warning(self) -> bool:
        """It got worse, or stays bad for another reason; or will before long."""
        return self.status == "False" or self.reason in _SOON


def merge(
    before: Sequence[Mapping[str, Any]], verdicts: Mapping[ConditionType, Verdict], generation: int, now: float
) -> list[Condition]:
    """The conditions that we own. `lastTransitionTime` moves only with the status."""
    known = {str(one.get("type")): one for one in before}
    return [_condition(known.get(type_.value), type_, verdict, generation, now) for type_, verdict in verdicts.items()]


def transitions(before: Sequence[Mapping[str, Any]], after: Iterable[Condition]) -> tuple[Transition, ...]:
    """Changes of status or reason, in the order of the conditions; a condition that is new counts as one."""
    known = {str(one.get("type")): one for one in before}
    found = []
    for one in after:
        old = known.get(one["type"])
        if old is None or (old.get("status"), old.get("reason")) != (one["status"], one["reason"]):
            status = str(old.get("status")) if old is not None else None
            found.append(Transition(one["type"], one["status"], one["reason"], one["message"], status))
    return tuple(found)


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC, to the second, as Kubernetes writes times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """What `timestamp` wrote, in Unix seconds. Raises ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def _condition(
    before: Mapping[str, Any] | None, type_: ConditionType, verdict: Verdict, generation: int, now: float
) -> Condition:
    same = before is not None and before.get("status") == verdict.status and before.get("lastTransitionTime")
    return {
        "type": type_.value,
        "status": verdict.status,
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if same and before is not None else timestamp(now),
        "reason": verdict.reason.word,
        "message": quoted(verdict.message, MAX_MESSAGE, lines=True),  # of pods and images much is others' words
    }
