"""Promise: what somebody else made is neither changed nor deleted, whatever a CrewDeployment is called."""

import base64
import dataclasses
from copy import deepcopy

import pytest

from crew_operator import app, desired, live
from crew_operator.api import names, parse
from crew_operator.errors import ConflictError
from support.crews import crew_manifest
from support.waiting import eventually

CLAIM_SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
CLAIM_LABELS = {"labels": names.selector("concierge", names.REDIS)}
APPLICATION = {
    "selector": {"matchLabels": {"app": "web"}},
    "template": {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    },
}
FOREIGN = {
    "Service concierge": {"spec": {"selector": {"app": "web"}, "ports": [{"port": 9000}]}},
    "Service concierge-redis": {"spec": {"selector": {"app": "cache"}, "ports": [{"port": 6379}]}},
    "Service concierge-redis-headless": {"spec": {"clusterIP": "None", "ports": [{"port": 6379}]}},
    "ConfigMap concierge-redis-config": {"data": {"redis.conf": "appendonly no"}},
    "Secret concierge-redis-auth": {"data": {"password": base64.b64encode(b"known-to-somebody").decode()}},
    "Secret concierge-api-token": {"data": {"token": base64.b64encode(b"known-to-somebody-else").decode()}},
    "StatefulSet concierge-redis": {"spec": {**APPLICATION, "serviceName": "web"}},
    "Deployment concierge": {"spec": APPLICATION},
    "ConfigMap concierge-definition": {"data": {"crew.jsonc": "{}"}},
    "PodDisruptionBudget concierge": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}},
    "NetworkPolicy concierge": {"spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]}},
    "NetworkPolicy concierge-redis": {"spec": {"podSelector": {}, "policyTypes": ["Egress"]}},
    "PersistentVolumeClaim data-concierge-redis-0": {"spec": CLAIM_SPEC},
}
VERSIONS = {
    "StatefulSet": "apps/v1",
    "Deployment": "apps/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
}
AGENT = {"role": "Librarian", "goal": "Advise", "backstory": "Read it all", "llm": "openai/gpt-4.1-mini"}
TASK = {"name": "advise", "agent": "librarian", "description": "Advise", "expected_output": "Advice"}
DECLARED = {"definition": {"inline": {"agents": {"librarian": AGENT}, "tasks": [TASK]}}}
"""A crew that has every kind of child."""


def test_every_child_is_among_what_may_be_somebody_elses():
    crew = parse.crew_deployment(
        crew_manifest(crew__image=None, crew__entrypoint=None, crew__definition=DECLARED["definition"])
    )
    made = desired.children(
        crew, desired.Inputs("runtime:1", "redis:8", "p", "o", operator=desired.Peer("s", {"a": "b"}))
    )
    wanted = {f"{one['kind']} {one['metadata']['name']}" for one in made}
    assert wanted == set(FOREIGN) - {"PersistentVolumeClaim data-concierge-redis-0"}


async def put(cluster, kind, name, body, **metadata):
    about = {"name": name, "namespace": cluster.namespace, **metadata}
    made = {"apiVersion": VERSIONS.get(kind, "v1"), "kind": kind, "metadata": about, **deepcopy(body)}
    return await cluster.kube.create(made)


async def ours(cluster):
    """All that the operator made, by its label."""
    kinds = ("Secret", *live.KINDS)
    listed = [await cluster.kube.list(kind, cluster.namespace, {names.OWNER_LABEL: "concierge"}) for kind in kinds]
    return [one["metadata"]["name"] for found in listed for one in found]


def wish(found):
    """What its maker wrote; not what its controller tells, where it has one."""
    about = {key: found["metadata"].get(key) for key in ("name", "uid", "labels", "ownerReferences", "finalizers")}
    own = {key: value for key, value in found.items() if key not in ("metadata", "status")}
    annotations = {key for key in found["metadata"].get("annotations") or {} if names.GROUP in key}
    writers = {one["manager"] for one in found["metadata"].get("managedFields") or ()}
    return about, own, annotations, names.FIELD_MANAGER in writers


@pytest.fixture
def settings(settings):
    """An operator that makes NetworkPolicies as well."""
    return dataclasses.replace(settings, own_pods=("crew-system", {"app": "crew-operator"}))


@pytest.mark.parametrize("which", FOREIGN)
async def test_a_name_that_is_taken_is_told_before_anything_is_written(cluster, operator, which):
    kind, name = which.split()
    before = await put(cluster, kind, name, FOREIGN[which])
    await cluster.make(crew=DECLARED)
    message = await cluster.condition("Ready", "False", "NameTaken")
    assert name in message
    assert "take another name for the crew" in message
    assert await ours(cluster) == []
    assert wish(await cluster.get(kind, name)) == wish(before)
    await cluster.delete("CrewDeployment", "concierge")

    async def forgotten():
        return b'name="concierge"' not in operator.metrics.text()

    await eventually(forgotten, "the crew is gone")
    assert wish(await cluster.get(kind, name)) == wish(before)


async def test_the_crew_is_begun_once_the_name_is_free(cluster, settings):
    await put(cluster, "Service", "concierge", FOREIGN["Service concierge"])
    async with app.running(dataclasses.replace(settings, reread=1.0)):
        await cluster.make()
        await cluster.condition("Ready", "False", "NameTaken")
        await cluster.delete("Service", "concierge")
        await cluster.exists("Deployment", "concierge")


async def test_two_crews_whose_children_would_have_one_name_do_not_fight(cluster, operator):
    """`concierge` has a Service `concierge-redis`, and so would a crew that is called like it."""
    await cluster.make()
    await cluster.exists("Deployment", "concierge")
    before = await cluster.get("Service", "concierge-redis")
    await cluster.make(name="concierge-redis")

    async def told():
        found = await cluster.get(names.KIND, "concierge-redis")
        said = (found.get("status") or {}).get("conditions") or ()
        return next((one["message"] for one in said if one["reason"] == "NameTaken"), None)

    message = await eventually(told, "the second crew says why it is not begun")
    assert "the Service concierge-redis exists and belongs to the CrewDeployment concierge" in message
    assert await cluster.get("Service", "concierge-redis") == before
    assert await cluster.get("Deployment", "concierge-redis") is None


async def test_of_a_crew_that_runs_all_but_the_taken_name_is_kept_right(cluster, operator):
    await cluster.make()
    await cluster.exists("Deployment", "concierge")
    labels = {"labels": {names.OWNER_LABEL: "concierge"}}
    await cluster.delete("Service", "concierge")
    try:
        taken = await put(cluster, "Service", "concierge", FOREIGN["Service concierge"], **labels)
    except ConflictError:  # the operator was faster: it is its own, and whose it is can be changed
        body = {"metadata": {"ownerReferences": None, "labels": {names.MANAGED_BY_LABEL: "somebody"}}}
        taken = await cluster.kube.merge("Service", cluster.namespace, "concierge", body)
    await cluster.condition("Ready", "False", "NameTaken")
    await cluster.kube.merge("StatefulSet", cluster.namespace, "concierge-redis", {"spec": {"replicas": 0}})

    async def right():
        return (await cluster.get("StatefulSet", "concierge-redis"))["spec"]["replicas"] == 1

    await eventually(right, "Redis is scaled back")
    now = await cluster.get("Service", "concierge")
    assert now["metadata"]["resourceVersion"] == taken["metadata"]["resourceVersion"]


async def test_children_that_were_restored_without_owners_are_the_crews_again(cluster, settings):
    """As from a backup: another uid of the CrewDeployment, no owners, no record of who wrote which field."""
    await cluster.make(crew=DECLARED)
    async with app.running(settings):
        await cluster.exists("Deployment", "concierge")
        await cluster.condition("Ready", "False")
    kept = {}
    for kind, name in [tuple(which.split()) for which in FOREIGN if not which.startswith("PersistentVolumeClaim")]:
        if (found := await cluster.get(kind, name)) is not None:
            kept[kind, name] = found
    assert len(kept) == len(FOREIGN) - 1, "all but the claim, which the operator does not make"
    await cluster.delete("CrewDeployment", "concierge")
    for kind, name in kept:

        async def gone(kind=kind, name=name):
            return await cluster.get(kind, name) is None

        await eventually(gone, f"the {kind} {name} is gone")
    for (kind, name), found in kept.items():
        body = {key: value for key, value in found.items() if key in ("data", "spec", "type")}
        about = {key: found["metadata"][key] for key in ("labels", "annotations")}
        await put(cluster, kind, name, body, **about)
    if await cluster.get("PersistentVolumeClaim", "data-concierge-redis-0") is None:  # no controller made and kept it
        await put(cluster, "PersistentVolumeClaim", "data-concierge-redis-0", {"spec": CLAIM_SPEC}, **CLAIM_LABELS)
    again = await cluster.make(crew=DECLARED)
    async with app.running(settings):
        for kind, name in kept:

            async def owned(kind=kind, name=name):
                owners = (await cluster.get(kind, name))["metadata"].get("ownerReferences") or ()
                return [one["uid"] for one in owners] == [again["metadata"]["uid"]]

            await eventually(owned, f"the {kind} {name} has its owner again")
        for name in ("concierge-redis-auth", "concierge-api-token"):
            assert (await cluster.get("Secret", name))["data"] == kept["Secret", name]["data"]
        assert "NameTaken" not in str((await cluster.crew())["status"])


async def test_what_somebody_makes_in_the_same_moment_is_not_taken_from_them(cluster):
    """Between the look and the write: the write meets it, and gives way."""
    wanted = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "one", "namespace": cluster.namespace},
        "data": {"a": "ours"},
    }
    before = await put(cluster, "ConfigMap", "one", {"data": {"a": "theirs"}})
    with pytest.raises(ConflictError):
        await cluster.kube.apply_new(wanted)
    with pytest.raises(ConflictError):
        await cluster.kube.apply(wanted, uid="another")
    with pytest.raises(ConflictError):
        await cluster.kube.merge("ConfigMap", cluster.namespace, "one", {"data": {"a": "ours"}}, uid="another")
    assert await cluster.get("ConfigMap", "one") == before
