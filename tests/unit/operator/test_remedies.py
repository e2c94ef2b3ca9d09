"""From `Ready=False` in `kubectl describe` to what to do in one step: every reason, wherever it can come from."""

from dataclasses import replace
from pathlib import Path

import pytest

from crew_operator.api.names import ConditionType as Type
from crew_operator.api.reference import pages
from crew_operator.errors import Problem
from crew_operator.status import chains
from crew_operator.status.checks import _OF_THE_RUNTIME, _REDIS_REASONS
from crew_operator.status.conditions import MAX_MESSAGE, merge
from crew_operator.status.observed import (
    Claim,
    Failure,
    Loss,
    Members,
    Observed,
    Persistence,
    RedisLook,
    RedisMember,
    RedisState,
    Workload,
)
from crew_runtime.contract.pods import ContainerTrouble
from crew_runtime.contract.reasons import Reason
from crew_runtime.contract.replica_reasons import BackendReason, HistoryReason
from crew_runtime.contract.report import BackendHealth, HistoryHealth, Report, StateKind, WorkerReport
from support.observations import LOOK, OK, WORKER, good, replica

GOOD = {
    Reason.AVAILABLE, Reason.COMPATIBLE, Reason.ROLLING_OUT, Reason.ROLLOUT_COMPLETE, Reason.ANSWERS, Reason.DURABLE,
    Reason.PROVEN, Reason.ALL_GOOD, Reason.ENV_IGNORED, Reason.API_OPEN, Reason.REDIS_NEARLY_FULL,
    Reason.REDIS_DISK_NEARLY_FULL, Reason.REDIS_MEMBER_MISSING, Reason.HISTORY_WRITTEN,
}  # fmt: skip
"""Of a condition that is True; five of them say what to do as well."""
EVENTS = {
    Reason.REDIS_POD_REPLACED, Reason.REDIS_FAILED_OVER, Reason.REDIS_HANDED_OVER, Reason.REDIS_PASSWORD_CHANGED,
    Reason.REDIS_PASSWORD_ROTATED, Reason.DRIFT_CORRECTED,
}  # fmt: skip
PROBLEM = (Problem("spec.x", "write y"),)
LONG = "Traceback:\n" + "  File line\n" * 400


def gave_up(reason, message="boom"):
    report = Report(replica="a", phase="failed", reason=reason, message=message)
    return good(replicas=(replica("a", ready=False, report=report),))


def trouble(reason):
    found = ContainerTrouble(reason, "container crew")
    return good(replicas=(replica("a", ready=False, report=None, trouble=found),))


def proven(**changes):
    seen = good()
    return replace(seen, proof=replace(seen.proof, **changes))


LOST_REDIS = Report(replica="b", phase="ready", backend=BackendHealth(reason="Timeout", message="no answer in 2 s"))
NOT_KEPT = Report(
    replica="b", phase="ready", backend=BackendHealth(reason=BackendReason.NOT_ACKNOWLEDGED, message="no replica")
)
LOCAL = WorkerReport(crewai_version="1.15.30", state=(StateKind("memory", "lancedb", local=True),))


def history(told=None, **changes):
    """Of a crew with a durable history; `told`: what its replicas tell of that."""
    told = told or (HistoryHealth(reason=HistoryReason.OK, **changes),)
    with_history = [
        replica(name, report=Report(name, phase="ready", backend=OK, worker=WORKER, history=one))
        for name, one in zip("ab", (*told, None), strict=False)
    ]
    return good(replicas=tuple(with_history), durable_history=True)


AWAY = HistoryHealth(HistoryReason.UNREACHABLE, "connection refused", lag=5.0, waiting=3)
WRITES = HistoryHealth(HistoryReason.OK, lag=5.0, waiting=3)
NO_VOLUME = Claim("concierge-files", "uid", "Pending", "standard", ("ReadWriteMany",), "no such mode", warned=True)
PRIMARY = RedisMember("redis-0", 0, "uid", "10.0.0.1")
NOBODY = good(workload=Workload(wanted=2), replicas=())
STUCK = Workload(wanted=2, replicas=3, ready=2, updated=1, deadline_exceeded=True)
SEEN: list[Observed] = [
    good(problems=PROBLEM), good(taken=PROBLEM), good(refused=PROBLEM), good(missing=PROBLEM),
    good(rejected="no"), good(not_resized="no"), good(broken="KeyError"),
    good(workload=Failure("x")), good(replicas=Failure("x")), good(workload=None),
    good(redis=None), good(redis=Failure("x")),
    good(workload=Workload(wanted=0), replicas=()), NOBODY, good(workload=STUCK),
    *(gave_up(one.word) for one in _OF_THE_RUNTIME), gave_up("SomethingElse"), gave_up("EntrypointBroken", LONG),
    *(trouble(one) for one in (Reason.IMAGE_NOT_PULLED, Reason.CONTAINER_CRASHES, Reason.POD_NOT_STARTED)),
    *(good(redis=RedisLook(one, "what Redis said")) for one in RedisState if one is not RedisState.OK),
    good(redis_pod=None), good(redis_pod_taken="concierge-redis-0", redis_pod=None),
    good(members=Members(wanted=3, waits="redis-0 refuses connections", missing="redis-1 has no address")),
    good(members=Members(PRIMARY, 1, 3, (), "redis-1 is not linked", whole=True)),
    good(redis_restarted=True), good(redis_apart=True),
    good(replicas=(replica("a"), replica("b", report=LOST_REDIS))),
    good(replicas=(replica("a"), replica("b", report=NOT_KEPT))),
    good(replicas=(replica("a"), replica("b", report=Failure("refused")))),
    good(replicas=(replica("a", ready=False, report=None),), files=NO_VOLUME),
    good(loss=Loss("1234abcd", 0, "Redis has lost it")),
    good(loss=Loss("1234abcd", 0, "Redis has lost it"), stopped=True, workload=Workload(wanted=0), replicas=()),
    good(redis=replace(LOOK, evicts="allkeys-lru")), good(redis=replace(LOOK, persistence=None)),
    good(redis=replace(LOOK, persistence=Persistence(appends=False))),
    good(redis=replace(LOOK, persistence=Persistence(appends=True, failing="aof_last_write_status"))),
    proven(subject="other"), proven(ok=False, message="b did not read it"),
    good(replicas=(replica("a", report=Report("a", phase="ready", backend=OK, worker=LOCAL)),)),
    history(told=(AWAY,)), history(lag=90.0, waiting=7), history(lost=2, lost_ago=60.0), history(told=(None,)),
]  # fmt: skip


def told(seen):
    """Each condition that is not True, as kubectl shows it."""
    return [one for one in merge((), chains.verdicts(seen), 1, 0.0) if one["status"] != "True"]


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (history(), Reason.HISTORY_WRITTEN),
        (history(lag=59.0, waiting=3), Reason.HISTORY_WRITTEN),
        (history(lost=2, lost_ago=90_000.0), Reason.HISTORY_WRITTEN),  # a day ago
        (history(told=(AWAY, WRITES)), Reason.HISTORY_WRITTEN),  # one of them writes for all
        (history(told=(replace(AWAY, lag=90.0), WRITES)), Reason.HISTORY_NOT_WRITTEN),
        (history(told=(AWAY, HistoryHealth())), Reason.HISTORY_NOT_WRITTEN),
        (history(told=(replace(AWAY, lost=1), WRITES)), Reason.HISTORY_LOST),
        (history(told=(None,)), Reason.NO_REPLICAS),
    ],
)
def test_the_durable_history_is_as_current_as_its_replicas_say(seen, reason):
    found = chains.verdicts(seen)
    assert found[Type.HISTORY_CURRENT].reason is reason
    assert found[Type.READY].status == "True", "the crew serves whatever Postgres does"
    holds = found[Type.HISTORY_CURRENT].status != "False"
    assert holds or "HistoryCurrent: " in found[Type.READY].message
    assert Type.HISTORY_CURRENT not in chains.verdicts(replace(seen, durable_history=False))


@pytest.mark.parametrize("seen", SEEN)
def test_a_condition_that_does_not_hold_ends_in_what_to_do(seen):
    found = told(seen)
    assert found
    for one in found:
        (reason,) = [each for each in Reason if each.word == one["reason"]]
        own = "kubectl annotate crew", "Delete it, and the StatefulSet", "Restore a backup"
        assert reason.remedy in one["message"] or any(text in one["message"] for text in own), one
        assert len(one["message"]) <= MAX_MESSAGE
        assert one["message"].count(reason.remedy) <= 1
        if one["type"] == Type.READY.value:
            assert not one["message"].endswith("..."), "cut before its end, which is the remedy"


def test_every_reason_that_a_condition_can_have_was_among_them():
    met = {one["reason"] for seen in SEEN for one in told(seen)}
    assert sorted(one.word for one in Reason if one.word not in met) == sorted(one.word for one in GOOD | EVENTS)
    assert set(_REDIS_REASONS.values()) <= {one for one in Reason if one.word in met}


def test_a_warning_of_a_condition_that_holds_says_what_to_do_too():
    away = Members(PRIMARY, 1, 3, ("redis-1",), "redis-2 has no address", whole=True)
    for seen in (good(redis_nearly_full=True), good(disk_nearly_full=True), good(members=away)):
        (one,) = [each for each in chains.verdicts(seen).values() if each.reason.remedy in each.message]
        assert one.status == "True"


def test_the_docs_have_the_remedy_of_every_reason():
    text = Path(__file__).parents[3].joinpath("docs", "conditions.md").read_text()
    assert text == pages()["conditions.md"]
    for one in Reason:
        assert f"| {one.cause} | {one.remedy} |" in text
