"""Kickoffs through the runtime (HTTP, server, slot) beside `crew.kickoff()` and a thread pool in one process.

Real Redis, the real server and worker as processes, the crews of `crews/bench_crew.py`. Run by the crew's interpreter.
"""

import concurrent.futures
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import Figure, median
from support.redis_server import start_redis

ROOT = Path(__file__).parents[2]
CREWS = Path(__file__).parent / "crews"
ROUNDS = 15
"""Kickoffs one after the other for a median."""
AT_ONCE = (1, 4, 16)
SECONDS_UP = 90.0
"""How long a replica may take until it is ready: two imports of CrewAI on a busy machine."""


def run(folder: Path) -> list[Figure]:
    """All figures about kickoffs; `folder` takes logs and the sockets."""
    with start_redis(folder / "redis") as redis:
        bare = _one_process(redis.url, "plain", "bare", 1)
        with _replica(folder / "plain", redis.url, "plain", 1) as replica:
            through = median([replica.kickoff() for _ in range(ROUNDS)])
        figures = [_overhead(through, bare["median"])]
        for at_once in AT_ONCE:
            threads = _one_process(redis.url, "remembering", "threads", at_once)
            with _replica(folder / f"remembering-{at_once}", redis.url, "remembering", at_once) as replica:
                rate = _rate(lambda replica=replica: replica.kickoff(), at_once)
                private = replica.private_per_slot()
            figures += _throughput(at_once, rate, threads["rate"], private)
    return figures


def _overhead(through: float, bare: float) -> Figure:
    over = (through - bare) * 1000
    return Figure("kickoff overhead of the runtime, plain crew", over, "ms", bare * 1000, "bare crew.kickoff()",
                  "<= 10 ms over bare", over <= 10)  # fmt: skip


def _throughput(at_once: int, rate: float, threads: float, private: float) -> Iterator[Figure]:
    aim, met = (">= 3 x the thread pool", rate >= 3 * threads) if at_once == 16 else ("", None)
    yield Figure(f"kickoffs with memory, {at_once} at once", rate, "1/s", threads, "thread pool, one process", aim, met)
    yield Figure(f"private memory of a slot, {at_once} at once", private, "MB", None, "", "<= 45 MB", private <= 45)


class _Replica:
    def __init__(self, server: subprocess.Popen[bytes], worker: subprocess.Popen[bytes], port: int) -> None:
        self.server, self.worker, self._port = server, worker, port

    def kickoff(self) -> float:
        """Seconds of one kickoff, asked and waited for over HTTP. Raises RuntimeError when it did not complete."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        started = time.perf_counter()
        connection.request("POST", "/kickoff?wait=100", json.dumps({"inputs": {"message": "When does it open?"}}),
                           {"Content-Type": "application/json"})  # fmt: skip
        answer = json.loads(connection.getresponse().read())
        seconds = time.perf_counter() - started
        connection.close()
        if answer.get("status") != "completed":
            raise RuntimeError(f"a kickoff of the bench ended as {answer}")
        return seconds

    def private_per_slot(self) -> float:
        """Megabytes of private memory, the mean over the worker's children that have run something."""
        children = Path(f"/proc/{self.worker.pid}/task/{self.worker.pid}/children").read_text().split()
        sizes = sorted(_private_bytes(int(pid)) for pid in children)
        busiest = sizes[-max(1, len(sizes) - 2) :]  # less the spare and the prober, which hold least
        return sum(busiest) / len(busiest) / 1e6


def _private_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


@contextmanager
def _replica(folder: Path, redis_url: str, crew: str, concurrency: int) -> Iterator[_Replica]:
    folder.mkdir(parents=True)
    port, health = _free_port(), _free_port()
    env = {
        **_environment(redis_url, crew),
        "CREWOPS_REPLICA": f"bench-{crew}-{concurrency}",
        "CREWOPS_CONCURRENCY": str(concurrency),
        "CREWOPS_SOCKET": str(folder / "worker.sock"),
        "CREWOPS_BIND_ADDRESS": "127.0.0.1",
        "CREWOPS_HTTP_PORT": str(port),
        "CREWOPS_HEALTH_PORT": str(health),
        "HOME": str(folder),
    }
    with (folder / "server.log").open("wb") as server_log, (folder / "worker.log").open("wb") as worker_log:
        server = subprocess.Popen([ROOT / ".venv/bin/crew-server"], env=env, stdout=server_log, stderr=server_log)
        worker = subprocess.Popen(
            [sys.executable, "-m", "crew_runtime.worker"], env=env, cwd=CREWS, stdout=worker_log, stderr=worker_log
        )
        try:
            _until_ready(health, folder)
            yield _Replica(server, worker, port)
        finally:
            for process in (worker, server):
                process.kill()
                process.wait()


def _until_ready(port: int, folder: Path) -> None:
    deadline = time.monotonic() + SECONDS_UP
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the replica was not ready in {SECONDS_UP:.0f} s: see {folder}/worker.log and server.log")


def _one_process(redis_url: str, crew: str, how: str, at_once: int) -> dict[str, float]:
    """The rival, in a fresh process: bare kickoffs one after the other, or a pool of threads."""
    command = [sys.executable, Path(__file__).parent / "rival_process.py", crew, how, str(at_once), str(ROUNDS)]
    done = subprocess.run(command, env=_environment(redis_url, crew), cwd=CREWS, check=True, capture_output=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def rate(call: Callable[[], object], at_once: int, rounds: int) -> float:
    """Calls per second with `at_once` under way, after one round to warm up."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda _: call(), range(at_once)))
        started = time.perf_counter()
        total = max(rounds, at_once * 4)
        list(pool.map(lambda _: call(), range(total)))
        return total / (time.perf_counter() - started)


def _rate(call: Callable[[], object], at_once: int) -> float:
    return rate(call, at_once, ROUNDS)


def _environment(redis_url: str, crew: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("CREWOPS_")},
        "CREWOPS_NAMESPACE": "bench",
        "CREWOPS_NAME": crew,
        "CREWOPS_ENTRYPOINT": f"bench_crew:{crew}",
        "CREWOPS_REDIS_URL": redis_url,
        "CREWAI_DISABLE_TELEMETRY": "true",
        "OTEL_SDK_DISABLED": "true",
        "PYTHONPATH": os.pathsep.join([str(CREWS), str(ROOT / "tests")]),
    }


def _free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
