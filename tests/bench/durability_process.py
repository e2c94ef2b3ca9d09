"""Run by the server half's interpreter: kickoffs accepted and ended by a server's own queue, as JSON."""

import asyncio
import json
import sys
import time

from crew_server import redis_client
from crew_server.durability import Durability
from crew_server.queue import state
from crew_server.queue.queue import Queue
from crew_server.settings import Settings

PREFIX = "bench/crew"
DONE = state.completed({"t": "result", "output": "x", "memory": "ok"})


async def main(url: str, durability: str, writers: int, seconds: float, round_: int) -> None:
    """Prints the milliseconds of each acceptance with its end, and how many seconds all of them took."""
    settings = Settings(
        "bench", "crew", "r1", url, PREFIX, durability=durability, backend_deadline=10.0, queue_limit=100_000
    )
    client, waiting = redis_client.connect(settings), redis_client.connect(settings)
    queue = Queue(client, settings, Durability(waiting, settings))
    took: list[float] = []

    async def one(name: str) -> None:
        request = state.Request(name, f"of-{name}", {"city": "Rome"}, {}, 60, ordered=False)
        accepted = await queue.accept(request, None, 100_000, start=True)
        assert accepted.claim is not None
        applied, _ = await queue.finish(accepted.claim, DONE, "end", {}, gone=True)
        assert applied

    async def write(number: int, until: float) -> None:
        at = 0
        while time.perf_counter() < until:
            begun = time.perf_counter()
            await one(f"{round_}-{writers}-{number}-{at}")
            took.append((time.perf_counter() - begun) * 1000)
            at += 1

    await asyncio.gather(*(one(f"{round_}-{writers}-{number}-warm") for number in range(writers)))
    begun = time.perf_counter()
    await asyncio.gather(*(write(number, begun + seconds) for number in range(writers)))
    print(json.dumps({"milliseconds": took, "seconds": time.perf_counter() - begun}))
    await client.aclose()
    await waiting.aclose()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])))
