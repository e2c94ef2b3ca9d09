"""Promise: no peer of one crew, whatever it says or does, costs another crew anything, nor the API server its peace."""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import random
import signal
import time
from collections import Counter

import httpx
import pytest

from crew_operator import app, healing, observe, proof, reconcile
from crew_operator.api import names
from crew_operator.errors import UnreachableError
from crew_operator.kube_client import KubeClient
from crew_runtime import contract
from crew_runtime.contract import report as reports
from crew_runtime.contract.report import BackendHealth, Report
from localcluster.controllers.actions import owner_of
from support import strangers
from support.crews import crew_manifest
from support.waiting import eventually

NET = f"127.{random.randint(32, 250)}.{random.randint(1, 250)}"


async def pod_of(cluster, crew, ip, ready="True"):
    """A pod by hand whose address is somebody's."""
    about = {
        "name": f"{crew}-0",
        "namespace": cluster.namespace,
        "labels": {**names.selector(crew, names.CREW), "pod-template-hash": "1"},
    }
    spec = {"containers": [{"name": "crew", "image": "by-hand"}]}
    await cluster.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec})
    status = {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": ready}]}
    await cluster.patch_status("Pod", f"{crew}-0", status)


async def crew(cluster, name):
    await cluster.kube.create(
        {**crew_manifest(namespace=cluster.namespace), "metadata": {"name": name, "namespace": cluster.namespace}}
    )


async def health(running):
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"http://127.0.0.1:{running.ports['healthz']}/healthz")).status_code


def status_writes(running):
    samples = running.metrics.writes.collect()[0].samples
    return sum(one.value for one in samples if one.labels.get("verb") == "apply-status" and one.name.endswith("_total"))


def events_written(running):
    samples = running.metrics.writes.collect()[0].samples
    return sum(one.value for one in samples if one.labels.get("kind") == "Event" and one.name.endswith("_total"))


async def test_replicas_that_answer_a_byte_a_second_cost_a_neighbour_nothing(cluster, settings):
    """With a single worker: it is not theirs while they are waited for."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    talk = strangers.dripping(head, itertools.repeat(b" "), 1.0)
    async with contextlib.AsyncExitStack() as stack:
        operator = await stack.enter_async_context(app.running(dataclasses.replace(settings, workers=1)))
        for number in range(16):
            ip = f"{NET}.{number + 10}"
            await stack.enter_async_context(strangers.talking(talk, ip, contract.HEALTH_PORT))
            await crew(cluster, f"slow-{number}")
            await pod_of(cluster, f"slow-{number}", ip)
        slow = [f"slow-{number}" for number in range(16)]

        async def met():
            found = [await cluster.kube.get(names.KIND, cluster.namespace, name) for name in slow]
            return all((one.get("status") or {}).get("conditions") for one in found)

        await eventually(met, "all of them were looked at", 60)
        for number in range(3):
            await crew(cluster, f"innocent-{number}")
            await cluster.exists("Deployment", f"innocent-{number}", seconds=5)
        assert await health(operator) == 200


def replica_whose_stream_is(stream, asked):
    """One that gives a plausible report, and `stream` for its changes; counts in `asked` who wanted what."""
    told = Report("hostile", time=1.0, phase="ready", ready=True, backend=BackendHealth(True, "Ok", checked_at=1.0))
    body = json.dumps(reports.to_dict(told)).encode()

    async def talk(reader, writer):
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        asked[path] += 1
        if path == contract.CHANGES_PATH:
            await stream(reader, writer)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
            await writer.drain()

    return talk


OPEN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SIGNAL = b"1\r\n\n\r\n"


async def test_what_a_replica_signals_comes_before_what_the_clock_asks_for(cluster, operator, monkeypatch):
    rung, add = [], operator.queue.add

    def noted(key, after=0.0, *, urgent=False):
        rung.append((key.name, urgent))
        add(key, after, urgent=urgent)

    ip = f"{NET}.39"
    signals = asyncio.Event()

    async def stream(_, writer):
        writer.write(OPEN)
        await signals.wait()
        writer.write(SIGNAL)
        await asyncio.Event().wait()

    async with strangers.talking(replica_whose_stream_is(stream, Counter()), ip, contract.HEALTH_PORT):
        await crew(cluster, "signals")
        await pod_of(cluster, "signals", ip)

        async def open_():
            return operator.metrics.registry.get_sample_value("crew_operator_change_streams") == 1.0

        await eventually(open_, "its stream is open", 30)
        monkeypatch.setattr(operator.queue, "add", noted)
        signals.set()
        await eventually(_is(lambda: ("signals", True) in rung), "it is woken, urgently", 30)


@pytest.mark.parametrize(
    ("stream", "why", "dials"),
    [
        (strangers.pouring(OPEN, SIGNAL * 1000, 10**9), "flood", 1),
        (strangers.pouring(b"HTTP/1.1 200 OK\r\n", b"x" * 6000, 10**9), "head", 6),
        (strangers.saying(OPEN), "closed", 6),
        (strangers.dripping(OPEN, itertools.repeat(SIGNAL), 0.01), "flood", 1),
    ],
    ids=["rings at full speed", "endless head", "opens and closes", "rings a hundred times a second"],
)
async def test_a_stream_that_is_hostile_makes_few_passes_and_none_of_a_neighbour(
    cluster, settings, node, stream, why, dials
):
    """Passes are counted; `dials`: how often one is asked for its stream while it is looked at twenty times, which is
    twenty seconds at least, with a backoff of 1, 2, 4, 8 and 16 s, each up to a quarter shorter."""
    without_clock = dataclasses.replace(settings, watched_tick=3600.0, resync=3600.0)
    async with contextlib.AsyncExitStack() as stack:
        operator = await stack.enter_async_context(app.running(without_clock))
        await cluster.make(replicas=1)
        await cluster.exists("Deployment", "concierge")
        await node.start_redis()
        await node.start_replica("concierge-0")
        await cluster.watched(operator)
        asked = [Counter() for _ in range(8)]
        for number, one in enumerate(asked):
            ip = f"{NET}.{number + 40}"
            talk = replica_whose_stream_is(stream, one)
            await stack.enter_async_context(strangers.talking(talk, ip, contract.HEALTH_PORT))
            await crew(cluster, f"hostile-{number}")
            await pod_of(cluster, f"hostile-{number}", ip)

        def looks():
            return [one["/report"] for one in asked]

        await eventually(_is(lambda: min(looks()) >= 2), "each was looked at", 60)
        begun, handled, before = time.monotonic(), operator.queue.handled, sum(looks())
        await eventually(_is(lambda: min(looks()) >= 22), "each was looked at twenty times more", 120)
        took = time.monotonic() - begun
        passes, theirs = operator.queue.handled - handled, sum(looks()) - before
        assert passes <= theirs + len(asked), "of the neighbour there was none"
        assert theirs <= len(asked) * (2 * took + 5), "by the clock and by the stream once a second each"
        assert all(1 <= one[contract.CHANGES_PATH] <= dials for one in asked), asked
        assert operator.metrics.registry.get_sample_value("crew_operator_change_streams_ended_total", {"why": why})
        node.signal_redis(signal.SIGKILL)
        await cluster.condition("MemoryReady", "False", "RedisUnreachable", seconds=10)


async def test_a_report_that_lies_anew_with_each_look_is_not_a_stream_of_writes(cluster, operator):
    numbers = itertools.count()

    async def lie(_, writer):
        number = next(numbers)
        reason = random.choice(["EntrypointBroken", "CrewAIMissing", "KickoffBroken", "NoPython"])
        told = Report("liar", time=1.0, phase="failed", reason=reason, message=f"lie {number}", backend=BackendHealth())
        body = json.dumps(reports.to_dict(told)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    async with strangers.talking(lie, f"{NET}.9", contract.HEALTH_PORT) as peer:
        await cluster.make()
        await cluster.exists("Deployment", "concierge")
        await pod_of(cluster, "concierge", f"{NET}.9", ready="False")
        await eventually(_is(lambda: peer.asked >= 10), "ten looks", 60)
        begun, before = time.monotonic(), (status_writes(operator), events_written(operator), operator.queue.handled)
        await eventually(_is(lambda: peer.asked >= 30), "thirty looks", 90)
        took = time.monotonic() - begun
    writes, events, passes = (
        after - first
        for after, first in zip(
            (status_writes(operator), events_written(operator), operator.queue.handled), before, strict=True
        )
    )
    assert writes <= 10 + took / 6
    assert events <= 6 * writes
    assert passes <= 20 + took, "a write of ours wakes no pass"


async def test_a_worker_that_is_stopped_costs_two_writes(cluster, operator, node):
    await cluster.make(replicas=1)
    await cluster.exists("Deployment", "concierge")
    await node.start_redis()
    one = await node.start_replica("concierge-0")
    await cluster.condition("Ready", "True", seconds=20)
    await asyncio.sleep(2)
    before = status_writes(operator)
    one.worker.send_signal(signal.SIGSTOP)
    await one.ready(wanted=False, reason="WorkerUnresponsive", seconds=15)
    await node.tell_not_ready("concierge-0")
    await cluster.condition("CrewAvailable", "False", seconds=10)
    handled = operator.queue.handled
    await eventually(_is(lambda: operator.queue.handled >= handled + 25), "25 more passes", 60)
    assert status_writes(operator) - before <= 2


async def test_a_pod_that_somebody_made_in_the_place_of_redis_is_told_and_shown_no_password(cluster, operator):
    """It is there first, so the StatefulSet's controller cannot make its own."""
    about = {"name": "somebody", "namespace": cluster.namespace}
    somebody = await cluster.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about})
    ip = f"{NET}.8"
    about = {
        "name": "concierge-redis-0",
        "namespace": cluster.namespace,
        "labels": names.selector("concierge", names.REDIS),
        "ownerReferences": [owner_of({"apiVersion": "v1", "kind": "ConfigMap", **somebody})],
    }
    spec = {"containers": [{"name": "redis", "image": "by-hand"}]}
    before = await cluster.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec})
    async with strangers.talking(strangers.saying(stay=60), ip, contract.REDIS_PORT) as peer:
        await cluster.patch_status("Pod", "concierge-redis-0", {"phase": "Running", "podIP": ip})
        await cluster.make()
        message = await cluster.condition("MemoryReady", "False", "RedisPodMissing")
        assert "somebody else's pod has the name of Redis' pod, concierge-redis-0" in message
        await asyncio.sleep(3)  # looked at each second
    assert peer.asked == 0
    now = await cluster.get("Pod", "concierge-redis-0")
    assert now["metadata"]["uid"] == before["metadata"]["uid"]
    assert "deletionTimestamp" not in now["metadata"]


async def test_garbage_in_the_place_of_redis_is_told_within_10_s(cluster, operator, node):
    await cluster.make(replicas=1)
    await cluster.exists("Deployment", "concierge")
    await node.start_redis()
    await node.start_replica("concierge-0")
    await cluster.watched(operator)
    node.signal_redis(signal.SIGKILL)
    async with strangers.talking(strangers.saying(b"$abc\r\n"), node.redis_ip, 6379):
        message = await cluster.condition("MemoryReady", "False", "RedisError", seconds=10)
    assert "does not speak Redis' protocol" in message


async def test_passes_that_fail_unforeseen_are_told_and_are_over_when_they_are(cluster, operator, monkeypatch):
    await cluster.make()
    await cluster.exists("Deployment", "concierge")
    with monkeypatch.context() as bug:

        async def look(*_, **__):
            raise KeyError("s3cret of somebody")

        bug.setattr(observe, "look", look)
        message = await cluster.condition("Progressing", "False", "InternalError", seconds=20)
        assert "KeyError" in message
        assert "s3cret" not in message
        await cluster.condition("Ready", "Unknown", "InternalError")
        written = status_writes(operator)
        handled = operator.queue.handled
        await eventually(_is(lambda: operator.queue.handled > handled), "one more", 40)
        assert status_writes(operator) == written, "the same is not written again"
        assert await health(operator) == 200
    await cluster.change({"replicas": 1})

    async def over():
        said = (await cluster.crew())["status"]["conditions"]
        return "InternalError" not in {one["reason"] for one in said}

    await eventually(over, "it is over", 20)


async def test_a_pass_without_an_end_is_ended_and_told(cluster, operator, monkeypatch):
    monkeypatch.setattr(reconcile, "PASS_DEADLINE", 0.5)

    async def look(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(observe, "look", look)
    await cluster.make()
    message = await cluster.condition("Progressing", "False", "InternalError", seconds=30)
    assert "did not end within" in message


async def test_a_label_without_a_name_makes_no_pass(cluster, operator):
    await cluster.make()
    await cluster.condition("Ready", "False", seconds=10)
    about = {"name": "stray", "namespace": cluster.namespace, "labels": {names.OWNER_LABEL: ""}}
    await cluster.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about})
    handled = operator.queue.handled
    await eventually(_is(lambda: operator.queue.handled >= handled + 3), "three more passes", 30)
    assert operator.queue.failed == 0


async def test_a_first_start_warns_of_nothing(cluster, operator, node):
    await cluster.make(replicas=1)
    await cluster.exists("Deployment", "concierge")
    await node.start_redis()
    await node.start_replica("concierge-0")
    await cluster.condition("Ready", "True", seconds=20)
    listed = await cluster.kube.list("Event", cluster.namespace, {})
    found = [one for one in listed if one["involvedObject"]["kind"] == names.KIND]
    assert found
    assert [(one["reason"], one["message"]) for one in found if one["type"] == "Warning"] == []


def _is(look):
    async def asked():
        return look()

    return asked


async def test_a_replacement_is_told_when_it_was_done_and_tried_again_when_it_failed(
    cluster, operator, node, monkeypatch
):
    monkeypatch.setattr(healing, "PATIENCE", 1.0)
    delete, tried = KubeClient.delete, []

    async def fails_once(self, *args, **options):
        tried.append([reason for reason, _ in await cluster.events()])
        if len(tried) == 1:
            raise UnreachableError("cut")
        return await delete(self, *args, **options)

    await cluster.make(replicas=1)
    await cluster.exists("Deployment", "concierge")
    await node.start_redis()
    await cluster.condition("MemoryReady", "True", seconds=15)
    monkeypatch.setattr(KubeClient, "delete", fails_once)
    node.signal_redis(signal.SIGSTOP)
    await eventually(_is(lambda: len(tried) == 2), "a second try", 30)
    assert not any("RedisPodReplaced" in said for said in tried)

    async def told():
        return "RedisPodReplaced" in [reason for reason, _ in await cluster.events()]

    await eventually(told, "it is told", 10)


async def test_what_was_seen_before_a_slow_proof_is_not_told_after_it(cluster, operator, node, monkeypatch):
    apply_status, told, killed_at = KubeClient.apply_status, [], []

    async def slow(*_):
        if not killed_at:
            node.signal_redis(signal.SIGKILL)
            killed_at.append(len(told))
            await asyncio.sleep(3.2)

    async def noted(self, manifest):
        if manifest["kind"] == names.KIND:
            told.append({one["type"]: one["status"] for one in manifest["status"]["conditions"]})
        return await apply_status(self, manifest)

    monkeypatch.setattr(proof, "prove", slow)
    monkeypatch.setattr(KubeClient, "apply_status", noted)
    await cluster.make(replicas=1)
    await cluster.exists("Deployment", "concierge")
    await node.start_redis()
    await node.start_replica("concierge-0")
    await eventually(_is(lambda: killed_at and len(told) > killed_at[0]), "a write after the proof", 30)
    assert told[killed_at[0]]["MemoryReady"] == "False"
