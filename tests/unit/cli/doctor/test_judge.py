"""What the facts of a deployment mean, and what is to be done."""

from dataclasses import replace
from typing import Any

import pytest

from crew_operator.api import names
from crew_runtime.contract import env
from crew_runtime.contract.reasons import Reason
from crew_runtime.contract.report import BackendHealth, Failure, Report, StateKind, WorkerReport
from crewctl import __version__
from crewctl.doctor.facts import Facts, Proof, Readiness, Replica, Step
from crewctl.doctor.judge import judge
from crewctl.findings import Finding, Level

NOW = 1_790_000_000.0
CREATED = "2026-09-21T14:00:00Z"
"""Some minutes before NOW."""
PROVEN = "2026-09-21T14:13:00Z"
"""20 s before NOW."""
SETTINGS = {env.KEY_PREFIX: "lobby/concierge", env.MEMORY_ISOLATION: "Session", env.REDIS_URL: "redis://r:6379/0"}

WORKER = WorkerReport(
    runtime_version=__version__,
    crewai_version="1.15.30",
    redis_py_version="8.1.0",
    fork_mode="Preload",
    fork_reason="the import left nothing",
    processes="PerKickoff",
    rehearsal="passed",
    state=(StateKind("memory", "redis", local=False), StateKind("rpm-limit", "process", local=True, by_nature=True)),
    embedder="custom/MiniLM",
    dimension=384,
    uses_memory=True,
)
REPORT = Report(
    replica="a",
    phase="ready",
    server_version=__version__,
    ready=True,
    concurrency=4,
    slots=5,
    worker=WORKER,
    backend=BackendHealth(ready=True, reason="Ok", latency=0.001, server_version="8.2.1"),
)


def replica(name: str, **changes: Any) -> Replica:
    made = Replica(
        name=name,
        pod_ready=True,
        report=replace(REPORT, replica=name),
        readiness=Readiness(ready=True, reason="Ready"),
        settings={"server": SETTINGS, "crew": SETTINGS},
    )
    return replace(made, **changes)


def crew(**status: Any) -> dict[str, Any]:
    conditions = [
        {"type": one.value, "status": "True", "reason": "AllGood", "message": "fine", "observedGeneration": 2}
        for one in names.ConditionType
    ]
    return {
        "metadata": {"name": "concierge", "namespace": "lobby", "generation": 2, "creationTimestamp": CREATED},
        "spec": {"replicas": 2, "memory": {"embedder": {"dimension": 384}}},
        "status": {
            "observedGeneration": 2,
            "memory": {"lastProof": {"time": PROVEN}},
            "conditions": conditions,
            **status,
        },
    }


HEALTHY = Facts(
    crew=crew(),
    now=NOW,
    replicas=(replica("a"), replica("b")),
    proof=Proof(Step("a", done=True), (Step("b", done=True, found=True),)),
)


def found(facts: Facts) -> list[Finding]:
    return [one for section in judge(facts) for one in section.findings]


def about(facts: Facts, subject: str) -> Finding:
    (one,) = [one for one in found(facts) if one.subject == subject]
    return one


def with_report(**changes: Any) -> Facts:
    """The second replica reports something else."""
    other = replica("b")
    return replace(HEALTHY, replicas=(replica("a"), replace(other, report=replace(other.report, **changes))))


def with_replica(**changes: Any) -> Facts:
    """Something else was seen of the second replica."""
    return replace(HEALTHY, replicas=(replica("a"), replica("b", **changes)))


def with_worker(**changes: Any) -> Facts:
    return with_report(worker=replace(WORKER, **changes))


def test_a_healthy_deployment_has_no_failure():
    levels = [one.level for one in found(HEALTHY)]
    assert Level.FAIL not in levels
    assert Level.WARN not in levels, "what is local by nature is said, and no trouble"


def test_what_a_rehearsal_left_out_is_said_and_is_nobodys_to_mend():
    seen = about(with_worker(rehearsal="open", rehearsal_left_out=("hooks: log",)), "b rehearsal")
    assert seen.level is Level.OK
    assert seen.message == "a kickoff went through without the crew's own code; not run: hooks: log"


@pytest.mark.parametrize(
    ("facts", "subject", "level", "said"),
    [
        # the rehearsal
        (with_worker(rehearsal="open", rehearsal_note="needs the network", rehearsal_left_out=("hooks: log",)),
         "b rehearsal", Level.WARN, "was not seen: needs the network; not run: hooks: log"),
        (with_worker(rehearsal=""), "b rehearsal", Level.WARN, "does not say"),
        # the operator
        (replace(HEALTHY, crew=crew(observedGeneration=1)), "operator", Level.FAIL, "has not acted on generation 2"),
        (replace(HEALTHY, now=NOW + 86400), "operator", Level.FAIL, "it seems dead"),
        (replace(HEALTHY, crew=crew(conditions=[])), "Ready", Level.WARN, "has not written it"),
        (replace(HEALTHY, replicas=(replica("a"),)), "replicas", Level.FAIL, "1 of 2"),
        (replace(HEALTHY, redis_trouble="container redis: CrashLoopBackOff"), "redis", Level.FAIL, "CrashLoop"),
        (replace(HEALTHY, directly=True), "access", Level.WARN, "proxy"),
        # sessions
        (replace(HEALTHY, replicas=(replica("a"), replica("b", settings={"crew": {**SETTINGS, env.KEY_PREFIX: "x"}}))),
         env.KEY_PREFIX, Level.FAIL, "x in b/crew"),
        # places
        (with_worker(state=(StateKind("memory", "lancedb", local=True, detail="own"),)), "memory", Level.FAIL,
         "redis in a; lancedb in b: local to b (own)"),
        # agreement
        (replace(HEALTHY, proof=Proof(Step("a", done=True), (Step("b", done=True),))), "b", Level.FAIL,
         "did not find what a wrote"),
        (replace(HEALTHY, proof=Proof(Step("a", done=True), (Step("b", done=False, error="boom"),))), "b", Level.FAIL,
         "could not read: boom"),
        (replace(HEALTHY, proof=Proof(Step("a", done=False, error="boom"))), "proof", Level.FAIL, "could not write"),
        (replace(HEALTHY, proof=None), "proof", Level.FAIL, "no replica"),
        # providers
        (with_report(backend=BackendHealth(reason="Timeout", message="no answer")), "b backend", Level.FAIL, "Timeout"),
        (with_report(phase="failed", reason="EntrypointBroken", message="no module"), "b worker", Level.FAIL,
         "EntrypointBroken: no module"),
        (with_report(phase="loading"), "b worker", Level.WARN, "the worker is loading"),
        (with_replica(failures=(Failure(1.0, "exception", "boom\nline 2", "k1"),)), "b failures", Level.WARN,
         "1 of late; the last: exception: boom"),
        (with_replica(failures=(Failure(1.0, "exception", "", "k1"),), texts_missing="403 forbidden"), "b failures",
         Level.WARN, "the last: exception (its text could not be read: 403 forbidden)"),
        (with_worker(fork_mode="Spawn", fork_reason="threads run"), "b processes", Level.WARN, "threads run"),
        (with_worker(fork_mode=""), "b processes", Level.WARN, "does not say"),
        (with_worker(embedder="openai/large"), "embedder", Level.FAIL, "openai/large in b"),
        (with_worker(dimension=1536), "embedder", Level.FAIL, "the spec declares 384"),
        # versions
        (with_worker(crewai_version="1.14.7"), "CrewAI", Level.FAIL, "1.14.7, 1.15.30"),
        (with_worker(redis_py_version="8.0.0"), "redis-py", Level.FAIL, "8.0.0, 8.1.0"),
        (with_report(server_version="0.0.9"), "runtime", Level.FAIL, "0.0.9"),
        (with_report(backend=replace(REPORT.backend, server_version="7.4.0")), "Redis", Level.FAIL, "7.4.0, 8.2.1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_a_remedy(facts, subject, level, said):
    one = about(facts, subject)
    assert (one.level, said in one.message) == (level, True), one
    assert one.remedy


def test_no_finding_but_a_good_one_is_without_a_remedy():
    nothing = Facts(crew=crew(conditions=[]), now=NOW)
    for facts in (HEALTHY, nothing):
        assert all(one.remedy for one in found(facts) if one.level is not Level.OK)


def test_a_replica_that_was_not_heard_is_named_twice():
    """It is no provider that came up, and it took no part in the proof: silence is never agreement."""
    silent = replica("b", report=None, readiness=None, unreachable="403 not for you")
    facts = replace(HEALTHY, replicas=(replica("a"), silent), proof=Proof(Step("a", True), (Step("a", True, True),)))
    told = [one for one in found(facts) if one.subject == "b"]
    assert [one.level for one in told] == [Level.FAIL, Level.FAIL]
    assert "403 not for you" in told[-1].message


def test_a_replica_whose_answer_was_not_read_is_told_with_why():
    stranger = replica("b", report=None, readiness=None, unreadable="its answer is longer than 1024 KiB")
    told = [one for one in found(replace(HEALTHY, replicas=(replica("a"), stranger))) if one.subject == "b"]
    assert "its answer is longer than 1024 KiB" in told[-1].message
    assert "NetworkPolicy" not in told[-1].remedy


def test_a_stopped_worker_is_told_by_its_readiness():
    why = Readiness(ready=False, reason="WorkerUnresponsive", message="has not answered for 6 s")
    one = about(replace(HEALTHY, replicas=(replica("a"), replica("b", readiness=why))), "b worker")
    assert one.level is Level.FAIL
    assert "WorkerUnresponsive" in one.message


def test_an_operator_has_some_seconds_to_act():
    fresh = crew(observedGeneration=1)
    fresh["metadata"]["managedFields"] = [
        {"manager": "kubectl", "time": "2026-09-21T14:13:15Z"},
        {"manager": "crew-operator", "subresource": "status", "time": "2026-09-21T14:13:19Z"},
    ]
    assert about(replace(HEALTHY, crew=fresh), "operator").level is Level.WARN


def test_settings_may_differ_during_a_rollout():
    rolling = crew()
    rolling["status"]["conditions"][-1] |= {"type": "Progressing", "reason": "RollingOut"}
    other = replica("b", settings={"crew": {**SETTINGS, env.SESSION_TTL: "60"}})
    facts = replace(HEALTHY, crew=rolling, replicas=(replica("a"), other))
    assert about(facts, env.SESSION_TTL).level is Level.WARN


def test_a_condition_that_does_not_hold_is_a_failure_with_its_own_remedy():
    bad = crew()
    bad["status"]["conditions"][2] |= {"status": "False", "reason": "RedisOutOfMemory", "message": "full"}
    one = about(replace(HEALTHY, crew=bad), bad["status"]["conditions"][2]["type"])
    assert one.level is Level.FAIL
    assert "resources.limits.memory" in one.remedy


@pytest.mark.parametrize("reason", list(Reason))
def test_the_remedy_of_every_reason_is_said_once_beside_what_has_happened(reason):
    bad = crew()
    message = f"this happened. {reason.remedy}"
    bad["status"]["conditions"][0] |= {"status": "False", "reason": reason.word, "message": message}
    one = about(replace(HEALTHY, crew=bad), bad["status"]["conditions"][0]["type"])
    assert (one.level, one.remedy) == (Level.FAIL, reason.remedy)
    assert one.message == f"False {reason.word}: this happened"


def test_a_single_replica_reads_back_what_it_wrote():
    single = crew()
    single["spec"]["replicas"] = 1
    proof = Proof(Step("a", done=True), (Step("a", done=True, found=True),))
    one = about(replace(HEALTHY, crew=single, replicas=(replica("a"),), proof=proof), "a")
    assert (one.level, one.message) == (Level.OK, "the only replica that took part read back what it wrote")


def test_a_crew_without_memory_needs_no_embedder():
    worker = replace(WORKER, uses_memory=False, embedder="", dimension=None)
    facts = replace(HEALTHY, replicas=tuple(replica(one, report=replace(REPORT, worker=worker)) for one in "ab"))
    assert about(facts, "embedder").level is Level.OK


def test_an_old_server_is_told():
    old = replace(REPORT, backend=replace(REPORT.backend, server_version="6.2.0"))
    facts = replace(HEALTHY, replicas=(replica("a", report=old), replica("b", report=old)))
    assert about(facts, "Redis").level is Level.WARN


def test_the_processes_of_a_replica_are_said_with_their_reason_and_what_warms_them_up():
    facts = with_worker(
        processes="Shared",
        fork_mode="Fork",
        fork_reason="the import opened socket:[7]",
        warm_up=("models:load", "@module"),
    )
    finding = about(facts, "b processes")
    assert finding.level is Level.OK
    assert finding.message == (
        "one for kickoffs of any session, one after the other; a fork that imports your module itself "
        "(the import opened socket:[7]); before a kickoff it calls models:load, the embedder of your crew"
    )
    assert (
        "one for each kickoff, which then ends; a fork that has your module already"
        in about(facts, "a processes").message
    )
