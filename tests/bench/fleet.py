"""The operator's cost, idle and with crews of two replicas, on kwok's nodes: memory, CPU, requests; and what
it does when a tenth of them lose their Redis at once.

FLEET_CREWS: how many, 50 by default. Needs nft, and the right to use it, for the failures.
"""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure
from crew_operator.api import names
from support import fleet as fleets
from support.fleet import Operator, Usage
from support.waiting import eventually

COUNT, REPLICAS = int(os.environ.get("FLEET_CREWS", "50")), 2
IDLE, SETTLE, STEADY = 30.0, 75.0, 120.0
"""Seconds."""
GONE = {"bench": "gone"}
"""Label of the crews that lose their Redis."""
WELL = 20
"""Crews beside them that somebody changes meanwhile."""
FAILURES = {"hangs": "drop", "refuses": "reject with tcp reset"}
TOLD, DELAYED = 30, 2
"""Seconds until all is told, and by which another crew may wait longer for it."""


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
        lost = [figure for name, how in FAILURES.items() for figure in await _failure(fleet, name, how)]
        await fleet.delete()
    what = f"{COUNT} crews"
    return [
        Figure("operator, no crew: memory", idle[1].rss / 2**20, "MiB"),
        Figure("operator, no crew: CPU", _cpu(idle), "milli-cores"),
        _aimed(f"{what}: all Ready after", took, "s", 120),
        Figure(f"{what}: writes until then, each", (begin[1].writes - begin[0].writes) / COUNT, ""),
        _aimed(f"{what}: CPU until then, each", 1000 * (begin[1].cpu - begin[0].cpu) / COUNT, "ms", 60),
        _aimed(f"{what}: memory", steady[1].rss / 2**20, "MiB", 256),
        _aimed(f"{what}: CPU at rest", _cpu(steady), "milli-cores", 400),
        _aimed(f"{what}: CPU at rest, each", _cpu(steady) / COUNT, "milli-cores", 0.2),
        _aimed(f"{what}: writes a minute", _each_minute(steady, "writes"), "", 0),
        _aimed(f"{what}: requests a minute", _each_minute(steady, "requests"), "", 0),
        *lost,
    ]


async def _failure(fleet: fleets.Fleet, name: str, how: str) -> list[Figure]:
    """A tenth loses its Redis at once; meanwhile somebody changes others."""
    crews = sorted(one["metadata"]["name"] for one in await fleet.crews())
    gone, well = crews[::10][: max(1, COUNT // 10)], crews[5::10][:WELL]
    for one in gone:
        await fleet.kube.merge(names.KIND, fleet.namespace, one, {"metadata": {"labels": GONE}})
    usual = await _changed(fleet, well, "31m" if name == "hangs" else "33m")
    await fleet.ready(COUNT, 300)
    async with fleet.without_redis(gone, how):
        begun = time.monotonic()
        meanwhile, told = await asyncio.gather(
            _changed(fleet, well, "32m" if name == "hangs" else "34m"), _told(fleet, len(gone), begun)
        )
    await fleet.ready(COUNT, 300)
    healed = time.monotonic() - begun - told
    what = f"Redis of {len(gone)} of {COUNT} crews {name}"
    return [
        _aimed(f"{what}: told of all after", told + fleets.NOTICED, "s", TOLD),
        Figure(f"{what}: change of another crew told after, the slowest of {len(well)}", max(meanwhile), "s",
               max(usual), "without the failure", f"<= {DELAYED} s later", max(meanwhile) <= max(usual) + DELAYED),
        Figure(f"{what}: all Ready again, after it was back", healed, "s"),
    ]  # fmt: skip


async def _changed(fleet: fleets.Fleet, crews: Sequence[str], timeout: str) -> list[float]:
    """Seconds until each of these crews' status speaks of a change, made one after the other."""
    return [await fleet.taken_up(one, {"crew": {"kickoffTimeout": timeout}}) for one in crews]


async def _told(fleet: fleets.Fleet, count: int, begun: float) -> float:
    """Seconds until the status of each says that its Redis is not there."""

    async def look() -> bool:
        await asyncio.sleep(0.5)
        return sum(_lost(one) for one in await fleet.crews(GONE)) == count

    await eventually(look, f"{count} crews tell that their Redis is gone", 300)
    return time.monotonic() - begun


def _lost(crew: Mapping[str, Any]) -> bool:
    conditions = (crew.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "MemoryReady" and one["status"] != "True" for one in conditions)


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
