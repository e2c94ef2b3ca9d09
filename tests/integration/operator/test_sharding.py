"""Two operators that share the CrewDeployments, as processes of their own: what one leaves, the other takes over.

What the first one sends is read on its way. Not of a real API server: there is TLS.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from crew_operator import sharding
from support.crews import crew_manifest
from support.ports import free_port
from support.waiting import eventually

SHARDS = 4
RECORDED = ("Deployment", "Service", "PodDisruptionBudget", "ConfigMap")
CREWS = [f"crew-{number}" for number in range(8)]
MOVES = 20.0
"""Seconds in which the crews of an operator that died have another one; the promise."""


@dataclass
class Operator:
    """One process."""

    process: subprocess.Popen[bytes]
    port: int

    async def shards(self) -> int:
        """How many it holds."""
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
                text = (await client.get(f"http://127.0.0.1:{self.port}/metrics")).text
        except httpx.HTTPError:
            return 0
        found = [line.split()[1] for line in text.splitlines() if line.startswith("crew_operator_shards ")]
        return int(float(found[0])) if found else 0


class Wire:
    """The way of one operator to the API server: what it asked for, and when; its answers can be held."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.port = 0
        self.asked: list[tuple[float, str, str]] = []
        """When, method and path; but for watches."""
        self.held_at: str | None = None
        """Part of a path: the answers to writes there are held, with all that comes later on their connections."""
        self.holds = False
        """An answer is held."""
        self._open = asyncio.Event()

    def heal(self) -> None:
        """What was held is delivered."""
        self.held_at = None
        self._open.set()

    def writes(self, since: float = 0.0) -> list[tuple[str, str]]:
        """But those of Leases."""
        return [one[1:] for one in self.asked if one[0] >= since and one[1] != "GET" and "/leases" not in one[2]]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        held = asyncio.Event()
        ways = [
            asyncio.ensure_future(self._there(reader, up_writer, held)),
            asyncio.ensure_future(self._back(up_reader, writer, held)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for one in (writer, up_writer):
            one.close()

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, held: asyncio.Event) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
                self.asked.append((time.monotonic(), method, path))
                length = [one for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")]
                body = await reader.readexactly(int(length[0].partition(b":")[2])) if length else b""
                if method != "GET" and self.held_at is not None and self.held_at in path:
                    held.set()
                    self.holds = True
                writer.write(head + body)
                await writer.drain()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, held: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if held.is_set():
                    await self._open.wait()
                writer.write(data)
                await writer.drain()


@pytest.fixture
async def wire(cluster):
    """To the embedded API server."""
    if cluster.server is None:
        pytest.skip("reads what goes over the wire")
    one = Wire(cluster.server._port)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    yield one
    server.close()


@pytest.fixture
async def start(cluster, tmp_path):
    """Starts operators, by a wire if one is given; ends them at the end."""
    with contextlib.ExitStack() as stack:

        def one(wire=None):
            port = free_port()
            kubeconfig = cluster.kubeconfig
            if wire is not None:
                text = Path(kubeconfig).read_text()
                kubeconfig = tmp_path / "by-wire"
                kubeconfig.write_text(text.replace(f"127.0.0.1:{cluster.server._port}", f"127.0.0.1:{wire.port}"))
            command = [sys.executable, "-m", "crew_operator", "--bind=127.0.0.1", "--kubeconfig", str(kubeconfig)]
            command += ["--namespace", cluster.namespace, "--metrics-port", str(port), "--healthz-port", str(port)]
            command += ["--lease", f"{cluster.namespace}/crew-operator", "--shards", str(SHARDS)]
            log = stack.enter_context((Path(tmp_path) / f"operator-{port}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return Operator(process, port)

        yield one


async def both(cluster, first, start):
    """The first acts for all, then a second one comes; it."""
    for name in CREWS:
        await cluster.kube.create(crew_manifest(name=name, namespace=cluster.namespace, replicas=1))
    await _observed(cluster, 1, 60)
    assert await first.shards() == SHARDS
    second = start()

    async def shared():
        return [await one.shards() for one in (first, second)] == [2, 2]

    await eventually(shared, "each has its part", 60)
    assert {sharding.shard(f"{cluster.namespace}/{name}", SHARDS) for name in CREWS} == set(range(SHARDS))
    return second


@pytest.mark.local_cluster
async def test_the_crews_of_one_that_stands_still_have_another_and_it_writes_nothing_when_it_goes_on(
    cluster, wire, start
):
    first = start(wire)
    second = await both(cluster, first, start)
    await _change(cluster, 2)
    await _observed(cluster, 2, MOVES)

    wire.held_at = "/deployments/"
    await _change(cluster, 3)
    await eventually(_is(lambda: wire.holds), "it is in the middle of a change", 20)
    first.process.send_signal(signal.SIGSTOP)
    stopped_at = time.monotonic()
    wire.heal()  # all that it waits for is there when it goes on
    await _change(cluster, 4)
    await _observed(cluster, 4, MOVES - (time.monotonic() - stopped_at))
    assert await second.shards() == SHARDS
    before = await _versions(cluster)
    continued_at = time.monotonic()
    first.process.send_signal(signal.SIGCONT)
    code = await asyncio.to_thread(first.process.wait, 20)
    assert code != 0, "it says that it lost its Leases, and its container starts again"
    assert any(one[0] >= continued_at for one in wire.asked), "it did go on"
    assert wire.writes(continued_at) == []
    assert await _versions(cluster) == before


async def test_the_crews_of_one_that_is_killed_in_the_middle_of_a_change_have_another(cluster, wire, start):
    first = start(wire)
    second = await both(cluster, first, start)
    wire.held_at = "/deployments/"
    await _change(cluster, 2)
    await eventually(_is(lambda: wire.holds), "it is in the middle of a change", 20)
    first.process.kill()
    killed_at = time.monotonic()
    await _change(cluster, 3)
    await _observed(cluster, 3, MOVES - (time.monotonic() - killed_at))
    assert await second.shards() == SHARDS


def _is(look):
    async def asked():
        return look()

    return asked


async def _change(cluster, replicas):
    for name in CREWS:
        await cluster.patch(
            f"/apis/crewops.dev/v1alpha1/namespaces/{cluster.namespace}/crewdeployments/{name}",
            {"spec": {"replicas": replicas}},
        )


async def _observed(cluster, replicas, seconds):
    """Every crew's Deployment is as its CrewDeployment says."""

    async def done():
        found = await asyncio.gather(*(cluster.get("Deployment", name) for name in CREWS))
        return all(one is not None and one["spec"]["replicas"] == replicas for one in found)

    await eventually(done, f"all Deployments have {replicas} replicas", seconds)


async def _versions(cluster):
    """Of all children of the kinds that a change of replicas may concern."""
    found = await asyncio.gather(*(cluster.kube.list(kind, cluster.namespace, {}) for kind in RECORDED))
    return {(one["metadata"]["uid"], one["metadata"]["resourceVersion"]) for kind in found for one in kind}
