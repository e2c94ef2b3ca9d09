"""A report can be read by an older and by a newer reader."""

import json

from crew_runtime.contract import report

FULL = report.Report(
    replica="concierge-0",
    phase="ready",
    ready=True,
    concurrency=4,
    worker=report.WorkerReport(
        crewai_version="1.15.30",
        crew_inputs=("guest", "message"),
        processes="PerKickoff",
        fork_mode=report.PRELOAD,
        warm_up=("concierge.models:load",),
        rehearsal=report.OPEN,
        rehearsal_left_out=("methods of the flow: begin, end",),
        state=(report.StateKind("memory", "redis", local=False), report.StateKind("knowledge", "chroma", local=True)),
        dimension=384,
    ),
    backend=report.BackendHealth(ready=True, reason="Ok", latency=0.001),
    failures=(report.Failure(1.5, "search", "timed out", "k1"),),
)


def test_a_report_read_back_from_json_is_the_same():
    assert report.from_dict(json.loads(json.dumps(report.to_dict(FULL)))) == FULL


def test_fields_of_a_newer_replica_are_ignored_and_missing_ones_take_their_default():
    read = report.from_dict({"replica": "a", "future": 1, "worker": {"future": 2}, "backend": {"reason": "Timeout"}})
    assert read == report.Report(replica="a", backend=report.BackendHealth(reason="Timeout"))
