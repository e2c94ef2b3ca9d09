"""A real redis-server on a free port of this machine, for one test or one module; kill and stop it as you like."""

import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from crew_programs import redis_binary
from support import key_lives, least_rights
from support.ports import free_port
from support.waiting import wait_until

ROOT = Path(__file__).parents[2]
START_SECONDS = 20.0


def find(*, with_search: bool = True) -> "object":
    """The binary, by the very finder of the local cluster and of `crewctl verify`."""
    return redis_binary.find_redis(with_search=with_search)


@dataclass
class RedisServer:
    """One server process; it keeps its port and folder over restarts."""

    folder: Path
    port: int
    command: list[str]
    password: str | None = None
    search: bool = False
    least: bool = False
    """Everybody has the rights of a crew from the start on."""
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def url(self) -> str:
        """With the password, if there is one."""
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"

    def client(self, **options: object) -> redis.Redis:
        """A client for a test's own questions."""
        return redis.Redis(
            port=self.port, username=least_rights.ADMIN, password=self.password or "any", protocol=2, **options
        )

    def start(self, patience: float = START_SECONDS) -> None:
        """Start and wait until it answers, having loaded what it holds."""
        log = (self.folder / "redis.log").open("ab")
        # Python ignores SIGXFSZ, and Redis inherits that: a write over `fill_disk`'s limit fails as on a full disk.
        self.process = subprocess.Popen(self.command, stdout=log, stderr=log, restore_signals=False)
        log.close()
        end = time.monotonic() + patience
        while True:
            try:
                with self.client(socket_timeout=1) as client:
                    client.ping()
                    if self.least:
                        least_rights.narrow(client, search=self.search)
            except redis.exceptions.RedisError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(
                        f"redis-server did not start:\n{(self.folder / 'redis.log').read_text()}"
                    ) from None
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGSTOP: it still accepts connections, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def follow(self, primary: "RedisServer") -> None:
        """Become a replica of another; done when it has all that the other has."""
        with self.client() as client, primary.client() as its:
            client.config_set("masteruser", least_rights.ADMIN)
            client.config_set("masterauth", primary.password or "any")
            client.replicaof("127.0.0.1", primary.port)
            wait_until(
                lambda: its.set("in-step", 1, ex=60) and its.wait(1, 500), "the replica is in step", START_SECONDS
            )

    def fill_disk(self) -> None:
        """From now on its append-only file takes not one byte more, as when the disk is full."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    def free_disk(self) -> None:
        """There is room again."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def start_redis(
    folder: Path,
    *,
    password: str | None = None,
    with_search: bool = True,
    aof: bool = False,
    options: tuple[str, ...] = (),
    least: bool = True,
) -> Iterator[RedisServer]:
    """A running server, killed at the end. `least`: everybody has a crew's rights there, and asks for no more."""
    folder.mkdir(parents=True, exist_ok=True)
    binary = find(with_search=with_search)
    port = free_port()
    command = [str(binary.path), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
               "--appendonly", "yes" if aof else "no", *options]  # fmt: skip
    command += least_rights.include(folder, password=password, least=least)
    for module in binary.modules:
        command += ["--loadmodule", str(module)]
    server = RedisServer(folder, port, command, password, bool(binary.modules), least)
    server.start()
    try:
        yield server
        server.go_on()
        if server.process.poll() is None:
            with server.client() as admin:
                least_rights.check(admin)
                key_lives.check(admin)
    finally:
        server.go_on()
        server.kill()
