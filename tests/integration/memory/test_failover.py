"""A call of a kickoff outlives the moment in which its Redis has no primary, where Redis fails over."""

import threading
import time

import pytest

from crew_runtime.crewai.state.memory_storage import RedisStorage
from crew_runtime.errors import BackendError
from crew_runtime.guard import call
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.settings import Settings
from support.memories import contents, direction, record
from support.redis_server import start_redis
from support.relay import relayed


@pytest.fixture
def primary(folder):
    with start_redis(folder / "primary", password="right", aof=True) as server:
        yield server


@pytest.fixture
def follower(primary, folder):
    with start_redis(folder / "follower", password="right") as server:
        server.follow(primary)
        yield server


@pytest.fixture
def guards(primary):
    opened = []

    def make(durability):
        opened.append(Connections(Settings(primary.url, "a/b", backend_deadline=2.0, durability=durability)))
        return Guard(opened[-1])

    yield make
    for one in opened:
        one.close()


def storage(guard):
    return RedisStorage(guard._connections.settings, guard)


def later(seconds, act):
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def takes_no_writes(primary, *, ever):
    with primary.client() as client:
        client.config_set("min-replicas-to-write", 5 if ever else 0)


def test_a_primary_that_takes_no_writes_for_a_moment_costs_nothing(primary, follower, guards, failures):
    saved, buffered = storage(guards("Replicated")), storage(guards("Buffered"))
    saved.save([record("before")])
    takes_no_writes(primary, ever=True)
    with pytest.raises(BackendError, match="NOREPLICAS"):
        buffered.save([record("without a failover nobody waits for one")])
    assert [one.kind for one in failures] == ["ReadOnly"]
    timer = later(1.0, lambda: takes_no_writes(primary, ever=False))
    saved.save([record("during")])
    timer.join()
    assert len(failures) == 1
    assert {"before", "during"} <= set(contents(saved.search(direction("during"))))


def test_a_primary_that_is_killed_and_comes_back_costs_nothing(primary, follower, guards, failures):
    saved = storage(guards("Replicated"))
    saved.save([record("before")])
    primary.kill()
    timer = later(0.7, primary.start)
    assert "before" in contents(saved.search(direction("before")))
    timer.join()
    assert failures == []


def test_one_that_stays_away_is_waited_for_once_in_a_kickoff(primary, follower, guards, failures, monkeypatch):
    monkeypatch.setattr(call, "FAILOVER_SECONDS", 1.0)
    guard = guards("Replicated")
    saved = storage(guard)
    saved.save([record("before")])
    primary.kill()
    seconds = [waited(saved) for _ in range(3)]
    assert seconds[0] >= 1.0
    assert max(seconds[1:]) < 1.0
    assert [one.kind for one in failures] == ["Refused"] * 3
    guard.begin()
    assert waited(saved) >= 1.0
    primary.start()
    saved.search(direction("before"))


def waited(saved):
    begun = time.monotonic()
    with pytest.raises(BackendError):
        saved.search(direction("before"))
    return time.monotonic() - begun


def test_a_primary_that_is_cut_off_is_left_for_the_one_at_the_address_of_redis(primary, follower, folder, failures):
    """Nobody ends the connections to it: who would is cut off from it, too."""
    with relayed(primary.port) as address, start_redis(folder / "third", password="right") as third:
        url = primary.url.replace(f":{primary.port}", f":{address.port}")
        opened = Connections(Settings(url, "a/b", backend_deadline=2.0, durability="Replicated"))
        saved = storage(Guard(opened))
        saved.save([record("before")])
        takes_no_writes(primary, ever=True)
        with follower.client() as client:
            client.replicaof("NO", "ONE")
        third.follow(follower)
        address.lead_to(follower.port)
        saved.save([record("after")])
        assert {"before", "after"} <= set(contents(saved.search(direction("after"))))
        opened.close()
    assert failures == []
