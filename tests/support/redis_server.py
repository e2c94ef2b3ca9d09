"""A real redis-server on a free port of this machine, for one test or one module; kill and stop it as you like."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

ROOT = Path(__file__).parents[2]
START_SECONDS = 20.0


def find(*, with_search: bool = True) -> "object":
    """The binary, by the very finder of the local cluster; the crew's environment has no crewctl installed."""
    try:
        from crewctl.local import redis_binary
    except ImportError:
        sys.path.append(str(ROOT / "cli" / "src"))
        from crewctl.local import redis_binary
    return redis_binary.find_redis(with_search=with_search)


@dataclass
class RedisServer:
    """One server process; it keeps its port and folder over restarts."""

    folder: Path
    port: int
    command: list[str]
    password: str | None = None
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def url(self) -> str:
        """With the password, if there is one."""
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"

    def client(self, **options: object) -> redis.Redis:
        """A client for a test's own questions."""
        return redis.Redis(port=self.port, password=self.password, protocol=2, **options)

    def start(self, patience: float = START_SECONDS) -> None:
        """Start and wait until it answers, having loaded what it holds."""
        log = (self.folder / "redis.log").open("ab")
        self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        log.close()
        end = time.monotonic() + patience
        while True:
            try:
                with self.client(socket_timeout=1) as client:
                    client.ping()
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


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def start_redis(
    folder: Path,
    *,
    password: str | None = None,
    with_search: bool = True,
    aof: bool = False,
    options: tuple[str, ...] = (),
) -> Iterator[RedisServer]:
    """A running server; killed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    binary = find(with_search=with_search)
    port = free_port()
    command = [str(binary.path), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
               "--appendonly", "yes" if aof else "no", *options]  # fmt: skip
    command += ["--requirepass", password] if password else []
    for module in binary.modules:
        command += ["--loadmodule", str(module)]
    server = RedisServer(folder, port, command, password)
    server.start()
    try:
        yield server
    finally:
        server.go_on()
        server.kill()
