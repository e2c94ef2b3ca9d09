"""Promise: what a CrewDeployment asks for exists, stays as it should be, and costs no write when it is."""

import asyncio
import base64
import dataclasses
import hashlib

from crew_operator import app
from crew_operator.api import parse
from crew_operator.api.access import Access
from crew_operator.children import Children
from crew_operator.cluster_cache import ClusterCache
from crew_operator.kube_client import connect
from crew_operator.metrics import Metrics
from crew_operator.status import pacing
from support.waiting import eventually

ALL = [
    ("Secret", "concierge-redis-auth"),
    ("Secret", "concierge-api-token"),
    ("ConfigMap", "concierge-redis-config"),
    ("Service", "concierge-redis-headless"),
    ("Service", "concierge-redis"),
    ("StatefulSet", "concierge-redis"),
    ("Service", "concierge"),
    ("Deployment", "concierge"),
]


async def password(cluster):
    secret = await cluster.exists("Secret", "concierge-redis-auth")
    return base64.b64decode(secret["data"]["password"]).decode()


async def annotations(cluster):
    """What the pods of Redis and of the crew were last rolled for."""
    found = {}
    for kind, name in (("StatefulSet", "concierge-redis"), ("Deployment", "concierge")):
        template = (await cluster.get(kind, name))["spec"]["template"]
        found[name] = template["metadata"].get("annotations", {}).get("crewops.dev/auth")
    return found


async def settled(cluster):
    """The crew with all its children, and a status that speaks of it."""
    for kind, name in ALL:
        await cluster.exists(kind, name)
    await cluster.condition("Ready", "False")


async def corrected(cluster):
    """What Events say of objects that others changed."""
    return [message for reason, message in await cluster.events() if reason == "DriftCorrected"]


async def test_new_crew_gets_all_its_children_and_they_are_owned(cluster, operator):
    crew = await cluster.make()
    await settled(cluster)
    for kind, name in ALL:
        child = await cluster.get(kind, name)
        (owner,) = child["metadata"]["ownerReferences"]
        assert owner["uid"] == crew["metadata"]["uid"]
        assert owner["controller"] is True


async def test_no_finalizer_and_no_annotation_is_put_on_the_crew(cluster, operator):
    await cluster.make()
    await settled(cluster)
    metadata = (await cluster.crew())["metadata"]
    assert not metadata.get("finalizers")
    assert not metadata.get("annotations")


async def test_status_names_generation_selector_and_endpoints(cluster, operator):
    await cluster.make()
    await settled(cluster)
    status = (await cluster.crew())["status"]
    assert status["observedGeneration"] == 1
    assert status["selector"] == "crewops.dev/crewdeployment=concierge,app.kubernetes.io/component=crew"
    assert status["endpoint"] == f"http://concierge.{cluster.namespace}.svc:8000"
    assert status["memory"]["endpoint"] == f"redis://concierge-redis.{cluster.namespace}.svc:6379"


async def test_pass_with_nothing_to_do_writes_nothing(cluster, settings):
    await cluster.make()
    async with app.running(settings):
        await settled(cluster)
        await asyncio.sleep(pacing.QUIET + 3)  # what its status says of what controllers do may have been put off
    # a fresh operator knows nothing of what was applied before: it must see that all is well
    served = cluster.server.writes if cluster.server else 0
    async with app.running(settings) as again:
        await asyncio.sleep(5)
        assert again.queue.handled >= 2
        assert again.queue.failed == 0
        assert cluster.writes(again) == (0, served)


async def test_deleted_child_comes_back(cluster, operator):
    await cluster.make()
    await settled(cluster)
    assert await corrected(cluster) == []
    before = await cluster.get("Service", "concierge")
    await cluster.delete("Service", "concierge")
    after = await cluster.exists("Service", "concierge")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    await eventually(lambda: corrected(cluster), "an Event tells of it")
    assert await corrected(cluster) == ["the Service concierge was deleted, and is made again"]


async def test_child_changed_by_hand_is_put_right_and_foreign_fields_stay(cluster, operator):
    await cluster.make()
    await settled(cluster)
    patch = {"data": {"redis.conf": "appendonly no\n", "notes": "mine"}}
    await cluster.kube.merge("ConfigMap", cluster.namespace, "concierge-redis-config", patch)

    async def data():
        return (await cluster.get("ConfigMap", "concierge-redis-config"))["data"]

    async def right():
        return "appendonly yes" in (await data())["redis.conf"]

    await eventually(right, "redis.conf is put right")
    assert (await data())["notes"] == "mine"
    await eventually(lambda: corrected(cluster), "an Event tells of it")
    changed = "the ConfigMap concierge-redis-config was changed at .data.redis.conf, and is as the spec says again"
    assert await corrected(cluster) == [changed]


async def test_password_outlives_the_operator_and_a_lost_label(cluster, settings):
    await cluster.make()
    async with app.running(settings):
        await settled(cluster)
        before = await password(cluster)
    labels = {"crewops.dev/crewdeployment": None}
    await cluster.kube.merge("Secret", cluster.namespace, "concierge-redis-auth", {"metadata": {"labels": labels}})
    async with app.running(settings):

        async def labelled():
            secret = await cluster.get("Secret", "concierge-redis-auth")
            return secret["metadata"]["labels"].get("crewops.dev/crewdeployment") == "concierge"

        await eventually(labelled, "the Secret has its label again")
    assert await password(cluster) == before


async def test_a_deleted_secret_gets_a_new_password_and_the_old_one_holds_while_the_crew_is_rolled(cluster, operator):
    await cluster.make()
    await settled(cluster)
    before = await password(cluster)
    old = await annotations(cluster)
    await cluster.delete("Secret", "concierge-redis-auth")
    secret = await cluster.exists("Secret", "concierge-redis-auth")
    assert await password(cluster) != before
    await eventually(lambda: corrected(cluster), "an Event tells of it")
    assert await corrected(cluster) == ["the Secret concierge-redis-auth was deleted, and is made again"]
    users = base64.b64decode(secret["data"]["auth.conf"]).decode()
    assert hashlib.sha256(before.encode()).hexdigest() in users

    async def rolled():
        now = await annotations(cluster)
        return now["concierge"] != old["concierge"]

    await eventually(rolled, "the crew's template stands for the new Secret")
    assert (await annotations(cluster))["concierge-redis"] == old["concierge-redis"], "Redis takes both as it runs"


async def test_a_secret_that_was_deleted_while_no_operator_ran_rolls_redis_and_crew(cluster, settings):
    """Nobody knows the operator's own password any more, which a Redis that runs would have to be told by."""
    await cluster.make()
    async with app.running(settings):
        await settled(cluster)
        old = await annotations(cluster)
    await cluster.delete("Secret", "concierge-redis-auth")
    async with app.running(settings):

        async def rolled():
            now = await annotations(cluster)
            return all(now[name] != old[name] for name in now)

        await eventually(rolled, "both templates stand for the new Secret")


async def test_memory_of_the_operator_goes_with_the_crew(cluster, settings):
    async with connect(cluster.kubeconfig, Metrics()) as kube:
        children = Children(kube, ClusterCache(), settings)
        for number in range(3):
            made = await cluster.make(name=f"crew-{number}")
            await children.bring(parse.crew_deployment(made), Access(), {})
            await cluster.exists("Deployment", f"crew-{number}")
            secret = await cluster.get("Secret", f"crew-{number}-redis-auth")
            kept = repr((children._applied, children._rolls._past, children._claims, children._users))
            assert made["metadata"]["uid"] in kept
            assert base64.b64decode(secret["data"]["password"]).decode() not in kept
            assert secret["data"]["password"] not in kept
            assert len(kept) < 4096, "digests are kept, no manifests"
            children.forget(made["metadata"]["uid"])
        assert (children._applied, children._rolls._past, children._claims, children._users) == ({}, {}, {}, {})


async def test_scaling_reaches_the_deployment(cluster, operator):
    await cluster.make()
    await settled(cluster)
    await cluster.change({"replicas": 5})

    async def scaled():
        return (await cluster.get("Deployment", "concierge"))["spec"]["replicas"] == 5

    await eventually(scaled, "the Deployment has 5 replicas")


async def test_declared_crew_is_mounted_and_a_change_of_it_rolls_the_replicas(cluster, operator):
    agent = {"role": "Librarian", "goal": "Advise", "backstory": "Well-read", "llm": "openai/gpt-4.1-mini"}
    task = {"name": "advise", "agent": "librarian", "description": "{message}", "expected_output": "A title"}
    inline = {"agents": {"librarian": agent}, "tasks": [task], "memory": True}
    await cluster.make(crew={"definition": {"inline": inline}})
    made = await cluster.exists("ConfigMap", "concierge-definition")
    assert set(made["data"]) == {"crew.jsonc", "librarian.jsonc"}

    async def template():
        return (await cluster.exists("Deployment", "concierge"))["spec"]["template"]

    before = await template()
    (volume,) = (one for one in before["spec"]["volumes"] if one["name"] == "definition")
    assert volume["configMap"]["name"] == "concierge-definition"
    inline["agents"]["librarian"]["goal"] = "Advise well"
    await cluster.change({"crew": {"definition": {"inline": inline}}})

    async def rolled():
        return (await template())["metadata"]["annotations"] != before["metadata"]["annotations"]

    await eventually(rolled, "the template has another checksum")
    assert "Advise well" in (await cluster.get("ConfigMap", "concierge-definition"))["data"]["librarian.jsonc"]


async def test_deleted_crew_leaves_nothing_in_the_metrics(cluster, operator):
    await cluster.make()
    await settled(cluster)
    assert b'crew_operator_condition{name="concierge"' in operator.metrics.text()
    await cluster.delete("CrewDeployment", "concierge")

    async def forgotten():
        return b'name="concierge"' not in operator.metrics.text()

    await eventually(forgotten, "the figures of the crew are gone")


async def test_a_policy_comes_stays_and_goes_with_what_the_operator_is_told_of_itself(cluster, settings):
    guarded = dataclasses.replace(settings, own_pods=("crew-system", {"app": "crew-operator"}))
    async with app.running(guarded):
        await cluster.make()
        await settled(cluster)
        for name in ("concierge-redis", "concierge"):
            made = await cluster.exists("NetworkPolicy", name)
            await cluster.delete("NetworkPolicy", name)
            again = await cluster.exists("NetworkPolicy", name, 30)
            assert again["metadata"]["uid"] != made["metadata"]["uid"]
    async with app.running(settings):

        async def gone():
            there = [await cluster.get("NetworkPolicy", name) for name in ("concierge-redis", "concierge")]
            return there == [None, None]

        await eventually(gone, "the policy is gone", 30)
