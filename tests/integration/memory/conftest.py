"""One real redis-server for each way of searching; every test has a store of its own in it."""

import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crew_runtime import telemetry
from crew_runtime.guard import ledger
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.settings import Settings
from support.idle_sessions import let_pass
from support.programs import Programs
from support.redis_server import RedisServer, start_redis

if TYPE_CHECKING:
    from crew_runtime.crewai.state.memory_storage import RedisStorage

telemetry.turn_off_unattended(os.environ)  # before anything imports CrewAI: the test modules do
_numbers = count(1)


@pytest.fixture(scope="session")
def index_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("index"), with_search=True) as server:
        assert server.client().execute_command("MODULE LIST"), "the search module is not to be had here"
        yield server


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("plain"), with_search=False) as server:
        yield server


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    made = Programs(tmp_path_factory.mktemp("programs"))
    yield made
    made.close()


@pytest.fixture(params=["index", "plain"])
def server(request: pytest.FixtureRequest) -> RedisServer:
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def settings(server: RedisServer) -> Settings:
    return Settings(redis_url=server.url, key_prefix=f"test/{next(_numbers)}")


@pytest.fixture
def make_storage(settings: Settings) -> "Iterator[Callable[..., RedisStorage]]":
    """More stores on the same keys: as other processes would have."""
    from crew_runtime.crewai.state.memory_storage import RedisStorage

    opened = []

    def make(with_settings: Settings = settings) -> "RedisStorage":
        opened.append(Connections(with_settings))
        return RedisStorage(with_settings, Guard(opened[-1]))

    yield make
    for connections in opened:
        connections.close()


@pytest.fixture
def storage(make_storage: "Callable[..., RedisStorage]") -> "RedisStorage":
    return make_storage()


@pytest.fixture
def time_passes(server: RedisServer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes all sessions that many seconds older, here and at Redis, at once."""
    from crew_runtime.crewai.state import memory_storage

    passed = 0.0
    monkeypatch.setattr(memory_storage, "_now", lambda: time.time() + passed)

    def passes(seconds: float) -> None:
        nonlocal passed
        passed += seconds
        with server.client() as client:
            let_pass(client, settings.key_prefix, seconds)

    return passes


@pytest.fixture
def failures() -> Iterator[list[ledger.Failure]]:
    """What the guard recorded."""
    found: list[ledger.Failure] = []
    unsubscribe = ledger.subscribe(found.append)
    yield found
    unsubscribe()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "redis"


@pytest.fixture(autouse=True)
def _nothing_failed_unseen(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that does not ask for failures has none."""
    found: list[ledger.Failure] = []
    unsubscribe = ledger.subscribe(found.append)
    yield
    unsubscribe()
    if "failures" not in request.fixturenames:
        assert found == []
