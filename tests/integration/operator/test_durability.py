"""Promise: what Redis acknowledged and has lost is told, until it is back or somebody accepts that it is gone."""

import asyncio
import dataclasses
import shutil
import signal

import pytest

from crew_operator import app
from crew_operator.api import names
from crew_operator.settings import Settings
from crew_runtime.contract import keys
from crew_runtime.contract.resource import ACCEPT_LOSS_ANNOTATION
from support.waiting import eventually


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A canary every three seconds and a look every second: a loss is seen soon, and by no chance of the clock."""
    return dataclasses.replace(settings, proof_interval=3.0, watched_tick=1.0)


def canary(cluster, node):
    """Its number; 0: there is none."""
    found = node.redis_admin().get(keys.canary(names.key_prefix(cluster.namespace, "concierge")))
    return int(found.split()[1]) if found else 0


async def canaries(cluster, node, count):
    """So many more, all of which but the last the store has to have: each is looked for before the next is written."""
    first = canary(cluster, node)

    async def written():
        return canary(cluster, node) >= first + count

    await eventually(written, f"{count} canaries are written", 30)


async def serving(cluster, node, **memory):
    """A crew that is Ready, and whose store has to have a canary."""
    await cluster.make(replicas=1, memory=memory)
    await cluster.exists("Deployment", "concierge")
    await node.start_redis()
    await node.start_replica("concierge-0")
    await cluster.condition("Ready", "True", "AllGood", seconds=20)
    await cluster.condition("MemoryDurable", "True", "Durable")
    await canaries(cluster, node, 2)


async def accept(cluster):
    loss = (await cluster.crew())["status"]["memory"]["loss"]
    await cluster.kube.merge(
        names.KIND, cluster.namespace, "concierge", {"metadata": {"annotations": {ACCEPT_LOSS_ANNOTATION: loss["id"]}}}
    )


def losses(cluster, operator):
    labels = {"namespace": cluster.namespace, "name": "concierge"}
    return operator.metrics.registry.get_sample_value("crew_operator_memory_losses_total", labels)


async def test_keys_that_were_flushed_are_told_until_that_is_accepted(cluster, operator, node):
    await serving(cluster, node)
    node.redis_admin().flushall()
    told = await cluster.condition("MemoryDurable", "False", "MemoryLost", seconds=10)
    assert "nothing of what it held" in told
    assert ACCEPT_LOSS_ANNOTATION in await cluster.condition("Ready", "False", "MemoryLost")
    await cluster.condition("MemoryReady", "True", seconds=20)

    async def event():
        said = await cluster.events()
        return [text for reason, text in said if reason == "MemoryLost" and "MemoryDurable=False" in text]

    await eventually(event, "an Event says so", 5)
    assert losses(cluster, operator) == 1
    await asyncio.sleep(4)
    assert not canary(cluster, node), "it is not put back as if nothing had been"
    await cluster.condition("Ready", "False", "MemoryLost")
    await accept(cluster)
    await cluster.condition("Ready", "True", "AllGood", seconds=10)
    assert losses(cluster, operator) == 1
    assert "loss" not in (await cluster.crew())["status"]["memory"]


async def test_an_emptied_volume_is_told_also_by_the_next_operator(cluster, settings, operator, node):
    await serving(cluster, node)
    node.signal_redis(signal.SIGKILL)
    shutil.rmtree(node._folder / "redis")
    await node.redis_restarts()
    await cluster.condition("Ready", "False", "MemoryLost", seconds=20)
    loss = (await cluster.crew())["status"]["memory"]["loss"]
    async with app.running(settings) as another:
        await asyncio.sleep(3)
        assert (await cluster.crew())["status"]["memory"]["loss"] == loss
        assert not losses(cluster, another), "it is the one that is known"


async def test_something_older_that_was_restored_is_told_and_the_newest_ends_it(cluster, operator, node):
    await serving(cluster, node)
    data, older, newest = (node._folder / name for name in ("redis", "older", "newest"))
    await asyncio.to_thread(node.redis_admin().execute_command, "WAITAOF", "1", "0", "5000")
    shutil.copytree(data, older)
    await canaries(cluster, node, 2)
    node.signal_redis(signal.SIGKILL)
    shutil.move(data, newest)
    shutil.copytree(older, data)
    await node.redis_restarts()
    assert "has the state of" in await cluster.condition("MemoryDurable", "False", "MemoryLost", seconds=20)
    node.signal_redis(signal.SIGKILL)
    shutil.rmtree(data)
    shutil.move(newest, data)
    await node.redis_restarts()
    await cluster.condition("Ready", "True", "AllGood", seconds=20)


async def test_a_redis_that_is_killed_again_and_again_has_lost_nothing(cluster, operator, node):
    await serving(cluster, node)
    for _ in range(5):
        node.signal_redis(signal.SIGKILL)
        await node.redis_restarts()
        await asyncio.sleep(1.3)
    await cluster.condition("Ready", "True", "AllGood", seconds=20)
    assert not losses(cluster, operator)
    assert canary(cluster, node)


async def test_a_crew_that_stops_for_a_loss_has_no_replica_until_it_is_accepted(cluster, operator, node):
    await serving(cluster, node, onLoss="Stop")

    async def replicas():
        return (await cluster.get("Deployment", "concierge"))["spec"]["replicas"]

    async def stopped():
        return await replicas() == 0

    async def back():
        return await replicas() == 1

    node.redis_admin().flushall()
    await eventually(stopped, "it is stopped", 10)
    await cluster.condition("CrewAvailable", "False", "MemoryLost", seconds=10)
    await accept(cluster)
    await eventually(back, "it is back", 10)
    await cluster.condition("MemoryDurable", "True", "Durable", seconds=10)


async def test_what_would_lose_memories_is_told_before_it_does(cluster, operator, node):
    await serving(cluster, node)
    admin = node.redis_admin()
    admin.config_set("maxmemory", "1gb")
    admin.config_set("maxmemory-policy", "allkeys-lru")
    assert "noeviction" in await cluster.condition("Ready", "False", "RedisEvicts")
    admin.config_set("maxmemory-policy", "noeviction")
    await cluster.condition("Ready", "True", "AllGood")
    admin.config_set("appendonly", "no")
    await cluster.condition("Ready", "False", "RedisNotPersistent")
    admin.config_set("appendonly", "yes")
    await cluster.condition("Ready", "True", "AllGood")
