"""Promise: what a CrewDeployment asks for exists, stays as it should be, and costs no write when it is."""

import asyncio
import base64

from crew_operator import app

ALL = [
    ("Secret", "concierge-redis-auth"),
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


async def settled(cluster):
    """The crew with all its children, and a status that speaks of it."""
    for kind, name in ALL:
        await cluster.exists(kind, name)
    await cluster.condition("Ready", "False")


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


def writes(running):
    return sum(sample.value for sample in running.metrics.writes.collect()[0].samples if sample.name.endswith("_total"))


async def test_pass_with_nothing_to_do_writes_nothing(cluster, settings):
    await cluster.make()
    async with app.running(settings):
        await settled(cluster)
        await asyncio.sleep(3)
    # a fresh operator knows nothing of what was applied before: it must see that all is well
    served = cluster.server.writes if cluster.server else 0
    async with app.running(settings) as again:
        await asyncio.sleep(5)
        assert again.queue.handled >= 2
        assert again.queue.failed == 0
        assert writes(again) == 0
    if cluster.server:
        assert cluster.server.writes == served


async def test_deleted_child_comes_back(cluster, operator):
    await cluster.make()
    await settled(cluster)
    before = await cluster.get("Service", "concierge")
    await cluster.delete("Service", "concierge")
    after = await cluster.exists("Service", "concierge")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_child_changed_by_hand_is_put_right_and_foreign_fields_stay(cluster, operator):
    await cluster.make()
    await settled(cluster)
    patch = {"data": {"redis.conf": "appendonly no\n", "notes": "mine"}}
    await cluster.kube.merge("ConfigMap", cluster.namespace, "concierge-redis-config", patch)
    seen = {}
    for _ in range(60):
        seen = (await cluster.get("ConfigMap", "concierge-redis-config"))["data"]
        if "appendonly yes" in seen["redis.conf"]:
            break
        await asyncio.sleep(0.1)
    assert "appendonly yes" in seen["redis.conf"]
    assert seen["notes"] == "mine"


async def test_password_outlives_the_operator_and_a_lost_label(cluster, settings):
    await cluster.make()
    async with app.running(settings):
        await settled(cluster)
        before = await password(cluster)
    labels = {"crewops.dev/crewdeployment": None}
    await cluster.kube.merge("Secret", cluster.namespace, "concierge-redis-auth", {"metadata": {"labels": labels}})
    async with app.running(settings):
        for _ in range(50):
            secret = await cluster.get("Secret", "concierge-redis-auth")
            if "crewops.dev/crewdeployment" in secret["metadata"]["labels"]:
                break
            await asyncio.sleep(0.1)
    assert secret["metadata"]["labels"]["crewops.dev/crewdeployment"] == "concierge"
    assert await password(cluster) == before


async def test_deleted_secret_gets_a_new_password_and_rolls_redis_and_crew(cluster, operator):
    await cluster.make()
    await settled(cluster)
    before = await password(cluster)
    await cluster.delete("Secret", "concierge-redis-auth")
    secret = await cluster.exists("Secret", "concierge-redis-auth")
    assert await password(cluster) != before
    for kind, name in (("StatefulSet", "concierge-redis"), ("Deployment", "concierge")):
        for _ in range(50):
            template = (await cluster.get(kind, name))["spec"]["template"]
            if template["metadata"]["annotations"]["crewops.dev/auth"] == secret["metadata"]["uid"]:
                break
            await asyncio.sleep(0.1)
        assert template["metadata"]["annotations"]["crewops.dev/auth"] == secret["metadata"]["uid"]


async def test_scaling_reaches_the_deployment(cluster, operator):
    await cluster.make()
    await settled(cluster)
    await cluster.change({"replicas": 5})
    for _ in range(50):
        if (await cluster.get("Deployment", "concierge"))["spec"]["replicas"] == 5:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the Deployment still has its old replicas")


async def test_deleted_crew_leaves_nothing_in_the_metrics(cluster, operator):
    await cluster.make()
    await settled(cluster)
    assert b'crew_operator_condition{name="concierge"' in operator.metrics.text()
    await cluster.delete("CrewDeployment", "concierge")
    for _ in range(60):
        if b'name="concierge"' not in operator.metrics.text():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(operator.metrics.text().decode())
