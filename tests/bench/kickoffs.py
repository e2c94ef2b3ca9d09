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

from bench.figures import Figure, percentile
from bench.replica import CREWS, Replica, environment, rate, replica
from support.redis_server import start_redis

ROUNDS = 15
"""Kickoffs a client for a rate."""
SINGLE = 100
"""Kickoffs one after the other, for a median and a 99th percentile."""
APART = 1.0
"""Seconds between two kickoffs where a single one's time is asked: callers leave time for the next process."""
SLOW_LLM = 1.0
"""Seconds that a call of an LLM takes as a rule."""
AT_ONCE = (1, 4, 16)
REPLICAS = (1, 2, 4)
LINEAR = 0.9
FULL = 0.9
"""Share of the cores' time from which they count as full."""


def run(folder: Path) -> list[Figure]:
    """All figures about kickoffs; `folder` takes logs and the sockets."""
    with start_redis(folder / "redis") as redis:
        figures = list(_overhead(folder, redis.url))
        for at_once in AT_ONCE:
            threads = _one_process(redis.url, "remembering", "threads", at_once)
            with replica(folder / f"remembering-{at_once}", redis.url, "remembering", at_once) as one:
                through, private = one.measured(lambda one=one, at_once=at_once: rate(one.kickoff, at_once, ROUNDS))
            figures += _throughput(at_once, through, threads["rate"], private)
        figures += [figure for crew in ("plain", "remembering") for figure in _scaling(folder, redis.url, crew)]
        figures.append(_slow_llm(folder, redis.url))
        figures += _local_embedder(folder, redis.url)
        figures += _cold_start(folder, redis.url)
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


def _cold_start(folder: Path, url: str) -> Iterator[Figure]:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import crewai"], env=environment(url, "plain"), check=True)
    bare = time.perf_counter() - begun
    begun = time.perf_counter()
    with replica(folder / "cold", url, "plain", 1) as one:
        ready = time.perf_counter() - begun
        rehearsed = one.rehearsal_seconds()
        spare = percentile([one.spare_cpu_seconds() for _ in range(ROUNDS)], 0.5) * 1000
    yield Figure("cold start of a replica until ready", ready, "s", bare, "import crewai",
                 "<= import crewai + 1 s", ready <= bare + 1)  # fmt: skip
    yield Figure("the rehearsal's share of a cold start", rehearsed, "s", None, "", "<= 1 s", rehearsed <= 1)
    yield Figure("CPU of a spare process until it is ready", spare, "ms", None, "", "<= 25 ms", spare <= 25)


def _cpu() -> tuple[int, int]:
    """Ticks of all cores since boot: all of them, and the idle ones."""
    ticks = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(ticks[:8]), ticks[3] + ticks[4]


def _busy(before: tuple[int, int]) -> float:
    """Share of the cores' time that was used since."""
    total, idle = (now - then for now, then in zip(_cpu(), before, strict=True))
    return 1 - idle / total


def _overhead(folder: Path, url: str) -> Iterator[Figure]:
    """Fresh processes, beside a warm one that serves all."""
    bare = _one_process(url, "plain", "bare", 1, SINGLE)
    with replica(folder / "plain", url, "plain", 1) as one:
        one.kickoff()
        before = one.cpu_seconds()
        seconds = _apart(one, SINGLE, APART / 4)
        cpu = (one.cpu_seconds() - before) / SINGLE
    for name, share, key, aim in (("p50", 0.5, "median", 10), ("p99", 0.99, "p99", 25)):
        over = (percentile(seconds, share) - bare[key]) * 1000
        yield Figure(f"overhead of a single kickoff, plain crew, {name}", over, "ms", bare[key] * 1000,
                     "bare crew.kickoff()", f"<= {aim} ms over bare", over <= aim)  # fmt: skip
    yield Figure("CPU of a kickoff with its process, plain crew", cpu * 1000, "ms", bare["cpu"] * 1000, "bare")


def _slow_llm(folder: Path, url: str) -> Figure:
    """What a fresh process for each kickoff costs where the LLM takes its time."""
    rates = {}
    for processes in ("PerKickoff", "Shared"):
        more = {"CREWOPS_PROCESSES": processes, "BENCH_LLM_SECONDS": str(SLOW_LLM)}
        with replica(folder / f"slow-{processes}", url, "remembering", 16, more) as one:
            rates[processes] = rate(one.kickoff, 16, ROUNDS)
    fresh, shared = rates["PerKickoff"], rates["Shared"]
    return Figure("kickoffs with memory, 16 at once, an LLM of 1 s", fresh, "1/s", shared, "processes: Shared",
                  ">= 0.95 x", fresh >= 0.95 * shared)  # fmt: skip


def _local_embedder(folder: Path, url: str) -> Iterator[Figure]:
    """The example crew, whose embedder has a model to load."""
    bare = _one_process(url, "concierge", "bare", 1)["median"]
    with replica(folder / "concierge", url, "concierge", 1) as one:
        single = percentile(_apart(one, ROUNDS, APART), 0.5)
        in_a_row = percentile([one.kickoff() for _ in range(ROUNDS)], 0.5)
    yield Figure("a single kickoff of the concierge, local embedder", single, "s", bare, "bare, its model loaded",
                 "<= 0.3 s over bare", single <= bare + 0.3)  # fmt: skip
    yield Figure("the same without a pause, one slot", in_a_row, "s", bare, "bare, its model loaded")


def _apart(one: Replica, count: int, seconds: float) -> list[float]:
    """What each kickoff took, with a pause before each."""
    taken = []
    for _ in range(count):
        time.sleep(seconds)
        taken.append(one.kickoff())
    return taken


def _throughput(at_once: int, rate: float, threads: float, private: float) -> Iterator[Figure]:
    aim, met = (">= 3 x the thread pool", rate >= 3 * threads) if at_once == 16 else ("", None)
    yield Figure(f"kickoffs with memory, {at_once} at once", rate, "1/s", threads, "thread pool, one process", aim, met)
    yield Figure(f"private memory of a slot, {at_once} at once", private, "MB", None, "", "<= 45 MB", private <= 45)


def _one_process(redis_url: str, crew: str, how: str, at_once: int, rounds: int = ROUNDS) -> dict[str, float]:
    """The rival, in a fresh process: bare kickoffs one after the other, or a pool of threads."""
    command = [sys.executable, Path(__file__).parent / "rival_process.py", crew, how, str(at_once), str(rounds)]
    done = subprocess.run(command, env=environment(redis_url, crew), cwd=CREWS, check=True, capture_output=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer
