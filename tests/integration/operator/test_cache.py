"""Promise: what the watches tell is not asked for again, and what they leave out is found all the same."""

import base64
import dataclasses
import time
from pathlib import Path

import pytest

from crew_operator import app, redis_client
from crew_operator.api import names
from crew_operator.reconcile import Reconciler
from crew_operator.status import pacing
from support.relay import relay
from support.waiting import eventually

CHILDREN = 9
"""Of a crew with a managed Redis and a generated token."""
OWN = {"crew__apiTokenFrom": {"secretKeyRef": {"name": "own", "key": "token"}}}


OTHERS = (
    {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 1}]}},
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    },
)


def asked(operator):
    """The operator's requests so far, but for watches, by verb."""
    samples = operator.metrics.requests.collect()[0].samples
    return {one.labels["verb"]: int(one.value) for one in samples if one.name.endswith("_total")}


def written(operator):
    """Its writes so far, by kind."""
    found: dict[str, int] = {}
    for one in operator.metrics.writes.collect()[0].samples:
        if one.name.endswith("_total"):
            found[one.labels["kind"]] = found.get(one.labels["kind"], 0) + int(one.value)
    return found


async def serving(cluster, node, **changes):
    """A crew of one replica, Ready."""
    await cluster.make(replicas=1, **changes)
    await cluster.exists("Deployment", "concierge")
    await node.start_redis()
    await node.start_replica("concierge-0")
    await cluster.condition("Ready", "True", "AllGood", seconds=20)


@pytest.fixture
def settings(settings):
    """With passes of a healthy crew that are worth waiting for."""
    return dataclasses.replace(settings, watched_tick=3.0)


async def looked(operator, times):
    """Until so many passes more have ended."""
    wanted = operator.queue.handled + times

    async def done():
        return operator.queue.handled >= wanted

    await eventually(done, f"{times} passes more", 30)


async def settled(operator):
    """Until a pass makes no request: Events follow the status that they tell of, and no write of one is put off."""

    def said():
        held = operator.metrics.registry.get_sample_value("crew_operator_status_writes_held_total")
        return asked(operator), held

    async def quiet():
        before = said()
        await looked(operator, 2)
        return said() == before

    await eventually(quiet, "a pass makes no request", 30)


async def test_a_healthy_crew_costs_no_request(cluster, operator, node):
    await serving(cluster, node)
    await settled(operator)
    before, served = asked(operator), dict(cluster.server.requests) if cluster.server else {}
    await looked(operator, 4)
    assert asked(operator) == before
    if cluster.server:
        new = {one: count - served.get(one, 0) for one, count in cluster.server.requests.items()}
        assert not {one: count for one, count in new.items() if count and one[0] != "watch"}


async def test_an_operator_that_starts_takes_the_picture_from_its_watches(cluster, settings, node):
    async with app.running(settings) as first:
        await serving(cluster, node)
        await settled(first)
    async with app.running(settings) as second:
        await looked(second, 3)
        # whether the CRD is there, and the pods; the claim
        assert asked(second) == {"list": 2, "get": 1}


async def test_a_start_costs_one_write_a_child_three_of_its_status_one_event_and_one_listing(cluster, operator, node):
    begun = time.monotonic()
    await serving(cluster, node)
    found, took = written(operator), time.monotonic() - begun
    made = {kind: count for kind, count in found.items() if kind not in ("Event", names.KIND)}
    assert sum(made.values()) == CHILDREN
    # the first, the one that says Ready, and what was seen between them: three if it takes less than 10 s
    assert found[names.KIND] <= 2 + took // pacing.QUIET
    await settled(operator)
    assert written(operator)["Event"] == 1, await cluster.events()
    assert asked(operator)["list"] == 2, "whether the CRD is there, and the pods"
    assert asked(operator)["get"] <= CHILDREN + 3, "each child's name once, and the claim until it is there"


async def test_a_crew_without_an_address_waits_for_an_event_and_not_for_its_turn(cluster, settings, node, monkeypatch):
    pauses, reconcile = [], Reconciler.reconcile

    async def noted(self, key):
        result = await reconcile(self, key)
        pauses.append(result.after)
        return result

    async def waits():
        return pauses[-1:] == [100.0]

    monkeypatch.setattr(Reconciler, "reconcile", noted)
    async with app.running(dataclasses.replace(settings, waiting_tick=100.0)):
        await cluster.make(replicas=1)
        await cluster.exists("Deployment", "concierge")
        await eventually(waits, "nothing but an event calls for a pass", 30)
        await node.start_redis()
        await cluster.condition("MemoryReady", "True", "Answers", seconds=20)
        await node.start_replica("concierge-0")
        await cluster.condition("Ready", "True", "AllGood", seconds=20)


async def test_an_echo_of_our_own_write_makes_no_pass_that_asks(cluster, operator):
    """Without a replica nothing changes any more, and every pass looks at nothing new."""
    await cluster.make()
    await cluster.condition("Ready", "False")
    await settled(operator)
    before = asked(operator)
    await looked(operator, 3)
    assert asked(operator) == before


async def make_own_secret(cluster):
    about = {"name": "own", "namespace": cluster.namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": about, "stringData": {"token": "a-token-of-the-users"}}
    await cluster.kube.create(secret)


async def another_token_rolls(cluster):
    before = await cluster.get("Deployment", "concierge")
    other = base64.b64encode(b"another-token").decode()
    await cluster.kube.merge("Secret", cluster.namespace, "own", {"data": {"token": other}})

    async def rolled():
        now = await cluster.get("Deployment", "concierge")
        return now["spec"]["template"]["metadata"] != before["spec"]["template"]["metadata"]

    await eventually(rolled, "the crew is rolled")


async def test_of_a_crew_that_uses_a_secret_of_the_users_that_one_is_read_and_nothing_else(cluster, settings, node):
    await make_own_secret(cluster)
    async with app.running(dataclasses.replace(settings, reread=1.0)) as operator:
        await cluster.make(**OWN)
        await cluster.condition("Ready", "False")
        if cluster.server:

            async def only_the_secret():
                served = dict(cluster.server.requests)
                await looked(operator, 3)
                new = {one for one, count in cluster.server.requests.items() if count > served.get(one, 0)}
                return {one for one in new if one[0] != "watch"} == {("get", "secrets")}

            await eventually(only_the_secret, "only the Secret is read", 30)
        await another_token_rolls(cluster)


async def test_the_secret_of_a_healthy_crew_is_read_between_its_looks(cluster, settings, node, monkeypatch):
    """Its Redis and its replicas have their own turn; what is new in the Secret does not wait for that."""
    looks, look = [], redis_client.look

    async def counted(*arguments, **options):
        looks.append(arguments)
        return await look(*arguments, **options)

    def reads(running):
        return asked(running).get("get", 0)

    monkeypatch.setattr(redis_client, "look", counted)
    await make_own_secret(cluster)
    seldom = dataclasses.replace(settings, reread=0.3, watched_tick=3600.0)
    async with app.running(seldom) as operator:
        await serving(cluster, node, **OWN)

        async def only_reads():
            before, read = len(looks), reads(operator)
            await looked(operator, 10)
            return len(looks) == before and reads(operator) >= read + 9

        await eventually(only_reads, "the Secret is read, and Redis is not", 60)
        before = len(looks)
        await another_token_rolls(cluster)

        async def looked_at():
            return len(looks) > before

        await eventually(looked_at, "a whole pass looks at all")


async def behind_a_relay(cluster, tmp_path, one):
    """A kubeconfig that leads through it."""
    text = Path(cluster.kubeconfig).read_text().replace(f"127.0.0.1:{cluster.server._port}", f"127.0.0.1:{one.port}")
    path = tmp_path / "relayed"
    path.write_text(text)
    return str(path)


@pytest.mark.local_cluster
@pytest.mark.parametrize(
    ("kind", "name", "resync"),
    [("Service", "concierge", 600.0), ("Deployment", "concierge", 8.0)],
    ids=["others of its kind are left", "the last of its kind"],
)
async def test_what_goes_while_the_watches_are_cut_and_their_past_is_forgotten_comes_back(
    cluster, settings, tmp_path, kind, name, resync
):
    """The first is missed by the new listing; of the second that says nothing, and the slow look finds it."""
    if cluster.server is None:
        pytest.skip("forgets the API server's history")
    async with relay(cluster.server._port) as one:
        cut_off = dataclasses.replace(settings, kubeconfig=await behind_a_relay(cluster, tmp_path, one), resync=resync)
        async with app.running(cut_off) as operator:
            await cluster.make()
            await cluster.condition("Ready", "False")
            await settled(operator)
            one.drop()
            await cluster.delete(kind, name)
            # something else of each kind is written, so that the watches are behind, and then all that is forgotten
            for other in OTHERS:
                about = {"name": "other", "namespace": cluster.namespace}
                await cluster.kube.create({**other, "metadata": about})
            cluster.server.registry.store.compact()
            one.heal()
            await cluster.exists(kind, name, 60)
