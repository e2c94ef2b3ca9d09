"""The volume for the crew's files."""

from dataclasses import replace

import pytest

from crew_operator import desired
from crew_operator.api import parse
from crew_operator.desired import drift, files
from crew_operator.errors import InvalidSpecError
from support.crews import crew_manifest

INPUTS = desired.Inputs(runtime_image="runtime:1", redis_image="redis:8", redis_password="p")
ONE_NODE = {"size": "1Gi", "accessModes": ["ReadWriteOnce"]}


def crew(**storage):
    replicas = storage.pop("replicas", 2)
    return parse.crew_deployment(crew_manifest(uid="u", replicas=replicas, crew__storage={"size": "1Gi", **storage}))


def children(asked, **inputs):
    made = desired.children(asked, replace(INPUTS, **inputs))
    return {one["kind"]: one for one in made if one["kind"] in ("PersistentVolumeClaim", "Deployment")}


def problems(**changes):
    with pytest.raises(InvalidSpecError) as refused:
        parse.crew_deployment(crew_manifest(**changes))
    return [str(one) for one in refused.value.problems]


def test_one_claim_is_mounted_by_the_crew_and_not_by_the_server():
    made = children(crew(mountPath="/srv/files"))
    claim, pod = made["PersistentVolumeClaim"], made["Deployment"]["spec"]["template"]["spec"]
    assert claim["metadata"]["name"] == "concierge-files"
    assert claim["spec"] == {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    (volume,) = (one for one in pod["volumes"] if "persistentVolumeClaim" in one)
    assert volume["persistentVolumeClaim"] == {"claimName": "concierge-files"}
    (container,) = pod["containers"]
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert mounts[volume["name"]] == "/srv/files"
    assert volume["name"] not in {mount["name"] for one in pod["initContainers"] for mount in one["volumeMounts"]}
    variables = {one["name"]: one.get("value") for one in container["env"]}
    assert (variables["CREWOPS_FILES"], variables["CREWOPS_FILES_PREFIX"]) == ("/srv/files", "srv/files")
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_without_it_nothing_of_the_crew_is_another():
    made = children(parse.crew_deployment(crew_manifest(uid="u")))
    assert "PersistentVolumeClaim" not in made
    assert "CREWOPS_FILES" not in str(made["Deployment"])
    assert "fsGroupChangePolicy" not in str(made["Deployment"])


def test_files_outlive_the_crew_unless_the_spec_says_otherwise():
    assert "ownerReferences" not in children(crew())["PersistentVolumeClaim"]["metadata"]
    (owner,) = children(crew(whenDeleted="Delete"))["PersistentVolumeClaim"]["metadata"]["ownerReferences"]
    assert owner["uid"] == "u"


def test_a_volume_of_one_node_is_free_before_the_next_replica_starts():
    shared, alone = children(crew())["Deployment"], children(crew(replicas=1, **ONE_NODE))["Deployment"]
    assert shared["spec"]["strategy"]["type"] == "RollingUpdate"
    assert alone["spec"]["strategy"] == {"type": "Recreate"}
    live = {"metadata": {}, "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}}}
    assert drift.other_strategy(alone, live) == {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}


def test_a_live_claim_keeps_what_a_claim_cannot_change():
    live = {"accessModes": ["ReadWriteOnce"], "storageClassName": "old", "resources": {"requests": {"storage": "5Gi"}}}
    asked = crew(storageClassName="new")
    spec = children(asked, files_claim=live)["PersistentVolumeClaim"]["spec"]
    assert spec == {**live, "resources": {"requests": {"storage": "5Gi"}}}
    paths = [one.path for one in files.problems(asked, live)]
    assert paths == ["spec.crew.storage.storageClassName", "spec.crew.storage.accessModes"]
    assert files.problems(crew(), {"accessModes": ["ReadWriteMany"], "storageClassName": "the-default"}) == ()
    assert files.problems(crew(), None) == ()


@pytest.mark.parametrize(
    ("storage", "says"),
    [
        ({}, "spec.crew.storage.size"),
        ({"size": "0"}, "a volume has a size"),
        ({"size": "1Gi", "accessModes": []}, "write ReadWriteMany"),
        ({"size": "1Gi", "accessModes": ["ReadWriteSometimes"]}, "ReadWriteOnce"),
        ({"size": "1Gi", "accessModes": ["ReadWriteMany", "ReadWriteOncePod"]}, "goes with no other mode"),
        ({"size": "1Gi", "mountPath": "data"}, "an absolute path such as /data"),
        ({"size": "1Gi", "mountPath": "/"}, "an absolute path such as /data"),
        ({"size": "1Gi", "mountPath": "/data/../etc"}, "an absolute path such as /data"),
        ({"size": "1Gi", "mountPath": "/crewops/run"}, "take another path"),
        ({"size": "1Gi", "mountPath": "/tmp"}, "take another path"),
        (ONE_NODE, "ReadWriteOnce is for one node"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_write_instead(storage, says):
    (problem,) = problems(replicas=2, crew__storage=storage)
    assert says in problem
    assert "spec.crew.storage" in problem
