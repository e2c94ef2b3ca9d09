"""The operator's cost, idle and with fifty crews of two replicas, on kwok's nodes: memory, CPU, writes."""

import asyncio
import time
from pathlib import Path

from bench.figures import Figure
from support import fleet as fleets
from support.fleet import Operator, Usage

COUNT, REPLICAS = 50, 2
IDLE, STEADY = 30.0, 60.0
"""Seconds."""


def run(folder: Path, kubeconfig: str) -> list[Figure]:
    """On the cluster of that kubeconfig. Raises LookupError without such nodes."""
    return asyncio.run(_run(folder, kubeconfig))


async def _run(folder: Path, kubeconfig: str) -> list[Figure]:
    async with fleets.fleet(kubeconfig, folder) as fleet:
        idle = await _over(fleet.operator, IDLE)
        begun = time.monotonic()
        before = await fleet.operator.usage()
        await fleet.make(COUNT, REPLICAS)
        await fleet.ready(COUNT, 300)
        took = time.monotonic() - begun
        until = (await fleet.operator.usage()).writes - before.writes
        await asyncio.sleep(5)
        steady = await _over(fleet.operator, STEADY)
        await fleet.delete()
    what = f"{COUNT} crews"
    return [
        Figure("operator, no crew: memory", idle[1].rss / 2**20, "MiB"),
        Figure("operator, no crew: CPU", _cpu(idle), "milli-cores"),
        Figure(f"{what}: all Ready after", took, "s"),
        Figure(f"{what}: writes until then, each", until / COUNT, ""),
        Figure(f"{what}: memory", steady[1].rss / 2**20, "MiB"),
        Figure(f"{what}: CPU", _cpu(steady), "milli-cores"),
        Figure(f"{what}: writes a minute", _writes(steady), "", aim="0", met=_writes(steady) == 0),
    ]


async def _over(operator: Operator, seconds: float) -> tuple[Usage, Usage]:
    before = await operator.usage()
    await asyncio.sleep(seconds)
    return before, await operator.usage()


def _cpu(over: tuple[Usage, Usage]) -> float:
    return 1000 * (over[1].cpu - over[0].cpu) / (over[1].at - over[0].at)


def _writes(over: tuple[Usage, Usage]) -> float:
    return 60 * (over[1].writes - over[0].writes) / (over[1].at - over[0].at)
