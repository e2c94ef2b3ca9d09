"""What a pass may have seen: a crew of two with all in order, and replicas."""

from dataclasses import replace
from typing import Any

from crew_operator.status.observed import (
    Observed,
    Persistence,
    Proof,
    RedisLook,
    RedisPod,
    RedisState,
    Replica,
    Workload,
)
from crew_runtime.contract.report import BackendHealth, Report, WorkerReport

OK = BackendHealth(ready=True, reason="Ok")
WORKER = WorkerReport(crewai_version="1.15.30", python_version="3.12.1", interpreter="/opt/venv/bin/python")

LOOK = RedisLook(RedisState.OK, run_id="run-1", persistence=Persistence(appends=True), canary="")


def replica(name: str, **changes: Any) -> Replica:
    """One that serves."""
    report = Report(replica=name, phase="ready", ready=True, backend=OK, worker=WORKER)
    return replace(Replica(name=name, uid=name, ip="127.0.1.2", ready=True, report=report), **changes)


def good(**changes: Any) -> Observed:
    """All of it, with these fields instead."""
    seen = Observed(
        generation=1,
        workload=Workload(wanted=2, replicas=2, ready=2, updated=2),
        replicas=(replica("a"), replica("b")),
        redis_pod=RedisPod(uid="r", ip="127.0.1.9"),
        redis=LOOK,
    )
    proof = Proof(time=0, subject=seen.subject, ok=True, replicas=2, latency=0.01)
    return replace(seen, **{"proof": proof, **changes})
