"""What the crew's code saves is as durable as the settings ask, or the call fails: a primary and its replica."""

import time

import pytest

from crew_runtime import installation
from crew_runtime.contract import keys
from crew_runtime.crewai.state.checkpoints import Checkpoints
from crew_runtime.crewai.state.flows import FlowStates
from crew_runtime.crewai.state.memory_storage import RedisStorage
from crew_runtime.crewai.state.task_outputs import TaskOutputs
from crew_runtime.errors import BackendError, NotAcknowledgedError
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.settings import Settings
from support.memories import contents, direction, record
from support.redis_server import start_redis

PREFIX = "a/b"
DEADLINE = 2.0


@pytest.fixture(params=["index", "plain"])
def primary(request, folder):
    with start_redis(folder / "primary", password="right", with_search=request.param == "index", aof=True) as server:
        yield server


@pytest.fixture
def follower(request, primary, folder):
    with start_redis(folder / "follower", with_search=primary.search) as server:
        server.follow(primary)
        yield server


@pytest.fixture
def guards(primary):
    """As those of several processes."""
    opened = []

    def make(durability, deadline=DEADLINE):
        opened.append(Connections(Settings(primary.url, PREFIX, backend_deadline=deadline, durability=durability)))
        return Guard(opened[-1])

    yield make
    for one in opened:
        one.close()


def storage(guard):
    return RedisStorage(guard._connections.settings, guard)


def changes(primary):
    with primary.client() as client:
        return client.xlen(keys.memory_log(PREFIX))


def test_what_no_replica_has_is_not_saved_and_not_sent_twice(primary, follower, guards, failures):
    saved = storage(guards("Replicated"))
    saved.save([record("before")])
    known = changes(primary)
    follower.stop()
    with pytest.raises(NotAcknowledgedError, match=r"spec\.memory\.durability: Replicated") as caught:
        saved.save([record("during")])
    assert caught.value.kind == "NotAcknowledged"
    assert changes(primary) == known + 1
    assert [(one.op, one.kind) for one in failures] == [("save", "NotAcknowledged")]
    assert "before" in contents(saved.search(direction("before"))), "it still recalls"
    follower.go_on()
    saved.save([record("after")])
    with follower.client() as client:
        assert client.zcard(keys.memory_ids(PREFIX)) == 3


def test_calls_without_a_replica_cost_one_deadline_and_not_one_each(primary, follower, guards, failures):
    """Fourteen, as a kickoff makes."""
    saved = storage(guards("Replicated"))
    saved.save([record("before")])
    follower.stop()
    begun = time.monotonic()
    for number in range(14):
        with pytest.raises(NotAcknowledgedError):
            saved.save([record(f"number {number}")])
    assert time.monotonic() - begun < 14 * DEADLINE / 2
    assert {one.kind for one in failures} == {"NotAcknowledged"}


def test_a_deletion_that_finds_nothing_left_proves_nothing(primary, follower, guards, failures):
    """Somebody else's has deleted it, and that no replica has either."""
    first, second = storage(guards("Replicated")), storage(guards("Replicated"))
    first.save([record("secret", id="one")])
    assert second.count() == 1
    follower.stop()
    for one in (first, second):
        with pytest.raises(NotAcknowledgedError):
            one.delete(record_ids=["one"])
    with primary.client() as client:
        assert not client.exists(keys.memory(PREFIX, "one"))


WRITES = {
    "flow": lambda guard: FlowStates(guard, PREFIX).write("f", {"state": "{}"}),
    "flow that is answered": lambda guard: FlowStates(guard, PREFIX).drop_if("f", b"asked", "pending"),
    "flow that is dropped": lambda guard: FlowStates(guard, PREFIX).drop("f", "pending"),
    "task output": lambda guard: TaskOutputs(guard, PREFIX).write({"t": "{}"}, drop=("u",)),
    "task outputs that are dropped": lambda guard: TaskOutputs(guard, PREFIX).drop(),
    "checkpoint": lambda guard: Checkpoints(guard, PREFIX).write("/main/one.json", "{}"),
    "checkpoint that is pruned": lambda guard: Checkpoints(guard, PREFIX).prune("/main", 1),
    "update": lambda guard: storage(guard).update(record("later", id="one")),
}


def test_each_kind_of_state_waits(primary, follower, guards, failures):
    usual, waits = guards("Buffered"), guards("Replicated")
    FlowStates(waits, PREFIX).write("f", {"state": "{}", "pending": "asked"})
    for name in ("0", "1", "2"):
        Checkpoints(waits, PREFIX).write(f"/main/{name}.json", "{}")
    storage(waits).save([record("first", id="one")])
    follower.stop()
    for name, write in WRITES.items():
        with pytest.raises(NotAcknowledgedError):
            write(waits)
        assert failures, name
    before = len(failures)
    for write in WRITES.values():
        write(usual)
    assert len(failures) == before, "without a durability nobody waits"


def test_a_disk_that_is_synced_every_second_is_waited_for_and_is_no_hang(primary, guards):
    saved = storage(guards("Fsync", 20.0))
    begun = time.monotonic()
    for number in range(4):
        saved.save([record(f"number {number}")])
    assert time.monotonic() - begun > 1
    assert saved.count() == 4


def test_what_the_disk_was_not_given_is_not_saved(primary, guards, failures):
    with primary.client() as client:
        client.config_set("appendfsync", "no")
    with pytest.raises(NotAcknowledgedError, match="on the disk of Redis"):
        storage(guards("Fsync")).save([record("somewhere")])


def test_a_script_that_the_server_has_forgotten_is_told_again(primary, follower, guards):
    saved = storage(guards("Replicated"))
    saved.save([record("before")])
    with primary.client() as client:
        client.script_flush()
    saved.save([record("after")])
    assert saved.count() == 2


def test_the_start_says_what_a_redis_lacks_that_cannot_wait_as_asked(primary):
    with primary.client() as client:
        client.config_set("appendonly", "no")
    settings = Settings(primary.url, PREFIX, durability="Fsync")
    with pytest.raises(BackendError, match=r"cannot be used: .* needs Redis 7\.2 or newer with appendonly yes"):
        installation.wait_for_backend(settings, Connections(settings))


def test_the_start_does_not_wait_for_a_replica_that_is_away_for_a_moment(primary, follower):
    follower.stop()
    settings = Settings(primary.url, PREFIX, backend_deadline=0.5, durability="Replicated")
    installation.wait_for_backend(settings, Connections(settings))
