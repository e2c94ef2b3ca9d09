"""Promise: a crew's replicas have one volume for their files; while it has none, the status says why."""

import pytest

from crew_operator.api import names
from support.waiting import eventually

CLAIM = "PersistentVolumeClaim"
NAME = "concierge-files"
STORAGE = {"size": "1Gi", "storageClassName": "nobodys"}
SAID = 'storageclass.storage.k8s.io "nobodys" not found'


async def said(cluster, claim):
    """As the controller that looks for volumes."""
    about = {"apiVersion": "v1", "kind": CLAIM, "namespace": cluster.namespace, "name": NAME}
    await cluster.kube.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{NAME}.1", "namespace": cluster.namespace},
            "involvedObject": {**about, "uid": claim["metadata"]["uid"]},
            "type": "Warning",
            "reason": "ProvisioningFailed",
            "message": SAID,
            "lastTimestamp": "2026-01-01T00:00:00Z",
        }
    )


@pytest.mark.local_cluster
async def test_replicas_that_wait_for_a_volume_say_why_until_they_have_one(cluster, node, operator):
    if cluster.server is None:
        pytest.skip("the claim's status is ours to write here: tests/e2e has a real one")
    await cluster.make(crew__storage=STORAGE)
    claim = await cluster.exists(CLAIM, NAME)
    assert "ownerReferences" not in claim["metadata"], "files outlive their crew"
    await said(cluster, claim)
    await node.start_redis()
    await node.start_replica("crew-1")
    await node.tell_not_ready("crew-1")
    message = await cluster.condition("Ready", "False", "StorageNotBound", seconds=30)
    assert SAID in message
    assert "ReadWriteMany of the class nobodys" in message
    await cluster.patch_status(CLAIM, NAME, {"phase": "Bound"})
    await cluster.condition("Ready", "False", "ReplicasNotReady", seconds=30)


@pytest.mark.local_cluster
async def test_a_claim_grows_and_stays_when_the_crew_wants_none_any_more(cluster, operator):
    await cluster.make(crew__storage={"size": "1Gi"})
    before = await cluster.exists(CLAIM, NAME)
    await cluster.change({"crew": {"storage": {"size": "2Gi"}}})

    async def grown():
        claim = await cluster.get(CLAIM, NAME)
        return claim["spec"]["resources"]["requests"]["storage"] == "2Gi"

    if cluster.server is not None:  # a real one refuses what no class allows
        await eventually(grown, "the claim asks for more", 30)
    await cluster.change({"crew": {"storage": None}})

    async def unmounted():
        found = await cluster.get("Deployment", "concierge")
        return NAME not in str(found["spec"]["template"])

    await eventually(unmounted, "no replica mounts it", 30)
    assert (await cluster.get(CLAIM, NAME))["metadata"]["uid"] == before["metadata"]["uid"]


async def test_a_disk_of_one_node_is_free_before_the_next_replica_starts(cluster, operator):
    await cluster.make(replicas=1)
    await cluster.exists("Deployment", "concierge")
    await cluster.change(
        {"crew": {"storage": {"size": "1Gi", "accessModes": ["ReadWriteOnce"], "whenDeleted": "Delete"}}}
    )

    async def strategy():
        return (await cluster.get("Deployment", "concierge"))["spec"]["strategy"]

    async def recreates():
        return await strategy() == {"type": "Recreate"}

    await eventually(recreates, "the old replica ends first", 30)
    await cluster.change({"crew": {"storage": None}})

    async def rolls():
        return (await strategy())["type"] == "RollingUpdate"

    await eventually(rolls, "replicas are replaced one by one again", 30)


async def test_a_claim_that_is_to_stay_loses_its_owner(cluster, operator):
    crew = await cluster.make(crew__storage={"size": "1Gi", "whenDeleted": "Delete"})
    claim = await cluster.exists(CLAIM, NAME)
    assert [one["uid"] for one in claim["metadata"]["ownerReferences"]] == [crew["metadata"]["uid"]]
    await cluster.change({"crew": {"storage": {"whenDeleted": "Retain"}}})

    async def is_nobodys():
        return not (await cluster.get(CLAIM, NAME))["metadata"].get("ownerReferences")

    await eventually(is_nobodys, "it would outlive the crew", 30)


async def test_a_crew_that_is_made_again_takes_its_files_up_again(cluster, operator):
    await cluster.make(crew__storage={"size": "1Gi"})
    before = await cluster.exists(CLAIM, NAME)
    await cluster.delete(names.KIND, "concierge")

    async def gone():
        return await cluster.get(names.KIND, "concierge") is None

    await eventually(gone, "the crew is gone", 30)
    await cluster.make(crew__storage={"size": "1Gi"})
    await cluster.exists("Deployment", "concierge", 30)
    await cluster.condition("Ready", "False")
    assert (await cluster.get(CLAIM, NAME))["metadata"]["uid"] == before["metadata"]["uid"]
    found = await cluster.condition("Progressing", "True")
    assert "NameTaken" not in found


async def test_a_claim_of_somebody_else_is_not_taken_over(cluster, operator):
    theirs = {
        "apiVersion": "v1",
        "kind": CLAIM,
        "metadata": {"name": NAME, "namespace": cluster.namespace},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    await cluster.kube.create(theirs)
    await cluster.make(crew__storage={"size": "1Gi"})
    message = await cluster.condition("Ready", "False", "NameTaken", seconds=30)
    assert NAME in message
    assert names.OWNER_LABEL not in ((await cluster.get(CLAIM, NAME))["metadata"].get("labels") or {})
