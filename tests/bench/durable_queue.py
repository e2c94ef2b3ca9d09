"""The queue of kickoffs alone: real servers, a real Redis with AOF, and slots whose kickoffs do nothing.

Empty kickoffs per second by replicas, the time from acceptance to start, and what idle replicas ask of Redis. Run by
the crew's interpreter; the slots are those of `support.scripted_worker`, without CrewAI.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis

from bench.figures import Figure, median, percentile
from crew_runtime.contract import keys
from support.redis_server import RedisServer, start_redis
from support.replicas import Replica

ROOT = Path(__file__).parents[2]
PREFIX = "test/crew"
SLOTS = 4
KICKOFFS = 400
CLIENTS = 16
IDLE_SECONDS = 6.0
REQUESTS = ("evalsha", "xread", "ping", "set")
"""Commands that an idle server sends; others in the statistics are what its scripts do."""


def run(folder: Path) -> list[Figure]:
    """All figures about the queue."""
    with start_redis(folder / "redis", aof=True, with_search=False) as server:
        return asyncio.run(_measure(server))


async def _measure(server: RedisServer) -> list[Figure]:
    figures, client = [], server.client(decode_responses=True)
    for count in (1, 2, 4):
        client.flushall()
        async with _replicas(server.url, count) as replicas:
            if count == 1:
                figures += await _starts(replicas[0], client)
                figures.append(await _idle(client))
            rate = await _rate(replicas)
            figures.append(Figure(f"empty kickoffs a second, {count} x {SLOTS} slots", rate, "1/s"))
    return figures


async def _starts(replica: Replica, client: "redis.Redis[str]") -> list[Figure]:
    """One at a time, in a replica that is idle."""
    waited, whole = [], []
    for _ in range(100):
        begun = time.perf_counter()
        answer = (await replica.api.post("/kickoff?wait=10", json={"inputs": {}})).json()
        whole.append((time.perf_counter() - begun) * 1000)
        if answer.get("status") != "completed":
            raise RuntimeError(f"a kickoff of the bench ended as {answer}")
        run = client.hmget(keys.run(PREFIX, answer["kickoff_id"]), "created_at", "started_at")
        waited.append(float(run[1]) - float(run[0]))
    late = percentile(waited, 0.95)
    return [
        Figure("acceptance to start, idle replica, p50", median(waited), "ms"),
        Figure("acceptance to start, idle replica, p95", late, "ms", aim="<= 10 ms", met=late <= 10),
        Figure("empty kickoff over HTTP with ?wait, p50", median(whole), "ms"),
    ]


async def _idle(client: "redis.Redis[str]") -> Figure:
    before = _requests(client)
    await asyncio.sleep(IDLE_SECONDS)
    rate = (_requests(client) - before) / IDLE_SECONDS
    return Figure("requests to Redis of an idle replica", rate, "1/s", aim="<= 5 /s", met=rate <= 5)


def _requests(client: "redis.Redis[str]") -> int:
    stats: Mapping[str, Any] = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in REQUESTS)


async def _rate(replicas: list[Replica]) -> float:
    """Kickoffs a second, accepted by all replicas in turn, until the last has ended."""
    numbers = iter(range(KICKOFFS))

    async def ask() -> None:
        for number in numbers:
            answer = await replicas[number % len(replicas)].api.post("/kickoff?wait=60", json={"inputs": {}})
            if answer.json().get("status") != "completed":
                raise RuntimeError(f"a kickoff of the bench ended as {answer.text}")

    begun = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    return KICKOFFS / (time.perf_counter() - begun)


@asynccontextmanager
async def _replicas(url: str, count: int) -> AsyncIterator[list[Replica]]:
    made = [Replica(url, f"bench-{number}", CREWOPS_CONCURRENCY=str(SLOTS)) for number in range(count)]
    try:
        for one in made:
            one.server_command = (str(ROOT / ".venv/bin/python"), "-m", "crew_server")
            await one.start()
        yield made
    finally:
        for one in made:
            await one.close()
