import pytest

from crew_operator.status import pods
from crew_runtime.contract.reasons import Reason


def pod(name="concierge-1", *, component="crew", created="2026-01-01T00:00:00Z", **status):
    labels = {"app.kubernetes.io/component": component, "pod-template-hash": status.pop("hash", "a")}
    about = {"name": name, "uid": name, "labels": labels, "creationTimestamp": created}
    return {"metadata": about, "status": {"phase": "Running", "podIP": "10.0.0.1", **status}}


def waiting(reason, message=""):
    return {"name": "crew", "restartCount": 2, "state": {"waiting": {"reason": reason, "message": message}}}


def test_ready_pod_is_a_ready_replica():
    (one,) = pods.replicas([pod(conditions=[{"type": "Ready", "status": "True"}])])
    assert (one.ready, one.ip, one.newest, one.trouble) == (True, "10.0.0.1", True, None)


def test_redis_and_ended_pods_are_no_replicas():
    assert pods.replicas([pod(component="redis"), pod(phase="Failed")]) == ()


def test_youngest_pod_shows_the_newest_template():
    found = pods.replicas([pod("new", created="2026-02-01T00:00:00Z", hash="b"), pod("old")])
    assert [(one.name, one.newest) for one in found] == [("old", False), ("new", True)]


def test_image_that_cannot_be_pulled_is_told_with_the_kubelets_words():
    (one,) = pods.replicas([pod(containerStatuses=[waiting("ImagePullBackOff", "no such image")])])
    assert one.trouble.reason is Reason.IMAGE_NOT_PULLED
    assert one.trouble.message == "container crew: ImagePullBackOff: no such image"


def test_crash_loop_tells_how_the_container_ended():
    status = waiting("CrashLoopBackOff") | {"lastState": {"terminated": {"exitCode": 3, "message": "no module x"}}}
    (one,) = pods.replicas([pod(containerStatuses=[status])])
    assert one.trouble.reason is Reason.CONTAINER_CRASHES
    assert one.trouble.message.endswith("(last exit code 3: no module x)")
    assert one.restarts == 2


def test_launcher_that_gave_up_is_heard():
    said = 'a warning\n{"reason": "CrewAITooOld", "message": "tried: /usr/bin/python3: crewai 1.0"}\n'
    status = waiting("CrashLoopBackOff") | {"lastState": {"terminated": {"exitCode": 78, "message": said}}}
    (one,) = pods.replicas([pod(containerStatuses=[status])])
    assert (one.trouble.reason, one.trouble.message) == (Reason.CREWAI_TOO_OLD, "tried: /usr/bin/python3: crewai 1.0")


@pytest.mark.parametrize(
    "said", ["", "killed", "[]", '{"reason": "Unheard"}', '{"reason": ["NoPython"]}', '"NoPython"']
)
def test_what_is_no_word_of_ours_is_an_ordinary_crash(said):
    status = waiting("CrashLoopBackOff") | {"lastState": {"terminated": {"exitCode": 1, "message": said}}}
    (one,) = pods.replicas([pod(containerStatuses=[status])])
    assert one.trouble.reason is Reason.CONTAINER_CRASHES


def test_image_that_would_run_as_root_is_told_as_that():
    refused = waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")
    (one,) = pods.replicas([pod(containerStatuses=[refused])])
    assert one.trouble.reason is Reason.IMAGE_RUNS_AS_ROOT


def test_crew_runs_when_its_own_container_does():
    status = {"name": "crew", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    assert pods.replicas([pod(containerStatuses=[status])])[0].crew_runs
    assert not pods.replicas([pod(containerStatuses=[status | {"name": "server"}])])[0].crew_runs


def test_starting_container_is_no_trouble():
    (one,) = pods.replicas([pod(containerStatuses=[waiting("ContainerCreating")])])
    assert one.trouble is None


def test_unscheduled_pod_says_what_is_missing():
    conditions = [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes have enough memory"}]
    (one,) = pods.replicas([pod(phase="Pending", conditions=conditions)])
    assert "0/3 nodes have enough memory" in one.trouble.message
    (ran,) = pods.replicas([pod(conditions=conditions)])
    assert ran.trouble is None, "it has a node"


MAKER = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "concierge-redis", "uid": "s", "controller": True}


def redis_made_by(*owners):
    made = pod("concierge-redis-0", component="redis")
    made["metadata"]["ownerReferences"] = list(owners)
    return made


@pytest.mark.parametrize("made_by", ["s", ""], ids=["uid known", "uid unknown"])
def test_redis_pod_is_the_one_of_its_name_that_its_stateful_set_made(made_by):
    listed = [pod(), redis_made_by(MAKER)]
    found = pods.redis_pod(listed, "concierge", made_by)
    assert (found.uid, found.ip) == ("concierge-redis-0", "10.0.0.1")
    assert pods.redis_pod_taken(listed, "concierge", made_by) == ""


def test_where_nobody_has_the_name_of_the_redis_pod_none_is_taken():
    assert pods.redis_pod([pod()], "concierge", "s") is None
    assert pods.redis_pod_taken([pod()], "concierge", "s") == ""


@pytest.mark.parametrize(
    "owners",
    [
        [],
        [MAKER | {"controller": False}],
        [MAKER | {"kind": "ReplicaSet"}],
        [MAKER | {"apiVersion": "apps.example.com/v1"}],
        [MAKER | {"name": "concierge"}],
        [MAKER | {"uid": "of one before"}],
        [MAKER | {"controller": False}, {**MAKER, "kind": "Job"}],
    ],
)
def test_a_pod_that_somebody_else_made_is_not_the_redis_pod_whatever_its_name_and_labels(owners):
    listed = [redis_made_by(*owners)]
    assert pods.redis_pod(listed, "concierge", "s") is None
    assert pods.redis_pod_taken(listed, "concierge", "s") == "concierge-redis-0"


def test_deployment_that_its_controller_has_not_seen_is_not_up_to_date():
    deployment = {"metadata": {"generation": 4}, "spec": {"replicas": 3}, "status": {"observedGeneration": 3}}
    assert pods.workload(deployment).up_to_date is False


def test_a_pause_of_the_kubelet_that_grows_does_not_change_the_message():
    said = [
        pods.replicas(
            [pod(containerStatuses=[waiting("CrashLoopBackOff", f"back-off {pause} restarting failed crew")])]
        )
        for pause in ("10s", "1m20s", "5m0s")
    ]
    assert {one.trouble.message for (one,) in said} == {
        "container crew: CrashLoopBackOff: back-off restarting failed crew"
    }


def test_a_crew_waits_for_failovers_when_each_of_its_pods_does_also_as_the_cache_keeps_them():
    waits, does_not, ended, redis = pod("new"), pod("old"), pod("evicted", phase="Failed"), pod(component="redis")
    waits["metadata"]["labels"]["crewops.dev/waits-for-failover"] = "true"
    kept = [pods.pruned(one) for one in (waits, does_not, ended, redis)]
    assert pods.wait_for_failover([kept[0], kept[2], kept[3]]) == (True,)
    assert sorted(pods.wait_for_failover(kept)) == [False, True]
    kept[1]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert sorted(pods.wait_for_failover(kept)) == [False, True], "it ends its kickoffs"


def test_a_password_is_in_use_when_every_replica_says_so_and_those_that_leave_said_so():
    found = [pod("a"), pod("b", created="2026-02-01T00:00:00Z"), pod(component="redis"), pod("gone", phase="Failed")]
    assert pods.all_use(found, "v2", {"a": "v2", "b": "v2"})
    for reported in ({"a": "v2"}, {"a": "v2", "b": ""}, {"a": "v1", "b": "v2"}):
        assert not pods.all_use(found, "v2", reported)
