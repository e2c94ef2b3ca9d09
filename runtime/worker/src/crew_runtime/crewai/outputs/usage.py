"""The tokens of one kickoff.

CrewAI counts in the LLM objects, for as long as these live (`BaseLLM.get_token_usage_summary`, 1.15.30): the second
kickoff of one Crew in one process reports the first one's tokens as well. What a kickoff used is the difference.
"""

from collections.abc import Mapping
from typing import Any

from crew_runtime.crewai.outputs.values import plain

Counts = Mapping[str, int]


def counted(crew: Any) -> Counts:
    """What CrewAI has counted for the crew by now; nothing for None, or when it cannot say. The crew stays as it is."""
    if crew is None:
        return {}
    kept = getattr(crew, "usage_metrics", None)
    try:
        found = plain(crew.calculate_usage_metrics())
    except Exception:  # noqa: BLE001 - a method that a subclass may have made its own
        return {}
    finally:
        crew.usage_metrics = kept
    return _counts(found)


def since(metrics: Any, before: Counts) -> dict[str, int] | None:
    """`metrics` (CrewAI's UsageMetrics) without what was counted `before`; None when there are none."""
    found = _counts(plain(metrics))
    return {name: max(0, one - before.get(name, 0)) for name, one in found.items()} or None


def total(usage: Counts | None, earlier: Any) -> dict[str, int] | None:
    """The usage of this attempt and of those before it."""
    if not isinstance(earlier, Mapping):
        return None if usage is None else dict(usage)
    return {name: (usage or {}).get(name, 0) + _counts(earlier).get(name, 0) for name in {**earlier, **(usage or {})}}


def _counts(metrics: Any) -> dict[str, int]:
    if not isinstance(metrics, Mapping):
        return {}
    return {name: one for name, one in metrics.items() if isinstance(one, int) and not isinstance(one, bool)}
