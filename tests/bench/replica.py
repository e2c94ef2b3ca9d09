"""A replica as a pod runs it, server and worker as two processes, for the bench to kick off. Run by the crew's side."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from support.ports import free_port

ROOT = Path(__file__).parents[2]
CREWS = Path(__file__).parent / "crews"
LOOK_EVERY = 0.5
"""Seconds between two looks at the memory of slots."""
IDLE_AFTER = 1.0
"""Seconds after a kickoff in which the next process has become ready."""
SECONDS_UP = 90.0
"""How long a replica may take until it is ready: two imports of CrewAI on a busy machine."""


class Replica:
    """Its two processes, and its address."""

    def __init__(
        self, server: subprocess.Popen[bytes], worker: subprocess.Popen[bytes], port: int, worker_log: Path
    ) -> None:
        self.server, self.worker, self._port, self._worker_log = server, worker, port, worker_log

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

    def measured(self, call: Callable[[], float]) -> tuple[float, float]:
        """What `call` gives, and the megabytes of private memory that the largest slot held meanwhile."""
        sizes = [0]
        done = threading.Event()

        def look() -> None:
            while not done.wait(LOOK_EVERY):
                sizes.append(max(map(_private_bytes, self._children()), default=0))

        looking = threading.Thread(target=look)
        looking.start()
        try:
            return call(), max(sizes) / 1e6
        finally:
            done.set()
            looking.join()

    def cpu_seconds(self) -> float:
        """Of both processes and of all slots that have ended."""
        ticks = 0
        for process in (self.server, self.worker):
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
        return ticks / os.sysconf("SC_CLK_TCK")

    def rehearsal_seconds(self) -> float:
        """How long it rehearsed its crew when it started. Raises RuntimeError when its log does not say."""
        for line in self._worker_log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict) and told.get("message") == "rehearsed":
                    return float(told["seconds"])
        raise RuntimeError(f"the worker has not rehearsed its crew: see {self._worker_log}")

    def spare_cpu_seconds(self) -> float:
        """CPU time of the process that a kickoff leaves ready for the next one, from its fork on, while it is idle."""
        before = set(self._children())
        self.kickoff()
        time.sleep(IDLE_AFTER)
        (spare,) = set(self._children()) - before
        return _cpu_seconds_of(spare)

    def _children(self) -> list[int]:
        return [
            int(pid) for pid in Path(f"/proc/{self.worker.pid}/task/{self.worker.pid}/children").read_text().split()
        ]


def _cpu_seconds_of(pid: int) -> float:
    """Of all its threads: the kernel counts nanoseconds there, and hundredths of a second in `stat`."""
    return sum(int(one.read_text().split()[0]) for one in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _private_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


@contextmanager
def replica(
    folder: Path, redis_url: str, crew: str, concurrency: int, more: Mapping[str, str] | None = None
) -> Iterator[Replica]:
    """One that is ready; `folder` takes its logs and its socket, `more` is for its environment."""
    folder.mkdir(parents=True)
    port, health = free_port(), free_port()
    env = {
        **environment(redis_url, crew),
        "CREWOPS_REPLICA": f"bench-{crew}-{folder.name}",
        "CREWOPS_CONCURRENCY": str(concurrency),
        "CREWOPS_SOCKET": str(folder / "worker.sock"),
        "CREWOPS_BIND_ADDRESS": "127.0.0.1",
        "CREWOPS_HTTP_PORT": str(port),
        "CREWOPS_HEALTH_PORT": str(health),
        "HOME": str(folder),
        **(more or {}),
    }
    with (folder / "server.log").open("wb") as server_log, (folder / "worker.log").open("wb") as worker_log:
        server = subprocess.Popen([ROOT / ".venv/bin/crew-server"], env=env, stdout=server_log, stderr=server_log)
        worker = subprocess.Popen(
            [sys.executable, "-m", "crew_runtime.worker"], env=env, cwd=CREWS, stdout=worker_log, stderr=worker_log
        )
        try:
            _until_ready(health, folder)
            yield Replica(server, worker, port, folder / "worker.log")
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


def rate(call: Callable[[], object], at_once: int, rounds: int) -> float:
    """Calls per second with `at_once` under way, after one round to warm up."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda _: call(), range(at_once)))
        started = time.perf_counter()
        total = max(rounds, at_once * 4)
        list(pool.map(lambda _: call(), range(total)))
        return total / (time.perf_counter() - started)


def environment(redis_url: str, crew: str) -> dict[str, str]:
    """What both halves and the rivals are given."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("CREWOPS_")},
        "CREWOPS_NAMESPACE": "bench",
        "CREWOPS_NAME": crew,
        "CREWOPS_ENTRYPOINT": f"bench_crew:{crew}",
        "CREWOPS_REDIS_URL": redis_url,
        "CREWAI_DISABLE_TELEMETRY": "true",
        "PYTHONPATH": os.pathsep.join([str(CREWS), str(ROOT / "tests"), str(ROOT / "examples/concierge")]),
    }
