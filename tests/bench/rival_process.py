"""What a user does without us: kickoffs in one process, bare or in a pool of threads: CREW bare|threads AT_ONCE ROUNDS.

It shares the crew, the LLM and (for `remembering`) the same Redis backend, so that only the process model differs.
Prints {"median": seconds} or {"rate": kickoffs a second} as its last line.
"""

import json
import sys
import time

from bench.replica import rate
from crew_runtime.installation import install


def main(crew: str, how: str, at_once: int, rounds: int) -> dict[str, float]:
    """One figure."""
    if crew == "remembering":
        install()
    import bench_crew

    base = getattr(bench_crew, crew)()

    def kickoff() -> float:
        started = time.perf_counter()
        base.copy().kickoff(inputs={"message": "When does it open?"})
        return time.perf_counter() - started

    kickoff()
    if how == "threads":
        return {"rate": rate(kickoff, at_once, rounds)}
    return {"median": sorted(kickoff() for _ in range(rounds))[rounds // 2]}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
