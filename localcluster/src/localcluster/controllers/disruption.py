"""PodDisruptionBudget: (budget, its pods) -> how many may go. Source: Kubernetes' disruption controller."""

from collections.abc import Sequence

from localcluster.controllers.actions import Manifest, Plan, Status, condition, is_active, is_ready, scaled


def plan(budget: Manifest, pods: Sequence[Manifest], now: str) -> Plan:
    """Say in the budget's status how many disruptions it allows."""
    spec = budget.get("spec") or {}
    expected = [pod for pod in pods if is_active(pod)]
    healthy = sum(is_ready(pod) for pod in expected)
    if "maxUnavailable" in spec:
        least = max(0, len(expected) - scaled(spec["maxUnavailable"], len(expected), up=True))
    else:
        least = scaled(spec.get("minAvailable", 1), len(expected), up=True)
    allowed = max(0, healthy - least)
    before = (budget.get("status") or {}).get("conditions") or []
    told = ("True", "SufficientPods", "") if allowed else ("False", "InsufficientPods", "")
    shown = condition("DisruptionAllowed", *told, before, now)
    status = {
        "observedGeneration": budget["metadata"]["generation"],
        "expectedPods": len(expected),
        "currentHealthy": healthy,
        "desiredHealthy": least,
        "disruptionsAllowed": allowed,
        "conditions": [{key: value for key, value in shown.items() if key != "lastUpdateTime"}],
    }
    return Plan([Status("poddisruptionbudgets", budget, status)])
