"""Kickoffs through the runtime (HTTP, server, slot) beside `crew.kickoff()` and a thread pool in one process.

Real Redis, the real server and worker as processes, the crews of `crews/bench_crew.py`. Run by the crew's interpreter.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

from bench.figures import Figure, median
from bench.replica import CREWS, environment, rate, replica
from support.redis_server import start_redis

ROUNDS = 15
"""Kickoffs one after the other for a median."""
AT_ONCE = (1, 4, 16)
REPLICAS = (1, 2, 4)
LINEAR = 0.9
FULL = 0.9
"""Share of the cores' time from which they count as full."""


def run(folder: Path) -> list[Figure]:
    """All figures about kickoffs; `folder` takes logs and the sockets."""
    with start_redis(folder / "redis") as redis:
        bare = _one_process(redis.url, "plain", "bare", 1)
        with replica(folder / "plain", redis.url, "plain", 1) as one:
            through = median([one.kickoff() for _ in range(ROUNDS)])
        figures = [_overhead(through, bare["median"])]
        for at_once in AT_ONCE:
            threads = _one_process(redis.url, "remembering", "threads", at_once)
            with replica(folder / f"remembering-{at_once}", redis.url, "remembering", at_once) as one:
                through = rate(one.kickoff, at_once, ROUNDS)
                private = one.private_per_slot()
            figures += _throughput(at_once, through, threads["rate"], private)
        figures += [figure for crew in ("plain", "remembering") for figure in _scaling(folder, redis.url, crew)]
        figures.append(_cold_start(folder, redis.url))
    return figures


def _scaling(folder: Path, url: str, crew: str) -> Iterator[Figure]:
    """One kickoff at a time in each replica: what a replica more adds."""
    first = 0.0
    for count in REPLICAS:
        with ExitStack() as stack:
            made = [
                stack.enter_context(replica(folder / f"{crew}-{at}-of-{count}", url, crew, 1)) for at in range(count)
            ]
            turns = cycle(made)
            before = _cpu()
            measured = rate(lambda turns=turns: next(turns).kickoff(), count, ROUNDS * count)
            busy = _busy(before)
        first = first or measured
        share = measured / first / count
        aim = f">= {LINEAR} x linear or cores full (is {share:.2f}, {busy:.0%} busy)"
        held = ("", None) if count == 1 else (aim, share >= LINEAR or busy >= FULL)
        name = f"kickoffs, {crew} crew, one slot x {count}"
        yield Figure(name, measured, "1/s", first * count, f"{count} x one replica", *held)


def _cold_start(folder: Path, url: str) -> Figure:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import crewai"], env=environment(url, "plain"), check=True)
    bare = time.perf_counter() - begun
    begun = time.perf_counter()
    with replica(folder / "cold", url, "plain", 1):
        ready = time.perf_counter() - begun
    return Figure("cold start of a replica until ready", ready, "s", bare, "import crewai",
                  "<= import crewai + 1 s", ready <= bare + 1)  # fmt: skip


def _cpu() -> tuple[int, int]:
    """Ticks of all cores since boot: all of them, and the idle ones."""
    ticks = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(ticks[:8]), ticks[3] + ticks[4]


def _busy(before: tuple[int, int]) -> float:
    """Share of the cores' time that was used since."""
    total, idle = (now - then for now, then in zip(_cpu(), before, strict=True))
    return 1 - idle / total


def _overhead(through: float, bare: float) -> Figure:
    over = (through - bare) * 1000
    return Figure("kickoff overhead of the runtime, plain crew", over, "ms", bare * 1000, "bare crew.kickoff()",
                  "<= 10 ms over bare", over <= 10)  # fmt: skip


def _throughput(at_once: int, rate: float, threads: float, private: float) -> Iterator[Figure]:
    aim, met = (">= 3 x the thread pool", rate >= 3 * threads) if at_once == 16 else ("", None)
    yield Figure(f"kickoffs with memory, {at_once} at once", rate, "1/s", threads, "thread pool, one process", aim, met)
    yield Figure(f"private memory of a slot, {at_once} at once", private, "MB", None, "", "<= 45 MB", private <= 45)


def _one_process(redis_url: str, crew: str, how: str, at_once: int) -> dict[str, float]:
    """The rival, in a fresh process: bare kickoffs one after the other, or a pool of threads."""
    command = [sys.executable, Path(__file__).parent / "rival_process.py", crew, how, str(at_once), str(ROUNDS)]
    done = subprocess.run(command, env=environment(redis_url, crew), cwd=CREWS, check=True, capture_output=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer
