"""Promise: a spec that cannot work gets a reason and what to change; what runs is left as it was."""

import pytest

from crew_operator.errors import RejectedError
from support.waiting import eventually

EXTERNAL = {"external": {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}}


async def secret(cluster, name, **data):
    about = {"name": name, "namespace": cluster.namespace}
    await cluster.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": about, "stringData": data})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"replicas": "three"}, "spec.replicas"),
        ({"crew__definition": {"configMapRef": {"name": "x"}}}, "set either image and entrypoint, or definition"),
        ({"crew__entrypoint": "no colon"}, "spec.crew.entrypoint"),
        ({"crew": {"definition": {}}}, "set one of configMapRef and inline"),
        ({"crew": {"definition": {"inline": {"agents": {"crew": {}}, "tasks": [{}]}}}}, "none of them crew"),
        ({"crew": {"definition": {"inline": {"agents": {}, "tasks": [{}]}}}}, "spec.crew.definition.inline.agents"),
        ({"redis": {"managed": {}, **EXTERNAL}}, "set one of managed and external"),
        ({"name": "1st"}, "begin with a letter"),
    ],
)
async def test_api_server_refuses_what_the_schema_can_tell(cluster, changes, said):
    with pytest.raises(RejectedError, match=said):
        await cluster.make(**changes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"redis": {"managed": {"storage": {"size": "512Mi"}}}}, "can grow but not shrink"),
        ({"memory": {"keyPrefix": "other"}}, "keyPrefix cannot change"),
        ({"redis": {"managed": None, **EXTERNAL}}, "cannot be exchanged"),
    ],
)
async def test_api_server_refuses_changes_that_would_lose_memories(cluster, change, said):
    await cluster.make()
    with pytest.raises(RejectedError, match=said):
        await cluster.change(change)


async def test_shrink_that_the_schema_cannot_see_is_refused_by_the_operator(cluster, operator):
    """The claim was grown by hand, or by a spec that was deleted and made again smaller."""
    about = {"name": "data-concierge-redis-0", "namespace": cluster.namespace}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    await cluster.kube.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about, "spec": spec})
    await cluster.make()
    message = await cluster.condition("Ready", "False", "ChangeRefused")
    assert "the volume has 5Gi and cannot shrink to 1Gi" in message
    assert await cluster.get("Deployment", "concierge") is None


async def test_missing_secret_is_named_and_found_once_it_is_there(cluster, operator):
    await cluster.make(redis=EXTERNAL)
    message = await cluster.condition("Ready", "False", "ReferenceNotFound")
    assert f"create the Secret redis in namespace {cluster.namespace}" in message
    assert await cluster.get("Deployment", "concierge") is None
    await secret(cluster, "redis", url="redis://127.0.0.1:1/0")
    await cluster.exists("Deployment", "concierge", seconds=15)


async def test_what_a_definition_lacks_is_named(cluster, operator):
    about = {"name": "crew", "namespace": cluster.namespace}
    await cluster.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"agents.yaml": ""}})
    await cluster.make(crew={"definition": {"configMapRef": {"name": "crew"}}})
    message = await cluster.condition("Ready", "False", "ReferenceNotFound")
    assert "add tasks.yaml to the ConfigMap crew: it has agents.yaml" in message


async def test_wrong_key_and_wrong_url_in_a_secret_are_told_apart(cluster, operator):
    await secret(cluster, "redis", other="x", url="http://wrong")
    await cluster.make(redis={"external": {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "uri"}}}})
    assert "it has other, url" in await cluster.condition("Ready", "False", "ReferenceNotFound")
    await cluster.change({"redis": EXTERNAL})

    async def told():
        return "write redis[s]://" in await cluster.condition("Ready", "False", "ReferenceNotFound")

    await eventually(told, "the wrong URL is told")
    assert "http://wrong" not in str((await cluster.crew())["status"])


async def test_unreachable_external_redis_is_told_and_the_crew_is_made(cluster, operator):
    await secret(cluster, "redis", url="redis://:topsecret@127.0.0.1:1/0")
    await cluster.make(redis=EXTERNAL)
    message = await cluster.condition("MemoryReady", "False", "RedisUnreachable")
    assert "External: check the URL" in message
    crew = await cluster.crew()
    assert crew["status"]["memory"]["endpoint"] == "redis://127.0.0.1:1"
    assert "topsecret" not in str(crew)
    await cluster.exists("Deployment", "concierge")


async def test_child_that_the_api_server_refuses_is_told_and_the_old_one_stays(cluster, operator):
    await cluster.make()
    before = await cluster.exists("Deployment", "concierge")
    await cluster.change({"template": {"volumeMounts": [{"name": "nowhere", "mountPath": "/x"}]}})
    message = await cluster.condition("Ready", "False", "ChildRejected")
    assert "the Deployment concierge was refused" in message
    assert "nowhere" in message or "volumeMounts" in message
    after = await cluster.get("Deployment", "concierge")
    assert after["spec"] == before["spec"]


async def test_ignored_variable_is_said_in_the_condition(cluster, operator):
    await cluster.make(crew__env=[{"name": "CREWOPS_REDIS_URL", "value": "redis://mine"}])
    message = await cluster.condition("Ready", "False")
    assert "CREWOPS_REDIS_URL in spec.crew.env not applied" in message
