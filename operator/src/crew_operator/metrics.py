"""The operator's figures for Prometheus. One registry a process; the names are an interface, as alerts use them."""

import contextlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

STATUSES = ("True", "False", "Unknown")
_CREW = ("namespace", "name")
_Said = tuple[tuple[str, str, str], ...]
"""Types of conditions, their statuses and reasons."""


class _CrewGauge(Collector):
    """A figure of each CrewDeployment. A number is kept and no series: one of the library's costs 0.6 KiB."""

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        self._about = name, documentation
        self._values: dict[tuple[str, str], float] = {}
        registry.register(self)

    def set(self, namespace: str, name: str, value: float) -> None:
        """From now on."""
        self._values[namespace, name] = value

    def forget(self, namespace: str, name: str) -> None:
        """Of a CrewDeployment that is gone."""
        self._values.pop((namespace, name), None)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Without the figures."""
        return [GaugeMetricFamily(*self._about, labels=_CREW)]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The series, made when somebody asks."""
        found = GaugeMetricFamily(*self._about, labels=_CREW)
        for labels, value in self._values.items():
            found.add_metric(labels, value)
        return [found]


class _Conditions(Collector):
    """Three series for each condition of each CrewDeployment and one for its reason, made of what was said last."""

    _ABOUT: Final = ("crew_operator_condition", "1 for the status that a condition has.")
    _LABELS: Final = (*_CREW, "type", "status")
    _REASON_ABOUT: Final = (
        "crew_operator_condition_reason", "1 for the reason that a condition has, as docs/conditions.md lists them."
    )  # fmt: skip
    _REASON_LABELS: Final = (*_CREW, "type", "reason")

    def __init__(self, registry: CollectorRegistry) -> None:
        self._said: dict[tuple[str, str], _Said] = {}
        self._kept: dict[_Said, _Said] = {}
        """Most crews say the same."""
        registry.register(self)

    def show(self, namespace: str, name: str, conditions: Collection[Mapping[str, Any]]) -> None:
        """Of one CrewDeployment, all of them."""
        said = tuple((str(one["type"]), str(one["status"]), str(one["reason"])) for one in conditions)
        self._said[namespace, name] = self._kept.setdefault(said, said)

    def forget(self, namespace: str, name: str) -> None:
        """It is gone."""
        self._said.pop((namespace, name), None)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Without the figures."""
        return [
            GaugeMetricFamily(*self._ABOUT, labels=self._LABELS),
            GaugeMetricFamily(*self._REASON_ABOUT, labels=self._REASON_LABELS),
        ]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The series."""
        found = GaugeMetricFamily(*self._ABOUT, labels=self._LABELS)
        reasons = GaugeMetricFamily(*self._REASON_ABOUT, labels=self._REASON_LABELS)
        for crew, said in self._said.items():
            for type_, status, reason in said:
                reasons.add_metric((*crew, type_, reason), 1.0)
                for one in STATUSES:
                    found.add_metric((*crew, type_, one), float(status == one))
        return [found, reasons]


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
        self.conditions = _Conditions(self.registry)
        self.redis_seconds = _CrewGauge(
            "crew_operator_redis_seconds", "Duration of the last PING and write.", self.registry
        )
        self.proof_time = _CrewGauge(
            "crew_operator_last_proof_timestamp_seconds",
            "Unix time when memory was last shown to be shared.",
            self.registry,
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
        self.watched = _CrewGauge(
            "crew_operator_watched",
            "1 for a crew whose replicas all have an open stream: it is checked when one signals, else on a timer.",
            self.registry,
        )
        for result in ("ok", "error", "bug"):
            self.passes.labels(result)

    def forget(self, namespace: str, name: str) -> None:
        """Drop the figures of a CrewDeployment that is gone."""
        for one in (self.conditions, self.redis_seconds, self.proof_time, self.watched):
            one.forget(namespace, name)
        with contextlib.suppress(KeyError):  # never set
            self.memory_losses.remove(namespace, name)

    def text(self) -> bytes:
        """What /metrics answers."""
        return generate_latest(self.registry)
