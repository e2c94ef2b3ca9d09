"""A backend that fails: each call ends in time with an error that says how, and the ledger has it."""

import dataclasses
import threading
import time

import pytest
from redis.exceptions import AuthenticationError

from crew_runtime import installation
from crew_runtime.crewai.state.memory_storage import RedisStorage
from crew_runtime.errors import BackendError, BackendUnavailableError, DimensionMismatchError, StoreMismatchError
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.redis_password import PasswordInFolder
from crew_runtime.settings import Settings
from support.memories import contents, direction, record
from support.redis_server import start_redis

DEADLINE = 0.5
IN_TIME = DEADLINE + 0.5
"""Room for a machine that is busy."""


@pytest.fixture(params=["index", "plain"])
def own(request, folder):
    """A server that the test may break."""
    with start_redis(folder, password="right", with_search=request.param == "index", aof=True) as server:
        yield server


@pytest.fixture
def broken(own):
    """A store in it that was used, so that connections are open."""
    settings = Settings(own.url, "a/b", backend_deadline=DEADLINE)
    connections = Connections(settings)
    storage = RedisStorage(settings, Guard(connections))
    storage.save([record("before")])
    yield storage
    connections.close()


def timed(call, *arguments):
    begun = time.monotonic()
    with pytest.raises(BackendError) as caught:
        call(*arguments)
    return time.monotonic() - begun, caught.value


def test_a_killed_redis_refuses_at_once_and_is_used_again_when_it_is_back(own, broken, failures):
    own.kill()
    calls = {"save": lambda: broken.save([record("lost")]), "search": lambda: broken.search(direction("x"))}
    for op, call in calls.items():
        seconds, error = timed(call)
        assert seconds < IN_TIME
        assert (error.kind, type(error)) == ("Refused", BackendUnavailableError)
        assert failures[-1].op == op
    own.start()
    broken.save([record("after")])
    assert sorted(contents(broken.list_records())) == ["after", "before"]
    assert len(failures) == 2


def test_a_restart_between_two_calls_is_not_noticed(own, broken, failures):
    own.kill()
    own.start()
    broken.save([record("after")])
    assert failures == []


def test_a_stopped_redis_costs_the_deadline_once(own, broken, failures):
    """Fourteen calls of a kickoff, as CrewAI makes them, and one deadline."""
    own.stop()
    begun = time.monotonic()
    errors = [timed(broken.search, direction("x"))[1] for _ in range(14)]
    assert time.monotonic() - begun < IN_TIME
    assert {error.kind for error in errors} == {"Timeout"}
    assert "not asked, because Redis hangs" in str(errors[-1])
    assert len(failures) == 14
    own.go_on()
    time.sleep(2.2)  # the breaker's longest pause
    assert contents(broken.search(direction("before"))) == ["before"]


def test_a_save_that_ran_into_the_deadline_is_not_sent_twice(own, broken, failures):
    own.stop()
    timed(broken.save, [record("once")])
    own.go_on()
    time.sleep(2.2)
    with own.client() as client:
        assert client.xlen("cs:{a/b}:log") <= 2
    assert [one.op for one in failures] == ["save"]


def test_a_wrong_password_says_so(own, failures):
    settings = Settings(own.url.replace("right", "wrong"), "a/b", backend_deadline=DEADLINE)
    seconds, error = timed(RedisStorage(settings, Guard(Connections(settings))).count)
    assert seconds < IN_TIME
    assert error.kind == "AuthFailed"
    assert "wrong" not in str(error)
    assert [one.kind for one in failures] == ["AuthFailed"]
    with pytest.raises(BackendError, match=r"cannot be used: .*refused the password"):
        installation.wait_for_backend(settings, Connections(settings))


def test_a_password_of_its_own_wins_over_the_urls(own):
    settings = Settings(own.url.replace("right", "wrong"), "a/b", redis_password="right")
    assert RedisStorage(settings, Guard(Connections(settings))).count() == 0


def test_a_password_in_a_folder_is_taken_up_by_each_new_connection(own, failures, tmp_path):
    folder = tmp_path / "credentials"
    folder.mkdir()
    settings = Settings(own.url.replace("right", "stale"), "a/b", redis_credentials=str(folder))
    connections = Connections(settings)
    storage = RedisStorage(settings, Guard(connections))

    def only(password):
        """Lets in with this password, and ends all connections."""
        with own.client() as admin:
            admin.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password}")
            admin.client_kill_filter(_type="normal", skipme=True)

    only("first")
    assert timed(storage.count)[1].kind == "AuthFailed", "while there is no file the URL's holds"
    (folder / "password").write_text("first\n")
    storage.save([record("kept")])
    only("second")
    (folder / "password").write_text("second")
    assert contents(storage.list_records()) == ["kept"]
    (folder / "password").unlink()
    only("second")
    assert contents(storage.list_records()) == ["kept"], "what was read last holds"
    assert len(failures) == 1
    connections.close()


def test_a_password_that_changes_while_redis_is_asked_is_tried_once_more(tmp_path):
    (tmp_path / "password").write_text("first")
    own = PasswordInFolder(str(tmp_path), "crew", None)
    shown = []

    class Connection:
        def on_connect(self):
            shown.append(own.get_credentials())
            (tmp_path / "password").write_text("second")
            raise AuthenticationError("WRONGPASS")

    with pytest.raises(AuthenticationError):
        own.begin(Connection())
    assert shown == [("crew", "first"), ("crew", "second")]
    with pytest.raises(AuthenticationError):
        own.begin(Connection())
    assert len(shown) == 3, "the same is not shown twice"


def test_a_full_redis_answers_reads_and_refuses_writes(own, broken, failures):
    with own.client() as client:
        client.config_set("maxmemory", "100kb")
    seconds, error = timed(broken.save, [record("too much")])
    assert seconds < IN_TIME
    assert error.kind == "OutOfMemory"
    assert contents(broken.list_records()) == ["before"]
    assert [one.kind for one in failures] == ["OutOfMemory"]


def test_a_read_only_replica_says_so(own, broken, failures):
    with own.client() as client:
        client.replicaof("127.0.0.1", 1)
    assert timed(broken.save, [record("x")])[1].kind == "ReadOnly"
    assert [one.kind for one in failures] == ["ReadOnly"]


def test_a_flushed_redis_is_an_empty_store(own, broken, failures):
    with own.client() as client:
        client.flushall()
    for _ in range(2):
        try:
            assert broken.search(direction("before")) == []
        except BackendError:
            continue
    broken.save([record("new start")])
    assert contents(broken.search(direction("new start"))) == ["new start"]


def test_the_start_waits_for_a_redis_that_starts_late(own):
    settings = Settings(own.url, "a/b", backend_deadline=DEADLINE)
    own.stop()
    later = threading.Timer(1.5, own.go_on)
    later.start()
    begun = time.monotonic()
    installation.wait_for_backend(settings, Connections(settings))
    assert time.monotonic() - begun > 1
    later.join()


def test_the_start_gives_up_on_a_redis_that_hangs(own):
    settings = Settings(own.url, "a/b", backend_deadline=0.1)
    own.stop()
    seconds, error = timed(installation.wait_for_backend, settings, Connections(settings))
    assert 1 <= seconds < 2.5
    assert error.kind == "Timeout"
    assert f"Redis at 127.0.0.1:{own.port} could not be reached for 1 s" in str(error)


def test_a_declared_dimension_is_checked_at_start(storage, settings, make_storage, failures):
    storage.save([record("sixteen")])
    make_storage(dataclasses.replace(settings, dimension=16)).check()
    with pytest.raises(DimensionMismatchError, match=r"16 dimensions.* gives 1536"):
        make_storage(dataclasses.replace(settings, dimension=1536)).check()
    assert [one.kind for one in failures] == ["Dimension"]


def test_a_declared_dimension_holds_before_the_first_vector(settings, make_storage, failures):
    make_storage(dataclasses.replace(settings, dimension=8)).check()
    with pytest.raises(DimensionMismatchError, match=r"8 dimensions.* gives 16"):
        make_storage().save([record("sixteen")])
    assert failures


def test_a_store_of_another_schema_is_refused(settings, server, make_storage, failures):
    with server.client() as client:
        client.hset(f"cs:{{{settings.key_prefix}}}:meta", "schema", "7")
    with pytest.raises(StoreMismatchError, match="schema 7"):
        make_storage().check()
    assert [one.kind for one in failures] == ["Store"]


def test_an_index_made_otherwise_is_refused_and_kept(index_server, failures):
    settings = Settings(index_server.url, "index/otherwise")
    name, prefix = f"cs:{{{settings.key_prefix}}}:ix", f"cs:{{{settings.key_prefix}}}:m:"
    vector = ["v", "VECTOR", "FLAT", "6", "TYPE", "FLOAT32", "DIM", "8", "DISTANCE_METRIC", "L2"]
    with index_server.client() as client:
        client.execute_command("FT.CREATE", name, "ON", "HASH", "PREFIX", "1", prefix, "SCHEMA", *vector)
        storage = RedisStorage(settings, Guard(Connections(settings)))
        with pytest.raises(StoreMismatchError, match=r"FT\.DROPINDEX"):
            storage.save([record("sixteen")])
        assert name.encode() in client.execute_command("FT._LIST")
    assert [one.kind for one in failures] == ["Store"]


def test_indexing_never_falls_behind_silently(index_server):
    """No document ever leaves the index: a wrong vector is refused before it is written."""
    settings = Settings(index_server.url, "index/behind")
    storage = RedisStorage(settings, Guard(Connections(settings)))
    storage.save([record("one"), record("none", embedding=[])])
    with index_server.client() as client:
        flat = client.execute_command("FT.INFO", f"cs:{{{settings.key_prefix}}}:ix")
        info = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=False))
    known = {str(key, "utf-8") if isinstance(key, bytes) else key: value for key, value in info.items()}
    assert int(known["hash_indexing_failures"]) == 0
    assert int(known["num_docs"]) == 2
