"""Save and search: ours in both modes, beside CrewAI's LanceDB storage and the bare commands of Redis."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import redis

from bench.figures import Figure, median, percentile
from bench.records import (
    MODES,
    SCOPES,
    connected,
    fill,
    lance_storage,
    milliseconds,
    record,
    redis_storage,
    server,
    vector,
)
from crew_runtime.crewai.state.memory_storage import RedisStorage
from crew_runtime.memory.records import tag
from crew_runtime.sessions import binding

SIZES = (1_000, 10_000)
LARGE = 20_000
"""Memories of one session."""
CALLS = 300
LANCE_CALLS = 60
"""It takes ten times as long."""
SECONDS = 2.0
"""Of saving by several processes."""
PROCESSES = (1, 4, 16)
Save = Callable[[Any], object]


@dataclass(frozen=True)
class Times:
    """Milliseconds of each call."""

    save: Sequence[float]
    search: Sequence[float]
    """Of all records."""
    narrow: Sequence[float]
    """Of one scope of SCOPES."""


def run(folder: Path) -> list[Figure]:
    """Every figure; about two minutes on two cores."""
    rates = dict(_rates(folder))
    calls = [figure for size in SIZES for figure in _calls(folder / str(size), size)]
    return [*calls, *_first_uses(folder), *_rate_figures(rates)]


# -- the first use of a large session ---------------------------------------------------------------------------------


def _first_uses(folder: Path) -> Iterator[Figure]:
    """How long a kickoff's first look at its session keeps Redis from everybody else."""
    for mode in MODES:
        with server(folder / f"session-{mode}", mode) as url:
            with connected(url, session_ttl=3600.0) as storage, binding.bind("guest"):
                fill(storage.save, LARGE)
            client = redis.Redis.from_url(url, protocol=2)
            client.config_set("slowlog-log-slower-than", 0)
            client.slowlog_reset()
            with connected(url, session_ttl=3600.0) as storage, binding.bind("guest"):
                storage.get_record("none")
            blocked = max(one["duration"] for one in client.slowlog_get(100) if one["command"].startswith(b"EVALSHA"))
        title = f"first use of a session of {LARGE:,} memories blocks Redis, {mode}"
        yield Figure(title, blocked / 1000, "ms", None, "", "<= 5 ms", blocked <= 5000)


# -- one call after the other -----------------------------------------------------------------------------------------


def _calls(folder: Path, size: int) -> Iterator[Figure]:
    times: dict[str, Times] = {}
    for mode in MODES:
        with redis_storage(folder / mode, mode) as storage:
            fill(storage.save, size)
            times[mode] = _time(lambda one, to=storage: to.save([one]), storage.search)
            if mode == "index":
                times["raw"] = _raw(storage)
    times["lance"] = _lance(folder / "lance", size)
    held = size == max(SIZES)
    for mode in MODES:
        yield from _figures(mode, size, times, aims=held and mode == "index")


def _figures(mode: str, size: int, times: dict[str, Times], *, aims: bool) -> Iterator[Figure]:
    where, ours, raw, lance = f"{mode}, {size:,}", times[mode], times["raw"], times["lance"]
    save, search = median(ours.save), median(ours.search)
    yield Figure(f"save p50, {where}", save, "ms", median(raw.save), "raw HSET", *_held(aims, save, 0.35, "ms"))
    yield Figure(f"save p99, {where}", percentile(ours.save, 0.99), "ms", percentile(raw.save, 0.99), "raw HSET")
    most = 1.5 * median(raw.search)
    yield Figure(
        f"search p50, {where}", search, "ms", median(raw.search), "raw FT.SEARCH",
        *(("<= 1.5 x raw", search <= most) if aims else ("", None)),
    )  # fmt: skip
    yield Figure(
        f"search p99, {where}", percentile(ours.search, 0.99), "ms", percentile(raw.search, 0.99), "raw FT.SEARCH"
    )
    yield Figure(f"search of a 2% scope p50, {where}", median(ours.narrow), "ms", median(raw.narrow), "raw FT.SEARCH")
    faster = median(lance.search) / search
    yield Figure(
        f"search p50, {where}", search, "ms", median(lance.search), "LanceDB",
        *((f">= 15 x faster (is {faster:.0f})", faster >= 15) if aims else ("", None)),
    )  # fmt: skip
    yield Figure(f"save p50, {where}", save, "ms", median(lance.save), "LanceDB")


def _held(aims: bool, value: float, most: float, unit: str) -> tuple[str, bool | None]:
    return (f"<= {most:g} {unit}", value <= most) if aims else ("", None)


def _time(save: Save, search: Callable[..., Any], calls: int = CALLS) -> Times:
    queries = [vector(seed).tolist() for seed in range(1_000_000, 1_000_000 + calls)]
    new = [record(seed) for seed in range(2_000_000, 2_000_000 + calls)]
    for query, one in zip(queries[:20], (record(seed) for seed in range(3_000_000, 3_000_020)), strict=True):
        save(one)
        search(query)
    saving = [milliseconds(save, one) for one in new]
    searching = [milliseconds(search, query, None, None, None, 10) for query in queries]
    scopes = [f"/crew/bench/s{at % SCOPES}" for at in range(len(queries))]
    narrow = [milliseconds(search, query, scope, None, None, 10) for query, scope in zip(queries, scopes, strict=True)]
    return Times(saving, searching, narrow)


def _raw(storage: RedisStorage) -> Times:
    """The bare commands: the same query over the same index, its answer left as the bytes that redis-py gives."""
    store = storage._store
    index, client = f"{store.root}ix", storage._guard._connections.redis
    scopes = [f"/c/crew/bench/s{at}" for at in range(SCOPES)]

    def save(one: Any) -> object:
        packed = np.asarray(one.embedding, np.float32).tobytes()
        fields = {"d": one.content, "scope": one.scope, "anc": one.scope, "ts": "1", "v": packed}
        return client.hset(f"raw:{one.id}", mapping=fields)

    def search(query: list[float], scope: str | None = None, *_: object) -> object:
        text = f"(@anc:{{{tag(scopes[int(scope.rpartition('/s')[2])] if scope else '/c')}}})"
        return client.execute_command(
            "FT.SEARCH", index, f"{text}=>[KNN 10 @v $v AS distance]", "PARAMS", "2", "v",
            np.asarray(query, np.float32).tobytes(), "RETURN", "3", "distance", "d", "la", "SORTBY", "distance",
            "LIMIT", "0", "10", "DIALECT", "2",
        )  # fmt: skip

    return _time(save, search)


def _lance(folder: Path, size: int) -> Times:
    storage = lance_storage(folder)
    fill(storage.save, size)
    return _time(lambda one: storage.save([one]), storage.search, LANCE_CALLS)


# -- several processes ------------------------------------------------------------------------------------------------


def _rates(folder: Path) -> Iterator[tuple[tuple[str, int], float]]:
    for mode in MODES:
        with redis_storage(folder / f"rate-{mode}", mode) as storage:
            storage.save([record(0)])
            storage._guard._connections.close()
            for number in PROCESSES:
                yield (mode, number), _rate(number, lambda to=storage: lambda one: to.save([one]))
                storage.reset()
                storage._guard._connections.close()
    with server(folder / "rate-raw", "index") as url:
        for number in PROCESSES:
            yield ("raw", number), _rate(number, lambda: _raw_saver(url))
    for number in PROCESSES:
        yield ("lance", number), _rate(number, lambda number=number: _lance_saver(folder / f"lance-{number}"))


def _raw_saver(url: str) -> Save:
    client = redis.Redis.from_url(url, protocol=2)

    def save(one: Any) -> object:
        packed = np.asarray(one.embedding, np.float32).tobytes()
        return client.hset(f"raw:{one.id}", mapping={"d": one.content, "scope": one.scope, "ts": "1", "v": packed})

    return save


def _lance_saver(folder: Path) -> Save:
    storage = lance_storage(folder)
    return lambda one: storage.save([one])


def _rate(number: int, make: Callable[[], Save]) -> float:
    """Saves a second of that many processes at once."""
    forking = multiprocessing.get_context("fork")
    ready, counts = forking.Barrier(number + 1), forking.Queue()

    def work(seed: int) -> None:
        save = make()
        new = [record(seed * 100_000 + at) for at in range(200)]
        save(new[0])
        ready.wait()
        done, ends = 0, time.perf_counter() + SECONDS
        while time.perf_counter() < ends:
            one = new[done % len(new)]
            # Another content too: what was said just now is not saved a second time.
            one.id = one.content = f"{seed}-{done}"
            save(one)
            done += 1
        counts.put(done)

    processes = [forking.Process(target=work, args=(seed,)) for seed in range(number)]
    for one in processes:
        one.start()
    ready.wait()
    begun = time.perf_counter()
    total = sum(counts.get() for _ in processes)
    seconds = time.perf_counter() - begun
    for one in processes:
        one.join()
    return total / seconds


def _rate_figures(rates: dict[tuple[str, int], float]) -> Iterator[Figure]:
    for mode in MODES:
        for number in PROCESSES:
            rate = rates[mode, number]
            aim = (">= 8,000 /s", rate >= 8_000) if (mode, number) == ("index", 16) else ("", None)
            name = f"saves a second, {number} processes, {mode}"
            yield Figure(name, rate, "/s", rates["raw", number], "raw HSET", *aim)
            yield Figure(name, rate, "/s", rates["lance", number], "LanceDB")
