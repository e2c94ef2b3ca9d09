"""Promise: a Redis that is dead, wedged, full or refuses the password, and a replica that is cut off from it, show in
10 s with the reason, and True comes back by itself. Though nobody asks a healthy crew: its replicas signal it.
"""

import asyncio
import dataclasses
import signal

import httpx
import pytest

from crew_operator import app, observe
from crew_operator.api import names
from crew_operator.reconcile import Key
from crew_operator.settings import Settings
from crew_runtime.contract import env
from support.relay import relay
from support.waiting import eventually


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Without a clock that could see by chance what no replica has signalled."""
    return dataclasses.replace(settings, watched_tick=3600.0, resync=3600.0)


async def serving(cluster, node, replicas=2, **environ):
    """A crew whose replicas all serve, without waiting for its status."""
    await cluster.make(replicas=replicas)
    await cluster.exists("Deployment", "concierge")
    await node.start_redis()
    for number in range(replicas):
        await node.start_replica(f"concierge-{number}", **environ)


def look_by_the_clock(cluster, operator):
    """As it does once a minute."""
    operator.queue.add(Key(cluster.namespace, "concierge"))


async def test_crew_with_redis_and_replicas_is_ready_and_its_memory_proven(cluster, operator, node):
    await serving(cluster, node)
    await cluster.condition("Ready", "True", "AllGood", seconds=15)
    assert "what one replica wrote, the other one read" in await cluster.condition("MemoryShared", "True", "Proven")

    async def counted():
        status = (await cluster.crew())["status"]
        return (status["replicas"], status["readyReplicas"], status["updatedReplicas"]) == (2, 2, 2)

    await eventually(counted, "the status counts two replicas")
    status = (await cluster.crew())["status"]
    assert status["memory"]["lastProof"]["replicas"] == 2
    assert ("AllGood", "Ready=True: 2 replicas with one memory") in await cluster.events()


async def test_killed_redis_shows_within_10_s_and_true_comes_back_with_a_new_proof(cluster, operator, node):
    await serving(cluster, node)
    await cluster.watched(operator)
    node.signal_redis(signal.SIGKILL)
    await cluster.condition("MemoryReady", "False", "RedisUnreachable", seconds=10)
    await cluster.condition("MemoryShared", "Unknown", "MemoryNotReady")
    await cluster.condition("Ready", "False")
    await node.redis_restarts()
    await cluster.condition("Ready", "True", "AllGood", seconds=20)

    async def told():
        said = await cluster.events()
        return any(reason == "Proven" and text.startswith("MemoryShared=True") for reason, text in said)

    await eventually(told, "an Event tells of the new proof", 10)  # Events are written behind the status
    said = await cluster.events()
    assert any(reason == "RedisUnreachable" and text.startswith("MemoryReady=False") for reason, text in said)


async def test_a_redis_that_is_nearly_full_is_told_before_it_is(cluster, operator, node):
    await serving(cluster, node, replicas=1)
    await cluster.watched(operator)
    admin = node.redis_admin()
    admin.config_set("maxmemory", str(int(admin.info("memory")["used_memory"] * 1.1)))
    look_by_the_clock(cluster, operator)
    assert "limits.memory" in await cluster.condition("MemoryReady", "True", "RedisNearlyFull", seconds=10)
    await cluster.condition("Ready", "True", "RedisNearlyFull")
    admin.config_set("maxmemory", "0")
    look_by_the_clock(cluster, operator)
    await cluster.condition("Ready", "True", "AllGood", seconds=10)


async def test_replicas_that_stay_in_the_service_while_redis_is_away_do_not_count_as_available(cluster, operator, node):
    await serving(cluster, node)
    await cluster.watched(operator)
    node.signal_redis(signal.SIGKILL)
    await cluster.condition("CrewAvailable", "False", "ReplicasNotReady", seconds=10)

    async def told():
        message = await cluster.condition("CrewAvailable", "False")
        return "0 of 2 replicas are ready" in message and "no answer from Redis" in message

    await eventually(told, "neither counts", 10)
    for replica in node.replicas.values():
        assert (await replica.health.get("/readyz?serving")).status_code == 200
        assert (await replica.health.get("/readyz")).status_code == 503
    await node.redis_restarts()
    await cluster.condition("CrewAvailable", "True", seconds=20)


async def test_wedged_redis_shows_within_10_s_and_its_pod_is_replaced(cluster, operator, node):
    await serving(cluster, node, replicas=1)
    await cluster.watched(operator)
    pod = await cluster.get("Pod", "concierge-redis-0")
    node.signal_redis(signal.SIGSTOP)
    message = await cluster.condition("MemoryReady", "False", "RedisWedged", seconds=10)
    assert "gave no answer within 1.5 s" in message
    still = await cluster.get("Pod", "concierge-redis-0")
    assert still["metadata"]["uid"] == pod["metadata"]["uid"], "replaced without patience"

    async def replaced():
        found = await cluster.get("Pod", "concierge-redis-0")
        another = found is None or found["metadata"]["uid"] != pod["metadata"]["uid"]
        return another or found["metadata"].get("deletionTimestamp")

    async def told():
        return any(reason == "RedisPodReplaced" for reason, _ in await cluster.events())

    await eventually(replaced, "the pod is replaced", 35)
    await eventually(told, "an Event says so", 5)
    left = await cluster.get("Pod", "concierge-redis-0")
    if left is not None and left["metadata"].get("deletionTimestamp"):
        await cluster.delete("Pod", "concierge-redis-0")
    await node.redis_restarts()
    await cluster.condition("MemoryReady", "True", seconds=15)


async def test_full_redis_shows_within_10_s(cluster, operator, node):
    await serving(cluster, node, replicas=1)
    admin = node.redis_admin()
    await cluster.watched(operator)
    admin.config_set("maxmemory", "1")
    await cluster.condition("MemoryReady", "False", "RedisOutOfMemory", seconds=10)
    admin.config_set("maxmemory", "0")
    await cluster.condition("Ready", "True", seconds=20)


async def test_another_password_shows_within_10_s_though_nobody_is_cut_off(cluster, operator, node):
    await serving(cluster, node, replicas=1)
    admin = node.redis_admin()
    await cluster.watched(operator)
    admin.execute_command("ACL", "SETUSER", "default", "resetpass", ">another")
    message = await cluster.condition("MemoryReady", "False", "ReplicaLostRedis", seconds=10)
    assert "AuthFailed" in message


async def test_a_replica_that_is_cut_off_from_redis_shows_within_10_s(cluster, operator, node):
    await cluster.make(replicas=2)
    await cluster.exists("Deployment", "concierge")
    await node.start_redis()
    async with relay(6379, node.redis_ip) as way:
        await node.start_replica("concierge-0")
        url = node.redis_url.replace(f"{node.redis_ip}:6379", f"127.0.0.1:{way.port}")
        await node.start_replica("concierge-1", **{env.REDIS_URL: url})
        await cluster.watched(operator)
        way.cut()
        message = await cluster.condition("MemoryReady", "False", "ReplicaLostRedis", seconds=10)
        assert node.pods["concierge-1"] in message
        assert node.pods["concierge-0"] not in message
        way.heal()
        await cluster.condition("Ready", "True", seconds=20)


async def test_a_replica_whose_server_ends_shows_within_10_s_without_its_pod_saying_so(cluster, operator, node):
    await serving(cluster, node)
    await cluster.watched(operator)
    node.replicas["concierge-1"].server.kill()
    message = await cluster.condition("MemoryReady", "Unknown", "ReplicaSilent", seconds=10)
    assert node.pods["concierge-1"] in message


async def test_wrong_password_is_told_from_a_dead_redis(cluster, operator, node):
    await cluster.make()
    await cluster.exists("Deployment", "concierge")
    await node.start_redis(password="another")
    message = await cluster.condition("MemoryReady", "False", "RedisAuthFailed")
    assert "a new password in its Secret reaches both by itself" in message


async def test_replica_that_fails_to_import_is_told_in_its_own_words(cluster, operator, node):
    await cluster.make(replicas=1)
    await cluster.exists("Deployment", "concierge")
    await node.start_redis()
    one = await node.start_replica("concierge-0")
    await cluster.condition("CrewAvailable", "True", seconds=15)
    one.worker.kill()
    one.worker.wait()
    one.start_worker(SCRIPTED_FAIL="EntrypointBroken")
    await one.ready(wanted=False)
    await node.tell_not_ready("concierge-0")
    await cluster.condition("CrewAvailable", "False", "EntrypointBroken")


async def test_replica_whose_prober_hangs_fails_the_proof_by_name(cluster, operator, node):
    await cluster.make(replicas=2)
    await cluster.exists("Deployment", "concierge")
    await node.start_redis()
    await node.start_replica("concierge-a")
    await node.start_replica("concierge-b", SCRIPTED_PROOF="hang")
    message = await cluster.condition("MemoryShared", "False", "ProofFailed", seconds=30)
    assert node.pods["concierge-b"] in message
    await cluster.condition("Ready", "False", "ProofFailed")


async def test_new_replica_needs_a_new_proof_before_memory_is_shared(cluster, operator, node):
    await serving(cluster, node, replicas=1)
    await cluster.condition("MemoryShared", "True", seconds=15)
    await cluster.change({"replicas": 2})
    await node.start_replica("concierge-1")

    async def proven():
        return (await cluster.crew())["status"]["memory"]["lastProof"]["replicas"] == 2

    await eventually(proven, "a proof with both", 15)
    await cluster.condition("MemoryShared", "True")


async def test_healthy_crew_costs_no_pass_and_a_pass_no_write(cluster, operator, node):
    await serving(cluster, node)
    await cluster.watched(operator)
    before, handled = cluster.writes(operator), operator.queue.handled
    await asyncio.sleep(8)
    assert operator.queue.handled == handled
    look_by_the_clock(cluster, operator)

    async def passed():
        return operator.queue.handled > handled and not operator.queue.running

    await eventually(passed, "a pass")
    assert cluster.writes(operator) == before


async def test_a_new_operator_says_nothing_of_a_crew_that_is_as_it_was(cluster, settings, node):
    async with app.running(settings):
        await serving(cluster, node)
        await cluster.condition("Ready", "True", seconds=15)
        await asyncio.sleep(2)
    status = (await cluster.crew())["status"]
    async with app.running(settings) as again:
        before = cluster.writes(again)
        await asyncio.sleep(8)
        assert again.queue.handled >= 2
        assert cluster.writes(again) == before
    assert (await cluster.crew())["status"] == status


async def test_probes_and_metrics_answer(cluster, operator, node):
    await serving(cluster, node, replicas=1)
    await cluster.condition("Ready", "True", seconds=15)
    async with httpx.AsyncClient(trust_env=False) as http:
        health = await http.get(f"http://127.0.0.1:{operator.ports['healthz']}/healthz")
        metrics = await http.get(f"http://127.0.0.1:{operator.ports['metrics']}/metrics")
    assert health.status_code == 200
    line = f'crew_operator_condition{{name="concierge",namespace="{cluster.namespace}",status="True",type="Ready"}} 1.0'
    assert line in metrics.text


async def test_passes_that_do_not_end_fail_the_operators_own_probe_in_words(cluster, operator, monkeypatch):
    async def hang(*_, **__):
        await asyncio.Event().wait()

    async def failing():
        async with httpx.AsyncClient(trust_env=False) as http:
            seen.append(await http.get(f"http://127.0.0.1:{operator.ports['healthz']}/healthz"))
        return seen[-1].status_code == 503

    seen = []
    assert not await failing()
    monkeypatch.setattr(app, "STUCK_AFTER", 1.0)
    monkeypatch.setattr(observe, "look", hang)
    await cluster.make()
    await eventually(failing, "the kubelet is told", 10)
    assert seen[-1].text == "passes have not ended for 1 s\n"


async def test_conditions_of_others_are_left_alone(cluster, operator, node):
    await serving(cluster, node, replicas=1)
    await cluster.condition("Ready", "True", seconds=15)
    foreign = {
        "type": "example.com/Audited",
        "status": "True",
        "reason": "Checked",
        "message": "by hand",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    crew = await cluster.crew()
    path = f"/apis/crewops.dev/v1alpha1/namespaces/{cluster.namespace}/crewdeployments/concierge/status"
    await cluster.patch(path, {"status": {"conditions": [*crew["status"]["conditions"], foreign]}})
    node.signal_redis(signal.SIGKILL)
    await cluster.condition("MemoryReady", "False", seconds=10)
    found = {one["type"] for one in (await cluster.crew())["status"]["conditions"]}
    ours = {type_.value for type_ in names.ConditionType} - {names.ConditionType.HISTORY_CURRENT.value}  # it has none
    assert found == {"example.com/Audited", *ours}
