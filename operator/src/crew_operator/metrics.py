"""The operator's figures for Prometheus. One registry a process; the names are an interface, as alerts use them."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

STATUSES = ("True", "False", "Unknown")


class Metrics:
    """All figures, and how they are set."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.passes = Counter(
            "crew_operator_reconciles", "Reconcile passes, by result.", ["result"], registry=self.registry
        )
        self.seconds = Histogram(
            "crew_operator_reconcile_seconds",
            "Duration of a reconcile pass.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.leading = Gauge(
            "crew_operator_leading", "1 on the active operator, 0 on a standby.", registry=self.registry
        )
        self.waiting = Gauge("crew_operator_queue_depth", "Crews that wait for a reconcile.", registry=self.registry)
        self.writes = Counter(
            "crew_operator_writes", "Writes to the API server.", ["verb", "kind"], registry=self.registry
        )
        self.requests = Counter(
            "crew_operator_requests", "Requests to the API server, but for watches.", ["verb"], registry=self.registry
        )
        self.acts = Counter("crew_operator_heals", "Repairs, by kind.", ["act"], registry=self.registry)
        self.heals_held = Counter(
            "crew_operator_heals_held",
            "Repairs that were withheld: too many crews looked unhealthy at once.",
            registry=self.registry,
        )
        self.writes_held = Counter(
            "crew_operator_status_writes_held",
            "Status writes that were delayed: that crew's status changes too often.",
            registry=self.registry,
        )
        self.conditions = Gauge(
            "crew_operator_condition",
            "1 for the current status of a condition.",
            ["namespace", "name", "type", "status"],
            registry=self.registry,
        )
        self.redis_seconds = Gauge(
            "crew_operator_redis_seconds",
            "Duration of the last PING and write.",
            ["namespace", "name"],
            registry=self.registry,
        )
        self.proof_time = Gauge(
            "crew_operator_last_proof_timestamp_seconds",
            "Unix time when memory was last shown to be shared.",
            ["namespace", "name"],
            registry=self.registry,
        )
        self.memory_losses = Counter(
            "crew_operator_memory_losses",
            "Times that Redis was found to have lost data.",
            ["namespace", "name"],
            registry=self.registry,
        )
        self.streams = Gauge(
            "crew_operator_change_streams", "Replicas whose /changes is held open.", registry=self.registry
        )
        self.streams_ended = Counter(
            "crew_operator_change_streams_ended",
            "Such streams that ended or could not be opened: closed, unreachable, silent (no answer in time), refused "
            "(an older runtime, or too many listen), head (no HTTP), flood (more than a server of ours would send).",
            ["why"],
            registry=self.registry,
        )
        self.shards = Gauge(
            "crew_operator_shards",
            "Shards whose CrewDeployments this operator acts for; 0 where one operator acts for all.",
            registry=self.registry,
        )
        self.watched = Gauge(
            "crew_operator_watched",
            "1 for a crew whose replicas all have an open stream: it is checked when one signals, else on a timer.",
            ["namespace", "name"],
            registry=self.registry,
        )
        self._shown: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
        for result in ("ok", "error", "bug"):
            self.passes.labels(result)

    def show(self, namespace: str, name: str, conditions: Collection[Mapping[str, Any]]) -> None:
        """Set the conditions of one CrewDeployment."""
        said = tuple((one["type"], one["status"]) for one in conditions)
        if self._shown.get((namespace, name)) == said:
            return  # three figures a condition, at every look
        self._shown[namespace, name] = said
        for one in conditions:
            for status in STATUSES:
                self.conditions.labels(namespace, name, one["type"], status).set(one["status"] == status)

    def forget(self, namespace: str, name: str, types: Iterable[str]) -> None:
        """Drop the figures of a CrewDeployment that is gone."""
        self._shown.pop((namespace, name), None)
        for type_ in types:
            for status in STATUSES:
                _remove(self.conditions, namespace, name, type_, status)
        _remove(self.redis_seconds, namespace, name)
        _remove(self.proof_time, namespace, name)
        _remove(self.watched, namespace, name)
        _remove(self.memory_losses, namespace, name)

    def text(self) -> bytes:
        """What /metrics answers."""
        return generate_latest(self.registry)


def _remove(gauge: Gauge | Counter, *labels: str) -> None:
    try:
        gauge.remove(*labels)
    except KeyError:
        return  # never set
