"""The operator's figures for Prometheus. One registry a process; the names are an interface, as alerts use them."""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

STATUSES = ("True", "False", "Unknown")


class Metrics:
    """All figures, and how they are set."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.passes = Counter("crew_operator_reconciles", "Passes by their end.", ["result"], registry=self.registry)
        self.seconds = Histogram(
            "crew_operator_reconcile_seconds",
            "Duration of a pass.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.leading = Gauge("crew_operator_leading", "1 where it acts, 0 on standby.", registry=self.registry)
        self.waiting = Gauge("crew_operator_queue_depth", "Keys that are due.", registry=self.registry)
        self.writes = Counter(
            "crew_operator_writes", "Writes to the API server.", ["verb", "kind"], registry=self.registry
        )
        self.acts = Counter("crew_operator_heals", "Acts of healing.", ["act"], registry=self.registry)
        self.conditions = Gauge(
            "crew_operator_condition",
            "1 for the status that a condition has.",
            ["namespace", "name", "type", "status"],
            registry=self.registry,
        )
        self.redis_seconds = Gauge(
            "crew_operator_redis_seconds", "Last PING and write.", ["namespace", "name"], registry=self.registry
        )
        for result in ("ok", "error", "bug"):
            self.passes.labels(result)

    def show(self, namespace: str, name: str, conditions: Iterable[Mapping[str, Any]]) -> None:
        """Set the conditions of one CrewDeployment."""
        for one in conditions:
            for status in STATUSES:
                self.conditions.labels(namespace, name, one["type"], status).set(one["status"] == status)

    def forget(self, namespace: str, name: str, types: Iterable[str]) -> None:
        """Drop the figures of a CrewDeployment that is gone."""
        for type_ in types:
            for status in STATUSES:
                _remove(self.conditions, namespace, name, type_, status)
        _remove(self.redis_seconds, namespace, name)

    def text(self) -> bytes:
        """What /metrics answers."""
        return generate_latest(self.registry)


def _remove(gauge: Gauge, *labels: str) -> None:
    try:
        gauge.remove(*labels)
    except KeyError:
        return  # never set
