"""The operator's cost, idle and with crews of two replicas, on kwok's nodes: memory, CPU, requests.

FLEET_CREWS: how many, 50 by default.
"""

import asyncio
import os
import time
from pathlib import Path

from bench.figures import Figure
from support import fleet as fleets
from support.fleet import Operator, Usage

COUNT, REPLICAS = int(os.environ.get("FLEET_CREWS", "50")), 2
IDLE, SETTLE, STEADY = 30.0, 75.0, 120.0
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
        await fleet.ready(COUNT, 300 + COUNT)
        took = time.monotonic() - begun
        begin = before, await fleet.operator.usage()
        await asyncio.sleep(SETTLE)
        steady = await _over(fleet.operator, STEADY)
        await fleet.delete()
    what = f"{COUNT} crews"
    return [
        Figure("operator, no crew: memory", idle[1].rss / 2**20, "MiB"),
        Figure("operator, no crew: CPU", _cpu(idle), "milli-cores"),
        Figure(f"{what}: all Ready after", took, "s"),
        Figure(f"{what}: writes until then, each", (begin[1].writes - begin[0].writes) / COUNT, ""),
        _aimed(f"{what}: CPU until then, each", 1000 * (begin[1].cpu - begin[0].cpu) / COUNT, "ms", 60),
        Figure(f"{what}: memory", steady[1].rss / 2**20, "MiB"),
        Figure(f"{what}: CPU at rest", _cpu(steady), "milli-cores"),
        _aimed(f"{what}: CPU at rest, each", _cpu(steady) / COUNT, "milli-cores", 0.2),
        _aimed(f"{what}: writes a minute", _each_minute(steady, "writes"), "", 0),
        _aimed(f"{what}: requests a minute", _each_minute(steady, "requests"), "", 0),
    ]


def _aimed(name: str, value: float, unit: str, most: float) -> Figure:
    return Figure(name, value, unit, aim=f"<= {most:g}", met=value <= most)


async def _over(operator: Operator, seconds: float) -> tuple[Usage, Usage]:
    before = await operator.usage()
    await asyncio.sleep(seconds)
    return before, await operator.usage()


def _cpu(over: tuple[Usage, Usage]) -> float:
    return 1000 * (over[1].cpu - over[0].cpu) / (over[1].at - over[0].at)


def _each_minute(over: tuple[Usage, Usage], what: str) -> float:
    return 60 * float(getattr(over[1], what) - getattr(over[0], what)) / (over[1].at - over[0].at)
