"""Two operators that share the CrewDeployments, as processes of their own: what one leaves, the other takes over."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from crew_operator import sharding
from crew_operator.api import names
from support.crews import crew_manifest
from support.ports import free_port
from support.waiting import eventually

SHARDS = 4
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


@pytest.fixture
async def start(cluster, tmp_path):
    """Starts operators; ends them at the end."""
    with contextlib.ExitStack() as stack:

        def one():
            port = free_port()
            command = [sys.executable, "-m", "crew_operator", "--bind=127.0.0.1", "--kubeconfig", cluster.kubeconfig]
            command += ["--namespace", cluster.namespace, "--metrics-port", str(port), "--healthz-port", str(port)]
            command += ["--lease", f"{cluster.namespace}/crew-operator", "--shards", str(SHARDS)]
            log = stack.enter_context((Path(tmp_path) / f"operator-{port}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return Operator(process, port)

        yield one


async def test_all_act_and_the_crews_of_one_that_stands_still_have_another(cluster, start):
    first = start()
    for name in CREWS:
        await cluster.kube.create(crew_manifest(name=name, namespace=cluster.namespace, replicas=1))
    await _observed(cluster, 1, 60)
    assert await first.shards() == SHARDS
    second = start()

    async def shared():
        return [await one.shards() for one in (first, second)] == [2, 2]

    await eventually(shared, "each has its part", 60)
    await _change(cluster, 2)
    await _observed(cluster, 2, MOVES)
    assert {sharding.shard(f"{cluster.namespace}/{name}", SHARDS) for name in CREWS} == set(range(SHARDS))

    first.process.send_signal(signal.SIGSTOP)
    await _change(cluster, 3)
    await _observed(cluster, 3, MOVES + 10)  # the crews' own passes, too
    assert await second.shards() == SHARDS
    before = await _versions(cluster)
    first.process.send_signal(signal.SIGCONT)
    code = await asyncio.to_thread(first.process.wait, 20)
    assert code != 0, "it says that it lost its Leases, and its container starts again"
    assert await _versions(cluster) == before, "it wrote nothing more"


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
    found = await asyncio.gather(*(cluster.get("Deployment", name) for name in CREWS))
    about = [one["metadata"] for one in found]  # not their resourceVersion: a controller tells of their pods
    return [(one["generation"], one["annotations"][names.APPLIED_ANNOTATION]) for one in about]
