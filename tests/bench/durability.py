"""What it costs to wait for a disk or a replica: kickoffs accepted and ended, and memories saved, beside none of it.

All on the disk that the machine's temporary files are on, with the replica beside its primary: a network adds its round
trip, another disk its own time for an fsync.
"""

import contextlib
import json
import multiprocessing
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Figure, median, percentile
from bench.records import PREFIX, REDIS_OPTIONS, record
from crew_runtime.contract.durability import BUFFERED, FSYNC, REPLICATED
from crew_runtime.crewai.state.memory_storage import RedisStorage
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.settings import Settings
from support.redis_server import start_redis

SERVER = Path(__file__).parents[2] / ".venv/bin/python"
PROCESS = Path(__file__).with_name("durability_process.py")
WRITERS = (1, 16)
SECONDS = 1.0
ROUNDS = 4
"""Each way is measured so often, in turn: a machine that is busy for a while is so for all of them."""
DEADLINE = 10.0
WAYS = ((BUFFERED, "everysec"), (BUFFERED, "always"), (FSYNC, "everysec"), (FSYNC, "always"), (REPLICATED, "everysec"))
"""Durability, and the `appendfsync` below it; the first is the rival of the others."""
Way = tuple[str, str]


@dataclass
class Times:
    """Of one way, over all rounds."""

    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    """That all of them took together."""

    @property
    def rate(self) -> float:
        """A second."""
        return len(self.milliseconds) / self.seconds

    def add(self, milliseconds: Sequence[float], seconds: float) -> None:
        """Another round's."""
        self.milliseconds += milliseconds
        self.seconds += seconds


def run(folder: Path) -> list[Figure]:
    """Every figure; two to three minutes."""
    found: dict[tuple[str, int, Way], Times] = {}
    with contextlib.ExitStack() as held:
        urls = {way: held.enter_context(_redis(folder / "-".join(way), way)) for way in WAYS}
        for number in range(ROUNDS):
            for writers in WRITERS:
                for way in WAYS:
                    for what, measure in MEASURES.items():
                        times = found.setdefault((what, writers, way), Times())
                        times.add(*measure(urls[way], way[0], writers, number))
    return list(_figures(found))


def _figures(found: dict[tuple[str, int, Way], Times]) -> Iterator[Figure]:
    for what in MEASURES:
        for writers in WRITERS:
            none = found[what, writers, WAYS[0]]
            for way in WAYS:
                times, title = found[what, writers, way], f"{what}, {writers} at once, {_name(way)}"
                for part, value, unit, rival in (
                    ("p50", median(times.milliseconds), "ms", median(none.milliseconds)),
                    ("p99", percentile(times.milliseconds, 0.99), "ms", percentile(none.milliseconds, 0.99)),
                    ("rate", times.rate, "/s", none.rate),
                ):
                    name = "" if times is none else _name(WAYS[0])
                    yield Figure(f"{title}: {part}", value, unit, rival if name else None, name)


def _name(way: Way) -> str:
    return f"{way[0]}, {way[1]}"


@contextlib.contextmanager
def _redis(folder: Path, way: Way) -> Iterator[str]:
    durability, fsync = way
    options = (*REDIS_OPTIONS, "--appendfsync", fsync)
    with contextlib.ExitStack() as held:
        primary = held.enter_context(
            start_redis(folder / "primary", with_search=False, aof=True, options=options, least=False)
        )
        if durability == REPLICATED:
            follower = start_redis(folder / "replica", with_search=False, aof=True, options=options, least=False)
            held.enter_context(follower).follow(primary)
        yield primary.url


def _kickoffs(url: str, durability: str, writers: int, number: int) -> tuple[list[float], float]:
    """Milliseconds of each, and seconds of all."""
    command = [str(SERVER), str(PROCESS), url, durability, str(writers), str(SECONDS), str(number)]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return told["milliseconds"], told["seconds"]


def _saves(url: str, durability: str, writers: int, number: int) -> tuple[list[float], float]:
    """The same, by a process each, as slots are."""
    forking = multiprocessing.get_context("fork")
    ready, answers = forking.Barrier(writers + 1), forking.Queue()

    def work(seed: int) -> None:
        settings = Settings(url, PREFIX, backend_deadline=DEADLINE, durability=durability)
        storage = RedisStorage(settings, Guard(Connections(settings)))
        new, took = [record(seed * 100_000 + at) for at in range(50)], []
        new[0].id = new[0].content = f"{number}-{writers}-{seed}-warm"
        storage.save([new[0]])
        ready.wait()
        ends = time.perf_counter() + SECONDS
        while (begun := time.perf_counter()) < ends:
            one = new[len(took) % len(new)]
            one.id = one.content = f"{number}-{writers}-{seed}-{len(took)}"
            storage.save([one])
            took.append((time.perf_counter() - begun) * 1000)
        answers.put(took)

    processes = [forking.Process(target=work, args=(seed,)) for seed in range(writers)]
    for one in processes:
        one.start()
    ready.wait()
    begun = time.perf_counter()
    milliseconds = [one for _ in processes for one in answers.get()]
    seconds = time.perf_counter() - begun
    for one in processes:
        one.join()
    return milliseconds, seconds


MEASURES = {"kickoff accepted and ended": _kickoffs, "memory saved": _saves}
