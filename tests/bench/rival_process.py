"""What a user does without us: kickoffs in one process, bare or in a pool of threads: CREW bare|threads AT_ONCE ROUNDS.

It shares the crew, the LLM and (but for `plain`) the same Redis backend, so that only the process model differs.
Prints {"median", "p99" and "cpu": seconds} or {"rate": kickoffs a second} as its last line. Bare is an application that
serves one request after the other: the crew is built for each, and everything that a process loads once is loaded.
"""

import json
import sys
import time

from bench.figures import percentile
from bench.replica import rate
from crew_runtime.installation import install


def main(crew: str, how: str, at_once: int, rounds: int) -> dict[str, float]:
    """One figure."""
    if crew != "plain":
        install()
    import bench_crew

    def kickoff() -> float:
        started = time.perf_counter()
        getattr(bench_crew, crew)().kickoff(inputs={"message": "When does it open?"})
        return time.perf_counter() - started

    kickoff()
    if how == "threads":
        return {"rate": rate(kickoff, at_once, rounds)}
    begun = time.process_time()
    seconds = [kickoff() for _ in range(rounds)]
    cpu = (time.process_time() - begun) / rounds
    return {"median": percentile(seconds, 0.5), "p99": percentile(seconds, 0.99), "cpu": cpu}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
