from dataclasses import replace

import pytest

from crew_operator.api.names import ConditionType as Type
from crew_operator.errors import Problem
from crew_operator.status import chains
from crew_operator.status.observed import (
    Failure,
    Loss,
    Observed,
    Persistence,
    RedisLook,
    RedisState,
    Workload,
)
from crew_runtime.contract.pods import ContainerTrouble
from crew_runtime.contract.reasons import BY_WORD, Reason
from crew_runtime.contract.report import BackendHealth, Report, StateKind, WorkerReport
from support.observations import LOOK, OK, good, replica


def said(seen, type_):
    verdict = chains.verdicts(seen)[type_]
    return verdict.status, verdict.reason


def failed(name, reason, message):
    return replica(name, ready=False, report=Report(replica=name, phase="failed", reason=reason, message=message))


def test_all_is_true_when_all_was_seen():
    assert {verdict.status for verdict in chains.verdicts(good()).values()} == {"True"}
    assert said(good(), Type.READY) == ("True", Reason.ALL_GOOD)


def test_nothing_is_true_when_nothing_was_seen():
    blind = Observed(generation=1, workload=Failure("x"), replicas=Failure("x"), redis=Failure("x"))
    for type_ in (Type.READY, Type.CREW_AVAILABLE, Type.MEMORY_READY, Type.MEMORY_SHARED):
        assert said(blind, type_)[0] == "Unknown"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (RedisState.WEDGED, Reason.REDIS_WEDGED),
        (RedisState.UNREACHABLE, Reason.REDIS_UNREACHABLE),
        (RedisState.OUT_OF_MEMORY, Reason.REDIS_OUT_OF_MEMORY),
        (RedisState.AUTH_FAILED, Reason.REDIS_AUTH_FAILED),
    ],
)
def test_redis_that_does_not_work_makes_memory_and_the_whole_not_ready(state, reason):
    seen = good(redis=RedisLook(state, "what Redis said"))
    assert said(seen, Type.MEMORY_READY) == ("False", reason)
    assert said(seen, Type.MEMORY_SHARED) == ("Unknown", Reason.MEMORY_NOT_READY)
    assert said(seen, Type.READY) == ("False", reason)
    assert "what Redis said" in chains.verdicts(seen)[Type.READY].message


def test_somebody_elses_pod_in_the_place_of_redis_is_told_as_that():
    seen = good(redis_pod=None, redis_pod_taken="concierge-redis-0", redis=None)
    assert said(seen, Type.MEMORY_READY) == said(seen, Type.READY) == ("False", Reason.REDIS_POD_MISSING)
    message = chains.verdicts(seen)[Type.READY].message
    assert "somebody else's pod has the name of Redis' pod, concierge-redis-0" in message


def test_every_state_of_redis_but_ok_has_a_reason():
    for state in RedisState:
        expected = "True" if state is RedisState.OK else "False"
        seen = good(redis=RedisLook(state, run_id="run-1"))
        assert said(seen, Type.MEMORY_READY)[0] == expected


def test_replica_that_lost_redis_is_named():
    lost = Report(replica="b", phase="ready", backend=BackendHealth(reason="Timeout", message="no answer in 2 s"))
    seen = good(replicas=(replica("a"), replica("b", report=lost)))
    assert said(seen, Type.MEMORY_READY) == ("False", Reason.REPLICA_LOST_REDIS)
    assert "b: Timeout: no answer in 2 s" in chains.verdicts(seen)[Type.MEMORY_READY].message


def test_writes_that_come_short_are_told_as_that_and_not_as_a_redis_that_is_gone():
    short = BackendHealth(reason="NotAcknowledged", message="not on a replica of Redis within 1.6 s")
    seen = good(replicas=(replica("a"), replica("b", report=Report(replica="b", phase="ready", backend=short))))
    assert said(seen, Type.MEMORY_READY) == said(seen, Type.READY) == ("False", Reason.WRITES_NOT_ACKNOWLEDGED)
    assert "b: not on a replica of Redis within 1.6 s" in chains.verdicts(seen)[Type.MEMORY_READY].message


def test_replica_that_still_comes_up_has_lost_nothing():
    asking = Report(replica="b", phase="importing", backend=BackendHealth(reason="Refused", message="refused"))
    seen = good(replicas=(replica("a"), replica("b", ready=False, report=asking)))
    assert said(seen, Type.MEMORY_READY)[0] == "True"


def test_what_the_runtime_found_is_said():
    verdict = chains.verdicts(good())[Type.RUNTIME_COMPATIBLE]
    assert verdict.message == "CrewAI 1.15.30 on Python 3.12.1, in /opt/venv/bin/python"


@pytest.mark.parametrize("reason", [Reason.CREWAI_TOO_OLD, Reason.NO_PYTHON, Reason.IMAGE_RUNS_AS_ROOT])
def test_image_that_does_not_fit_is_told_by_its_pod(reason):
    stuck = replica("b", ready=False, report=None, trouble=ContainerTrouble(reason, "tried: /usr/bin/python3"))
    seen = good(replicas=(replica("a"), stuck))
    assert said(seen, Type.RUNTIME_COMPATIBLE) == ("False", reason)
    assert "tried: /usr/bin/python3" in chains.verdicts(seen)[Type.RUNTIME_COMPATIBLE].message
    assert said(seen, Type.READY) == ("False", reason)


@pytest.mark.parametrize(
    "reason", ["EntrypointBroken", "KickoffBroken", "WarmUpBroken", "CrewAIUnsupported", "CrewAIBroken"]
)
def test_worker_that_gave_up_for_what_the_image_is(reason):
    seen = good(replicas=(failed("a", reason, "why"), replica("b")))
    assert said(seen, Type.RUNTIME_COMPATIBLE) == ("False", BY_WORD[reason])


def test_worker_that_gave_up_for_another_cause_says_nothing_of_the_image():
    seen = good(replicas=(failed("a", "BackendUnavailable", "no Redis"), replica("b")))
    assert said(seen, Type.RUNTIME_COMPATIBLE) == ("True", Reason.COMPATIBLE)


@pytest.mark.parametrize(("runs", "status"), [(True, "False"), (False, "Unknown")])
def test_container_without_our_worker_is_one_that_runs_something_else(runs, status):
    report = Report(replica="a", reason="WorkerNeverConnected", message="no worker has connected for 60 s")
    seen = good(replicas=(replica("a", ready=False, crew_runs=runs, report=report),))
    assert said(seen, Type.RUNTIME_COMPATIBLE)[0] == status


def test_silent_ready_replica_makes_memory_unknown():
    seen = good(replicas=(replica("a"), replica("b", report=Failure("refused"))))
    assert said(seen, Type.MEMORY_READY) == ("Unknown", Reason.REPLICA_SILENT)


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": (replica("a"), replica("c"))},
        {"replicas": (replica("a"), replica("b", restarts=1))},
        {"redis": RedisLook(RedisState.OK, run_id="run-2")},
        {"proof": None},
    ],
    ids=["another pod", "restarted pod", "restarted redis", "never proven"],
)
def test_stale_proof_is_not_true(change):
    assert said(good(**change), Type.MEMORY_SHARED) == ("Unknown", Reason.PROOF_PENDING)


def test_failed_proof_says_who_could_not_read():
    seen = good()
    seen = replace(seen, proof=replace(seen.proof, ok=False, message="a wrote, b did not find it"))
    assert said(seen, Type.MEMORY_SHARED) == ("False", Reason.PROOF_FAILED)
    assert said(seen, Type.READY) == ("False", Reason.PROOF_FAILED)


def test_local_memory_is_false_even_when_a_proof_passed():
    state = (StateKind(kind="memory", backend="lancedb", local=True),)
    report = Report(replica="b", phase="ready", backend=OK, worker=WorkerReport(state=state))
    seen = good(replicas=(replica("a"), replica("b", report=report)))
    assert said(seen, Type.MEMORY_SHARED) == ("False", Reason.LOCAL_FALLBACK)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (StateKind("checkpoints", "files", local=True), "False"),
        (StateKind("rpm-limit", "process", local=True, by_nature=True), "True"),
    ],
)
def test_any_kind_that_is_local_but_by_nature_is_said(kind, status):
    report = Report(replica="b", phase="ready", backend=OK, worker=WorkerReport(state=(kind,)))
    seen = good(replicas=(replica("a"), replica("b", report=report)))
    assert said(seen, Type.MEMORY_SHARED)[0] == status


def test_entrypoint_that_does_not_import_is_told_in_the_replicas_words():
    seen = good(replicas=(failed("a", "EntrypointBroken", "No module named 'concierg'"),))
    assert said(seen, Type.CREW_AVAILABLE) == ("False", Reason.ENTRYPOINT_BROKEN)
    message = chains.verdicts(seen)[Type.READY].message
    assert "No module named 'concierg'" in message


def test_reason_that_we_do_not_know_is_passed_on():
    seen = good(replicas=(failed("a", "CrewaiTooOld", "1.10 is older than 1.14.7"),))
    assert said(seen, Type.CREW_AVAILABLE) == ("False", Reason.REPLICA_FAILED)
    assert "CrewaiTooOld: 1.10" in chains.verdicts(seen)[Type.CREW_AVAILABLE].message


def test_broken_rollout_leaves_the_crew_available_but_not_ready():
    seen = good(
        workload=Workload(wanted=2, replicas=3, ready=2, updated=1),
        replicas=(replica("a", newest=False), replica("b", newest=False), failed("c", "EntrypointBroken", "boom")),
    )
    assert said(seen, Type.CREW_AVAILABLE)[0] == "True"
    assert said(seen, Type.PROGRESSING) == ("False", Reason.ENTRYPOINT_BROKEN)
    assert said(seen, Type.READY) == ("False", Reason.ENTRYPOINT_BROKEN)


def test_rollout_in_progress_keeps_a_serving_crew_ready():
    seen = good(workload=Workload(wanted=2, replicas=3, ready=2, updated=1))
    assert said(seen, Type.PROGRESSING) == ("True", Reason.ROLLING_OUT)
    assert said(seen, Type.READY)[0] == "True"


def test_image_that_cannot_be_pulled_names_pod_and_remedy():
    trouble = ContainerTrouble(Reason.IMAGE_NOT_PULLED, "container crew: ErrImagePull")
    seen = good(replicas=(replica("a"), replica("b", ready=False, report=None, trouble=trouble)))
    assert said(seen, Type.CREW_AVAILABLE) == ("False", Reason.IMAGE_NOT_PULLED)


def test_scaled_to_zero_is_not_ready_and_says_how_to_scale():
    seen = good(workload=Workload(wanted=0), replicas=())
    assert said(seen, Type.READY) == ("False", Reason.SCALED_TO_ZERO)
    assert "kubectl scale" in chains.verdicts(seen)[Type.READY].message


@pytest.mark.parametrize(
    ("field", "reason"),
    [("problems", Reason.SPEC_INVALID), ("refused", Reason.CHANGE_REFUSED), ("missing", Reason.REFERENCE_NOT_FOUND)],
)
def test_bad_spec_is_not_ready_while_what_runs_stays_available(field, reason):
    seen = good(**{field: (Problem("spec.x", "write y"),)})
    assert said(seen, Type.READY) == ("False", reason)
    assert said(seen, Type.CREW_AVAILABLE)[0] == "True"
    assert "write y @ spec.x" in chains.verdicts(seen)[Type.READY].message


def test_ignored_variable_is_said_in_ready():
    seen = good(ignored_env=("CREWOPS_REDIS_URL",))
    assert said(seen, Type.READY) == ("True", Reason.ENV_IGNORED)


def test_message_about_many_replicas_stays_short():
    many = tuple(replica(f"r{n}", report=Failure("refused")) for n in range(50))
    message = chains.verdicts(good(replicas=many))[Type.MEMORY_READY].message
    assert "and 47 more" in message


def test_restarted_redis_is_not_ready_until_every_replica_wrote_to_it():
    def seen(*written):
        looks = [replace(OK, checked_at=at) for at in written]
        replicas = [
            replica(name, report=Report(replica=name, phase="ready", backend=look))
            for name, look in zip("ab", looks, strict=True)
        ]
        return good(redis=RedisLook(RedisState.OK, run_id="2", up_since=100.0), replicas=tuple(replicas))

    assert said(seen(101.0, 99.0), Type.MEMORY_READY) == ("False", Reason.REDIS_RESTARTED)
    assert "b has not written" in chains.verdicts(seen(101.0, 99.0))[Type.MEMORY_READY].message
    assert said(seen(101.0, 100.5), Type.MEMORY_READY)[0] == "True"


def test_another_redis_process_is_said_even_if_it_was_back_before_anybody_looked():
    seen = good(redis=RedisLook(RedisState.OK, run_id="2"), redis_restarted=True)
    assert said(seen, Type.MEMORY_READY) == ("False", Reason.REDIS_RESTARTED)
    assert said(replace(seen, redis_restarted=False), Type.MEMORY_READY)[0] == "True"


def unfit(name):
    state = (StateKind("task-outputs", "sqlite", local=True, detail="another signature", unfit=True),)
    message = "task-outputs would stay in sqlite"
    worker = WorkerReport(state=state)
    report = Report(name, phase="ready", reason="StateLocal", message=message, backend=OK, worker=worker)
    return replica(name, ready=False, report=report)


def test_a_replica_that_waits_because_state_would_stay_local_says_so():
    verdicts = chains.verdicts(good(replicas=(unfit("a"), unfit("b"))))
    assert verdicts[Type.CREW_AVAILABLE].reason is Reason.REPLICAS_NOT_READY
    assert "a: StateLocal: task-outputs would stay in sqlite" in verdicts[Type.CREW_AVAILABLE].message
    shared = verdicts[Type.MEMORY_SHARED]
    assert (shared.status, shared.reason) == ("False", Reason.LOCAL_FALLBACK)
    assert "a: task-outputs in sqlite" in shared.message


def test_a_replica_that_starts_and_keeps_state_by_choice_is_not_judged_yet():
    worker = WorkerReport(state=(StateKind("memory", "lancedb", local=True),))
    starting = replica("a", ready=False, report=Report("a", phase="ready", backend=OK, worker=worker))
    assert said(good(replicas=(starting,)), Type.MEMORY_SHARED) == ("Unknown", Reason.NO_REPLICAS)


def test_a_pod_that_its_node_does_not_confirm_is_not_said_to_be_ready():
    seen = good(replicas=(replica("a"), replica("b", ready=False)))
    verdict = chains.verdicts(seen)[Type.CREW_AVAILABLE]
    assert (verdict.status, verdict.reason) == ("False", Reason.REPLICAS_NOT_READY)
    assert "1 of 2 replicas are ready; b says that it is ready, its node does not" in verdict.message


def test_an_api_that_is_open_as_before_is_told_and_takes_nothing_from_ready():
    seen = good(open_as_before=True, ignored_env=("CREWOPS_REDIS_URL",))
    assert said(seen, Type.READY) == ("True", Reason.API_OPEN)
    message = chains.verdicts(seen)[Type.READY].message
    assert "spec.crew.api.auth" in message
    assert "CREWOPS_REDIS_URL" in message
    assert {verdict.status for verdict in chains.verdicts(seen).values()} == {"True"}


def test_passes_that_fail_are_told_and_nothing_else_is_claimed():
    blind = Failure("the operator's pass failed")
    seen = Observed(generation=1, broken="KeyError", workload=blind, replicas=blind, redis=blind)
    assert said(seen, Type.PROGRESSING) == ("False", Reason.INTERNAL_ERROR)
    assert said(seen, Type.READY) == ("Unknown", Reason.INTERNAL_ERROR)
    assert "KeyError" in chains.verdicts(seen)[Type.READY].message
    for type_ in (Type.CREW_AVAILABLE, Type.MEMORY_READY, Type.MEMORY_SHARED):
        assert said(seen, type_)[0] == "Unknown"


def test_servers_behind_one_address_are_one_redis_unless_their_data_differ():
    several = good(redis=RedisLook(RedisState.OK, run_id="1", data_id="d"), redis_several=True)
    other = replace(several, redis=RedisLook(RedisState.OK, run_id="2", data_id="d"))
    assert several.subject == other.subject
    assert replace(several, redis_several=False).subject != replace(other, redis_several=False).subject
    assert said(several, Type.MEMORY_READY)[0] == "True"
    assert said(replace(several, redis_apart=True), Type.MEMORY_READY) == ("False", Reason.REDIS_APART)


def test_a_redis_that_does_not_say_who_it_is_is_known_by_its_data():
    one, other = (good(redis=RedisLook(RedisState.OK, data_id=name)) for name in ("d1", "d2"))
    assert one.subject != other.subject


def test_a_redis_that_will_be_full_is_told_and_takes_nothing_from_ready():
    seen = good(redis_nearly_full=True)
    assert said(seen, Type.MEMORY_READY) == ("True", Reason.REDIS_NEARLY_FULL)
    assert said(seen, Type.READY) == ("True", Reason.REDIS_NEARLY_FULL)
    assert said(seen, Type.MEMORY_SHARED)[0] == "True"
    assert "limits.memory" in chains.verdicts(seen)[Type.MEMORY_READY].message


LOSS = Loss("1234abcd", 0, "Redis has lost what was last seen in it at T: it has nothing of what it held")


def test_lost_memories_make_the_whole_not_ready_and_say_how_they_are_accepted():
    seen = good(loss=LOSS)
    assert said(seen, Type.MEMORY_DURABLE) == said(seen, Type.READY) == ("False", Reason.MEMORY_LOST)
    assert said(seen, Type.MEMORY_READY)[0] == "True"
    assert "crewops.dev/accept-memory-loss=1234abcd" in chains.verdicts(seen)[Type.READY].message
    assert said(good(loss=LOSS, managed=False), Type.READY) == ("False", Reason.MEMORY_LOST)


def test_a_crew_that_is_stopped_for_its_loss_says_so_and_not_that_it_was_scaled_down():
    seen = good(loss=LOSS, stopped=True, workload=Workload(wanted=0), replicas=())
    assert said(seen, Type.CREW_AVAILABLE) == ("False", Reason.MEMORY_LOST)
    assert said(seen, Type.READY) == ("False", Reason.MEMORY_LOST)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"evicts": "allkeys-lru"}, "False", Reason.REDIS_EVICTS),
        ({"persistence": None}, "Unknown", Reason.PERSISTENCE_NOT_REPORTED),
        ({"persistence": Persistence(appends=False)}, "False", Reason.REDIS_NOT_PERSISTENT),
        (
            {"persistence": Persistence(appends=True, failing="aof_last_write_status")},
            "False",
            Reason.REDIS_PERSISTENCE_FAILING,
        ),
    ],
)
def test_how_redis_keeps_what_it_is_given_counts_for_ready_where_it_is_ours(changes, status, reason):
    look = replace(LOOK, **changes)
    managed = good(redis=look)
    assert said(managed, Type.MEMORY_DURABLE) == said(managed, Type.READY) == (status, reason)
    external = good(redis=look, managed=False)
    assert said(external, Type.MEMORY_DURABLE) == (status, reason)
    assert said(external, Type.READY) == ("True", reason if status == "False" else Reason.ALL_GOOD)


def test_of_a_redis_that_gives_no_answer_nothing_is_known():
    seen = good(redis=RedisLook(RedisState.WEDGED, "no answer"))
    assert said(seen, Type.MEMORY_DURABLE) == ("Unknown", Reason.MEMORY_NOT_READY)


def test_a_volume_that_will_be_full_is_told_and_takes_nothing_from_ready():
    seen = good(disk_nearly_full=True)
    assert said(seen, Type.MEMORY_DURABLE) == said(seen, Type.READY) == ("True", Reason.REDIS_DISK_NEARLY_FULL)


def test_a_canary_that_cannot_be_read_is_told():
    seen = good(redis=replace(LOOK, canary=None))
    assert "a loss would not be seen" in chains.verdicts(seen)[Type.MEMORY_DURABLE].message
