"""`remember` and `recall` through CrewAI's own Memory: ours beside LanceDB and `crewai-memory-postgres`.

Each way in a process of its own, with an LLM and an embedder that answer at once: what is left is CrewAI's flow and the
storage. Half of our time here is CrewAI's.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.figures import Figure, median
from bench.records import server

SIZES = (10_000,)
RIVALS = {"lance": "LanceDB", "postgres": "crewai-memory-postgres"}
CALLS = {"remember": "remember", "shallow": "recall, shallow", "deep": "recall, deep"}
AIM = 5
TESTS = Path(__file__).parents[1]
Times = Mapping[str, Sequence[float]]


def run(folder: Path) -> list[Figure]:
    """Every figure; about three minutes on two cores."""
    return [figure for size in SIZES for figure in _figures(folder / str(size), size)]


def _figures(folder: Path, size: int) -> Iterator[Figure]:
    ours: dict[str, Times] = {}
    for mode in ("index", "plain"):
        with server(folder / mode, mode) as url:
            ours[mode] = _measure("redis", size, folder / mode, url)
    rivals = {name: _measure(name, size, folder / name) for name in RIVALS}
    for call, title in CALLS.items():
        for mode, times in ours.items():
            for name, others in rivals.items():
                value, other = median(times[call]), median(others[call])
                held = name == "lance" and size == max(SIZES) and mode == "index" and call != "remember"
                faster = other / value
                aim = (f">= {AIM} x faster (is {faster:.1f})", faster >= AIM) if held else ("", None)
                yield Figure(f"{title} p50, {mode}, {size:,}", value, "ms", other, RIVALS[name], *aim)


def _measure(way: str, size: int, folder: Path, url: str = "") -> Times:
    command = [sys.executable, "-m", "bench.recall_process", way, str(size), str(folder / "data"), url]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "HOME": str(folder)}
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the bench of {way} failed:\n{done.stderr[-3000:]}")
    answer: Times = json.loads(done.stdout.splitlines()[-1])
    return answer
