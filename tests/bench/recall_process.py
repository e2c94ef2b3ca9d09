"""One way of remembering, through CrewAI's own Memory, in a process of its own: WAY SIZE FOLDER REDIS_URL.

WAY: `redis` (ours, as the runtime installs it), `lance` (CrewAI as it is), `postgres`. Prints {"remember": [ms ...],
"shallow": [...], "deep": [...]} as its last line. The LLM and the embedder answer at once.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crewai.memory.unified_memory import Memory

# First: it turns CrewAI's telemetry off.
from bench.records import PREFIX, SCOPES, fill, lance_storage, milliseconds, postgres_storage

CALLS = 20
WARM = 3
SCOPE = "/crew/bench"
LONG = " ".join(["Which of the rooms that were asked about are quiet, on a high floor, and free of peanuts?"] * 3)
"""Long enough for CrewAI to have its LLM analyse the query."""


def main(way: str, size: int, folder: Path, url: str) -> dict[str, list[float]]:
    """Milliseconds of each call."""
    os.environ["BENCH_LLM_SECONDS"] = "0"
    sys.path.insert(0, str(Path(__file__).parent / "crews"))
    from bench_crew import HashEmbedder, SleepingLLM

    with _storage(way, folder, url) as storage:
        fill(storage.save, size)
        memory = Memory(storage=storage, llm=SleepingLLM(model="at-once"), embedder=HashEmbedder())
        return {
            "remember": _times(lambda at: memory.remember(f"Room {at} is quiet.", scope=f"{SCOPE}/s{at % SCOPES}")),
            "shallow": _times(lambda at: memory.recall(f"{at}: {LONG}", scope=SCOPE, depth="shallow")),
            "deep": _times(lambda at: memory.recall(f"{at}: {LONG}", scope=SCOPE, depth="deep")),
        }


def _times(call: Any) -> list[float]:
    return [milliseconds(call, at) for at in range(CALLS + WARM)][WARM:]


@contextmanager
def _storage(way: str, folder: Path, url: str) -> Iterator[Any]:
    if way == "lance":
        yield lance_storage(folder)
    elif way == "postgres":
        with postgres_storage(folder) as storage:
            yield storage
    else:
        from crew_runtime.installation import install
        from crew_runtime.settings import Settings

        yield install(Settings(url, PREFIX, isolation="Crew", backend_deadline=30.0)).registered.storage


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])))
