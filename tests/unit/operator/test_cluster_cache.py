"""The operator's picture of the cluster: whatever order events come in, and whatever they leave out."""

import gc
import itertools
import tracemalloc
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from crew_operator.api import names
from crew_operator.cluster_cache import POD, RELIST_SETTLES, Change, ClusterCache
from crew_operator.desired import drift
from crew_operator.status import pods
from support.crews import crew_manifest

KEY = ("lobby", "concierge")
GOLDEN = Path(__file__).parent / "golden"


def stored(version, uid="c", **changes):
    """The CrewDeployment as an API server has it."""
    made = crew_manifest(uid=uid, generation=1, **changes)
    made["metadata"]["resourceVersion"] = str(version)
    return made


def child(version, uid="s", name="concierge", owner="concierge", **content):
    labels = {names.OWNER_LABEL: owner} if owner else {}
    about = {"namespace": "lobby", "name": name, "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"metadata": about, "spec": {"a": version}, **content}


def pod(version, uid="p", name="concierge-x", **status):
    made = child(version, uid, name)
    made["metadata"]["labels"] |= {names.COMPONENT_LABEL: names.CREW, "pod-template-hash": "1"}
    return {**made, "spec": {"containers": []}, "status": status}


def cache(*events):
    """One that has listed the CrewDeployment, and was told these."""
    made = ClusterCache()
    made.told(None, names.KIND, stored(1), 0)
    made.begin()
    assert made.take_news(KEY)
    for type_, kind, found in events:
        made.told(type_, kind, found, 0)
    return made


def version(made, kind="Service", name="concierge"):
    found = made.get(KEY, kind, name)
    return found and found["metadata"]["resourceVersion"]


def test_what_is_told_is_kept_and_is_news_once():
    made = cache()
    assert made.told("ADDED", "Service", child(5), 0) == {KEY: Change.WISH}
    assert made.get(KEY, "Service", "concierge")["spec"] == {"a": 5}
    assert made.take_news(KEY)
    assert not made.take_news(KEY)
    assert made.told("MODIFIED", "Service", child(5), 0) == {}
    assert not made.take_news(KEY)


def test_a_spec_that_somebody_changed_while_we_wrote_the_status_is_still_news():
    """The answer to our write has their change in it, and the watch tells of it later."""
    made = cache()
    theirs = stored(2, crew__concurrency=9)
    made.written(names.KIND, stored(3, crew__concurrency=9) | {"status": {"replicas": 1}})
    assert not made.take_news(KEY)
    assert made.told("MODIFIED", names.KIND, theirs, 0) == {KEY: Change.WISH}
    assert made.take_news(KEY)
    assert made.get(KEY, names.KIND, "concierge")["spec"]["crew"]["concurrency"] == 9
    assert made.told("MODIFIED", names.KIND, stored(3, crew__concurrency=9) | {"status": {"replicas": 1}}, 0)
    made.written(names.KIND, stored(4, crew__concurrency=9) | {"status": {"replicas": 2}})
    assert made.told("MODIFIED", names.KIND, stored(4, crew__concurrency=9) | {"status": {"replicas": 2}}, 0) == {}


def test_a_spec_that_changed_is_news_though_the_watch_tells_of_our_status_before_its_answer_is_here():
    made = cache()
    ours = stored(3, crew__concurrency=9) | {"status": {"replicas": 1}}
    made.told("MODIFIED", names.KIND, stored(2, crew__concurrency=9), 0)
    made.told("MODIFIED", names.KIND, ours, 0)
    made.written(names.KIND, ours)
    assert made.take_news(KEY)


def test_in_whatever_order_events_come_the_newest_state_is_kept():
    events = [
        ("ADDED", child(2, "old")),
        ("MODIFIED", child(3, "old")),
        ("DELETED", child(4, "old")),
        ("ADDED", child(5, "new")),
        ("MODIFIED", child(6, "new")),
    ]
    for order in itertools.permutations(events):
        made = cache(*((type_, "Service", deepcopy(found)) for type_, found in order))
        assert version(made) == "6", order


def test_a_deletion_is_not_undone_by_what_was_told_late():
    made = cache(("ADDED", "Service", child(2)), ("DELETED", "Service", child(4)), ("MODIFIED", "Service", child(3)))
    assert version(made) is None
    made.written("Service", child(3))
    assert version(made) is None, "the answer to a write that came before the deletion"


def test_a_deletion_removes_the_object_that_it_is_of_and_no_other_of_its_name():
    made = cache(("ADDED", "Service", child(5, "new")), ("DELETED", "Service", child(6, "old")))
    assert version(made) == "5"


def test_a_version_of_many_digits_is_newer_than_one_of_few():
    made = cache(("ADDED", "Service", child(9)), ("MODIFIED", "Service", child(10)))
    assert version(made) == "10"
    made = cache(("ADDED", "Service", child(10)), ("MODIFIED", "Service", child(9)))
    assert version(made) == "10"


def test_our_own_write_is_no_news_whether_its_answer_or_its_event_comes_first():
    made = cache()
    made.written("Service", child(5))
    assert version(made) == "5"
    assert made.told("ADDED", "Service", child(5), 0) == {}
    made.told("MODIFIED", "Service", child(6), 0)
    made.written("Service", child(6))
    assert not made.take_news(KEY)
    made.told("MODIFIED", "Service", child(8), 0)
    made.written("Service", child(7))
    assert made.take_news(KEY), "somebody wrote after us"


def test_a_status_of_ours_is_no_news_and_somebody_elses_hand_on_it_is():
    made = cache()
    made.written(names.KIND, stored(2) | {"status": {"replicas": 1}})
    assert made.told("MODIFIED", names.KIND, stored(2) | {"status": {"replicas": 1}}, 0) == {}
    assert made.told("MODIFIED", names.KIND, stored(3) | {"status": {"replicas": 9}}, 0) == {KEY: Change.WISH}
    assert made.get(KEY, names.KIND, "concierge")["status"] == {"replicas": 9}


def test_a_workloads_status_is_worth_a_look_and_no_whole_pass():
    made = cache(("ADDED", "Deployment", child(2, status={"replicas": 1})))
    made.take_news(KEY)
    assert made.told("MODIFIED", "Deployment", child(3, status={"replicas": 2}) | {"spec": {"a": 2}}, 0) == {
        KEY: Change.STATE
    }
    assert not made.take_news(KEY)
    assert made.get(KEY, "Deployment", "concierge")["status"]["replicas"] == 2


def test_what_nobody_reads_is_no_change():
    made = cache(("ADDED", "StatefulSet", child(2, name="concierge-redis")))
    busy = child(3, name="concierge-redis", status={"replicas": 1}) | {"spec": {"a": 2}}
    busy["metadata"]["managedFields"] = [{"manager": "x"}]
    assert made.told("MODIFIED", "StatefulSet", busy, 0) == {}
    assert version(made, "StatefulSet", "concierge-redis") == "3"
    ready = {"type": "Ready", "status": "True", "lastProbeTime": "1"}
    assert made.told("ADDED", POD, pod(4, conditions=[ready]), 0) == {KEY: Change.STATE}
    assert made.told("MODIFIED", POD, pod(5, conditions=[ready | {"lastProbeTime": "2"}]), 0) == {}
    assert made.told("MODIFIED", POD, pod(6, conditions=[ready | {"status": "False"}]), 0) == {KEY: Change.STATE}


def test_a_pod_that_gets_another_owner_is_worth_a_look():
    made = cache(("ADDED", POD, pod(4)))
    owned = pod(5)
    owned["metadata"]["ownerReferences"] = [{"kind": "StatefulSet", "name": "x", "uid": "x", "controller": True}]
    assert made.told("MODIFIED", POD, owned, 0) == {KEY: Change.STATE}


def test_the_uid_of_what_is_known_is_told_and_of_what_is_gone_none():
    made = cache(("ADDED", "StatefulSet", child(2, name="concierge-redis")))
    assert made.uid(KEY, "StatefulSet", "concierge-redis") == "s"
    assert made.uid(KEY, "Service", "concierge-redis") == ""
    made.told("DELETED", "StatefulSet", child(3, name="concierge-redis"), 0)
    assert made.uid(KEY, "StatefulSet", "concierge-redis") == ""


def test_every_write_of_a_secret_is_news_since_its_version_is_recorded():
    made = cache(("ADDED", "Secret", child(2, name="concierge-redis-auth")))
    made.take_news(KEY)
    same = child(3, name="concierge-redis-auth") | {"spec": {"a": 2}}
    assert made.told("MODIFIED", "Secret", same, 0) == {KEY: Change.WISH}


def test_a_label_that_moves_an_object_to_another_crew_is_news_to_the_one_that_lost_it():
    made = cache(("ADDED", "Service", child(2)))
    made.take_news(KEY)
    made.told("MODIFIED", "Service", child(3, owner="other"), 0)
    assert version(made) is None
    assert made.take_news(KEY)
    assert made.get(("lobby", "other"), "Service", "concierge") is None, "it has not the name of a child of that one"


def test_a_label_that_comes_back_brings_the_object_back():
    made = cache(("ADDED", "Service", child(2)), ("DELETED", "Service", child(3)))
    made.written("Service", child(4))
    assert version(made) == "4"


def test_of_those_who_put_our_label_on_their_own_nothing_is_kept():
    made = cache(
        ("ADDED", "ConfigMap", child(2, "x", name="somebodys")),
        ("ADDED", "ConfigMap", child(3, "y", name="ghost", owner="ghost")),
        ("ADDED", POD, pod(4, "z") | {"metadata": child(4, "z", "a", "ghost")["metadata"]}),
        ("ADDED", "ConfigMap", child(5, "w", owner="")),
    )
    assert len(made) == 1
    assert not made.take_news(KEY)


def test_before_all_is_listed_children_may_come_before_their_crew_and_orphans_go_then():
    made = ClusterCache()
    made.told(None, "Service", child(2), 0)
    made.told(None, "Service", child(3, "x", name="ghost", owner="ghost"), 0)
    made.told(None, names.KIND, stored(4), 0)
    assert not made.synced
    made.begin()
    assert made.synced
    assert list(made.crews) == [KEY]
    assert version(made) == "2"
    assert len(made) == 2


def test_with_the_crew_all_of_it_is_forgotten():
    made = cache(("ADDED", "Service", child(2)), ("ADDED", POD, pod(3)))
    assert KEY in made.told("DELETED", names.KIND, stored(9), 0)
    assert len(made) == 0
    assert not made.take_news(KEY)
    assert made.told("DELETED", "Service", child(10), 0) == {}
    made.told("ADDED", names.KIND, stored(11, "again"), 0)
    assert made.take_news(KEY)


# Gaps ----------------------------------------------------------------------------------------------------------------


def listed(made, *found, now=100.0, kind="Service"):
    for one in found:
        made.told(None, kind, one, now)


def test_what_a_listing_after_a_gap_leaves_out_is_looked_for_once():
    made = cache(("ADDED", "Service", child(2)), ("ADDED", "Service", child(3, "t", name="concierge-redis")))
    made.take_news(KEY)
    listed(made, child(2))
    assert made.relisting
    assert made.overdue(100 + RELIST_SETTLES - 1) == set(), "it may go on"
    assert made.overdue(100 + RELIST_SETTLES) == {KEY}
    assert not made.relisting
    assert made.take_doubt(KEY)
    assert not made.take_doubt(KEY)
    assert not made.take_news(KEY), "nothing that was named had changed"


def test_a_listing_that_names_everything_leaves_no_doubt():
    made = cache(("ADDED", "Service", child(2)))
    made.take_news(KEY)
    listed(made, child(2))
    assert made.overdue(1000) == set()


def test_what_was_told_or_written_during_a_listing_is_not_in_doubt():
    made = cache(("ADDED", "Service", child(2)), ("ADDED", "Service", child(3, "t", name="concierge-redis")))
    listed(made, child(2))
    made.written("Service", child(7, "t", name="concierge-redis"))
    made.written("Service", child(8, "u", name="concierge-redis-headless"))
    assert made.overdue(1000) == set()


def test_what_changed_in_a_gap_is_news():
    made = cache(("ADDED", "Service", child(2)))
    made.take_news(KEY)
    listed(made, child(6))
    assert made.take_news(KEY)


def test_a_gap_of_one_namespace_puts_no_other_in_doubt():
    made = ClusterCache(namespaced=True)
    for number, namespace in enumerate(("lobby", "attic")):
        crew, service = stored(1, f"c{number}"), child(2, f"s{number}")
        for kind, one in ((names.KIND, crew), ("Service", service)):
            one["metadata"]["namespace"] = namespace
            made.told(None, kind, one, 0)
    made.begin()
    listed(made, child(9, "new", name="concierge-redis"))
    assert made.overdue(1000) == {KEY}


def test_a_real_read_removes_what_is_gone_and_nothing_that_was_told_since():
    made = cache(("ADDED", "Service", child(2)), ("ADDED", "Service", child(3, "t", name="concierge-redis")))
    before = made.snapshot(KEY, ("Service",))
    made.told("ADDED", "Service", child(8, "u", name="concierge-redis-headless"), 0)
    assert made.read(KEY, ("Service",), [("Service", child(2))], before)
    kept = {name for _, name in made.list(KEY, ("Service",))}
    assert kept == {"concierge", "concierge-redis-headless"}
    again = made.snapshot(KEY, ("Service",))
    assert not made.read(KEY, ("Service",), [("Service", one) for one in made.list(KEY, ("Service",)).values()], again)


# What is kept --------------------------------------------------------------------------------------------------------


def children_of(golden):
    return [one for one in yaml.safe_load_all(golden.read_text()) if one]


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_nothing_is_dropped_that_drift_compares(golden):
    for wanted in children_of(golden):
        crew = wanted["metadata"]["labels"][names.OWNER_LABEL]
        made = ClusterCache()
        live = drift.stamped(wanted)
        live["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 2}
        live["metadata"]["managedFields"] = [{"manager": "crew-operator"}]
        live["status"] = {"observedGeneration": 2}
        made.told(None, live["kind"], live, 0)
        about = live["metadata"]
        found = made.get((about["namespace"], crew), live["kind"], about["name"])
        assert found is not None, f"{about['name']} is not among the names of children"
        assert not drift.drifted(drift.stamped(wanted), found)
        assert (found["metadata"]["uid"], found["metadata"]["generation"]) == (about["uid"], 2)
        assert "managedFields" not in found["metadata"]


TROUBLED = {
    "phase": "Pending",
    "podIP": "10.0.0.1",
    "conditions": [
        {"type": "PodScheduled", "status": "False", "message": "no node", "lastProbeTime": None},
        {"type": "Ready", "status": "False"},
    ],
    "initContainerStatuses": [{"name": "payload", "state": {"terminated": {"exitCode": 0}}, "imageID": "x" * 100}],
    "containerStatuses": [
        {"name": "crew", "restartCount": 3, "state": {"running": {"startedAt": "now"}}, "image": "x"},
        {
            "name": "server",
            "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "oh", "containerID": "x"}},
        },
    ],
}


RUNS = {"phase": "Running", "podIP": "10.0.0.1"}


@pytest.mark.parametrize("status", [{}, RUNS, TROUBLED], ids=["new", "runs", "troubled"])
@pytest.mark.parametrize("made_by", ["mine", "another's", "nobody's"])
def test_nothing_of_a_pod_is_dropped_that_a_look_reads(status, made_by):
    whole = pod(4, "z", name="concierge-redis-0", **status)
    whole["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T00:01:00Z"}
    maker = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "concierge-redis", "uid": "s"}
    owners = {"mine": [maker | {"controller": True}], "another's": [maker], "nobody's": []}[made_by]
    whole["metadata"]["ownerReferences"] = owners
    made = cache(("ADDED", POD, whole))
    kept = list(made.list(KEY, (POD,)).values())
    assert pods.replicas(kept) == pods.replicas([whole])
    assert pods.redis_pod(kept, "concierge", "s") == pods.redis_pod([whole], "concierge", "s")
    assert bool(pods.redis_pod(kept, "concierge", "s")) is (made_by == "mine")
    assert pods.redis_pod_taken(kept, "concierge", "s") == pods.redis_pod_taken([whole], "concierge", "s")


def test_nothing_of_a_deployment_is_dropped_that_a_look_reads():
    late = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "lastUpdateTime": "now"}
    status = {"replicas": 2, "readyReplicas": 1, "updatedReplicas": 1, "observedGeneration": 3, "conditions": [late]}
    whole = child(4, status=status) | {"spec": {"replicas": 2}}
    whole["metadata"]["generation"] = 3
    made = cache(("ADDED", "Deployment", whole))
    assert pods.workload(made.get(KEY, "Deployment", "concierge")) == pods.workload(whole)


def test_a_crew_costs_some_ten_kilobytes():
    """Two thousand: some twenty megabytes, whatever the API server writes beside what is read."""
    manifests = children_of(GOLDEN / "minimal.yaml")

    def filled():
        made = cache()
        for number, one in enumerate(manifests):
            about = {"uid": f"{number:036}", "resourceVersion": str(number)}
            about["managedFields"] = [{"fieldsV1": {f"f:{field}-{number}": {} for field in range(300)}}]
            made.told("ADDED", one["kind"], {**one, "metadata": {**one["metadata"], **about}}, 0)
        for number in range(3):
            made.told("ADDED", POD, pod(99, f"p{number}", f"concierge-{number}", **TROUBLED), 0)
        return made

    filled()  # texts that every crew shares
    tracemalloc.start()
    try:
        kept = filled()
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == 1 + len(manifests) + 3
    assert size < 24_000


def test_what_is_given_out_is_the_callers_to_change():
    made = cache(("ADDED", "Service", child(2)))
    made.get(KEY, "Service", "concierge")["spec"]["a"] = 99
    assert made.get(KEY, "Service", "concierge")["spec"] == {"a": 2}
