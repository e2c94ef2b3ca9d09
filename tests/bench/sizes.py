"""What memories take and cost as they grow: bytes a record, search, and how long Redis needs to be back.

10,000 and 100,000 records of 384 and 3,072 dimensions (CrewAI's default embedder has 1,536, its larger sibling 3,072),
kept as Float32 and as Float16, beside LanceDB.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Figure, median
from bench.records import REDIS_OPTIONS, connected, fill, lance_storage, milliseconds, vector
from crew_runtime.crewai.state.memory_storage import RedisStorage
from support.redis_server import RedisServer, start_redis

SIZES = ((10_000, 384), (100_000, 384), (10_000, 3_072), (100_000, 3_072))
TYPES = ("FLOAT32", "FLOAT16")
CALLS = 60
LANCE_CALLS = 15
AIM = 3.5
"""kB a record of 384 dimensions kept as Float16."""


def run(folder: Path) -> list[Figure]:
    """Every figure; about eight minutes on two cores, and 6 GB of memory."""
    return [figure for size, dimension in SIZES for figure in _of(folder / f"{size}-{dimension}", size, dimension)]


def _of(folder: Path, size: int, dimension: int) -> Iterator[Figure]:
    what = f"{size:,} x {dimension}"
    lance = lance_storage(folder / "lance")
    fill(lance.save, size, dimension)
    theirs = _search(lance.search, dimension, LANCE_CALLS)
    for kept in TYPES:
        with (
            start_redis(folder / kept, with_search=True, aof=True, options=REDIS_OPTIONS, least=False) as server,
            connected(server.url, vector_type=kept) as storage,
        ):
            empty = _used(server)
            fill(storage.save, size, dimension)
            yield _memory(what, kept, (_used(server) - empty) / size / 1000, dimension)
            yield Figure(
                f"search p50, {what}, {kept}", _search(storage.search, dimension, CALLS), "ms", theirs, "LanceDB"
            )
            if size == max(one for one, _ in SIZES):
                yield _restart(server, storage, what, kept, dimension)


def _memory(what: str, kept: str, kilobytes: float, dimension: int) -> Figure:
    held = (dimension, kept) == (384, "FLOAT16")
    aim = (f"<= {AIM} kB", kilobytes <= AIM) if held else ("", None)
    bare = dimension * (4 if kept == "FLOAT32" else 2) / 1000
    return Figure(f"memory a record, {what}, {kept}", kilobytes, "kB", bare, "its vector alone", *aim)


def _restart(server: RedisServer, storage: RedisStorage, what: str, kept: str, dimension: int) -> Figure:
    """From the start of the process until a search has its whole answer."""
    query = vector(1, dimension).tolist()
    server.kill()
    begun = time.perf_counter()
    server.start(patience=300)
    found = storage.search(query)
    if len(found) != 10:
        raise RuntimeError(f"after the restart a search found {len(found)} of 10")
    return Figure(f"Redis restart until a search is whole, {what}, {kept}", time.perf_counter() - begun, "s")


def _search(search: Callable[..., object], dimension: int, calls: int) -> float:
    queries = [vector(seed, dimension).tolist() for seed in range(1_000_000, 1_000_000 + calls + 3)]
    return median([milliseconds(search, query) for query in queries][3:])


def _used(server: RedisServer) -> int:
    client = server.client()
    return int(client.info("memory")["used_memory"])
