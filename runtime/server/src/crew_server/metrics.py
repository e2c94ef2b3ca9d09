"""The replica's metrics, in a registry of their own so that two servers may live in one process."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

# A time stamp for every series, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Kickoffs take from a tenth of a second (offline) to an hour."""


class Metrics:
    """Everything that /metrics shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.kickoffs = Counter("crewops_kickoffs", "Kickoffs that ended", ["status", "reason"], registry=self.registry)
        self.duration = Histogram(
            "crewops_kickoff_seconds", "From start in a slot to the end", buckets=SECONDS, registry=self.registry
        )
        self.waited = Histogram(
            "crewops_kickoff_wait_seconds", "From acceptance to start", buckets=SECONDS, registry=self.registry
        )
        self.refused = Counter("crewops_kickoffs_refused", "Kickoffs not taken", ["reason"], registry=self.registry)
        self.late = Counter(
            "crewops_late_ends", "Ends of kickoffs that another replica had ended first", registry=self.registry
        )
        self.stale = Counter(
            "crewops_stale_writes", "Writes refused: another replica had taken the kickoff over", registry=self.registry
        )
        self.paused = Counter(
            "crewops_human_input_requests", "Kickoffs suspended until a person answers", registry=self.registry
        )
        self.taken_over = Counter(
            "crewops_kickoffs_taken_over", "Kickoffs taken over from dead replicas", ["what"], registry=self.registry
        )
        self.given_back = Counter(
            "crewops_kickoffs_given_back", "Kickoffs requeued to be run again", ["why"], registry=self.registry
        )
        self.swept = Counter(
            "crewops_memories_expired", "Memories of ended sessions that this server erased", registry=self.registry
        )
        self.webhooks = Counter(
            "crewops_webhooks",
            "Deliveries: delivered, retry, failed (refused for good), abandoned (tried for hours)",
            ["channel", "result"],
            registry=self.registry,
        )
        self.history_entries = Counter(
            "crewops_history_entries",
            "Entries of the durable history: written to Postgres, or dead-lettered",
            ["result"],
            registry=self.registry,
        )
        self.history_failures = Counter(
            "crewops_history_failures", "Failed tries to write to Postgres", ["reason"], registry=self.registry
        )
        self.lost_slots = Counter(
            "crewops_slots_lost", "Slots lost with a kickoff in them", ["why"], registry=self.registry
        )
        self.guard = Counter(
            "crewops_memory_failures", "Failed calls of the memory backend", ["op", "kind"], registry=self.registry
        )
        self.backend_latency = Histogram(
            "crewops_backend_check_seconds",
            "PING and a write",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 2.5),
            registry=self.registry,
        )
        self.backend_failures = Counter(
            "crewops_backend_check_failures", "Failed checks of the backend", ["reason"], registry=self.registry
        )
        self.background_failures = Counter(
            "crewops_background_failures",
            "Failures of the server's own background tasks, each of which was started again",
            ["task"],
            registry=self.registry,
        )
        self.loop_lag = Gauge(
            "crewops_loop_lag_seconds", "Last measured lag of the server's event loop", registry=self.registry
        )
        self._gauge_help = {
            "crewops_kickoffs_running": "Kickoffs in a slot",
            "crewops_backlog": "Kickoffs of the whole crew that wait for a slot",
            "crewops_backlog_oldest_seconds": "How long the first of them has waited",
            "crewops_dead_letters": "Entries of the whole crew that could not be read, kept for 7 days",
            "crewops_kickoff_bytes": "Bytes of Redis that the crew's kickoffs take",
            "crewops_kickoff_bytes_limit": "Bytes that they may take",
            "crewops_history_lag_seconds": "How long the oldest entry waits for the durable history",
            "crewops_history_waiting": "Entries of the whole crew that wait for it",
            "crewops_history_bytes": "Bytes of Redis that they take",
            "crewops_history_bytes_limit": "Bytes that they may take",
            "crewops_history_lost": "Entries of the whole crew that were not kept because too much waited",
            "crewops_slots": "Warm slots",
            "crewops_ready": "1 when /readyz says so",
        }

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """Show a value that is looked up when asked."""
        Gauge(name, self._gauge_help[name], registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

    def guard_failure(self, op: object, kind: object) -> None:
        """Count a failure that a slot told of; what it says is not trusted to be few values."""
        self.guard.labels(_label(op), _label(kind)).inc()


def _label(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 and text.replace("_", "").replace("-", "").isalnum() else "other"
