"""What a server that died, forgot or trimmed leaves to the stores that were open: never a stale answer."""

import contextlib
import threading

import pytest

from crew_runtime.crewai.state.memory_storage import RedisStorage
from crew_runtime.errors import BackendError, BackendUnavailableError
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.settings import Settings
from support.memories import contents, direction, record
from support.redis_server import RedisServer, start_redis


@pytest.fixture(params=["index", "plain"])
def search(request):
    return request.param == "index"


@pytest.fixture
def open_storage():
    opened = []

    def open_storage(server: RedisServer) -> RedisStorage:
        settings = Settings(server.url, "hotel/concierge")
        opened.append(Connections(settings))
        return RedisStorage(settings, Guard(opened[-1]))

    yield open_storage
    for one in opened:
        one.close()


def restart(server: RedisServer) -> None:
    server.kill()
    server.start()


def test_memory_outlives_a_kill(folder, search, open_storage):
    """Open stores and new ones find all, by vector and by scope, and go on writing."""
    with start_redis(folder, with_search=search, aof=True, options=("--appendfsync", "always")) as server:
        writer, reader = open_storage(server), open_storage(server)
        facts = [record(f"fact {number}", f"/s/{number % 7}") for number in range(300)]
        writer.save(facts)
        writer.delete(record_ids=[facts[0].id])
        assert contents(reader.search(direction("fact 42"), limit=1)) == ["fact 42"]
        restart(server)
        for storage in (writer, reader, open_storage(server)):
            assert storage.count() == 299
            assert contents(storage.search(direction("fact 42"), "/s/0", limit=1)) == ["fact 42"]
            assert storage.get_record(facts[0].id) is None
        writer.save([record("after the kill")])
        assert contents(reader.search(direction("after the kill"), limit=1)) == ["after the kill"]


def test_a_server_that_lost_everything_is_not_answered_for_from_a_cache(folder, search, open_storage, failures):
    """Without a disk nothing is left, and no replica may go on telling what only it remembers."""
    with start_redis(folder, with_search=search) as server:
        writer, reader = open_storage(server), open_storage(server)
        writer.save([record(f"lost {number}") for number in range(20)])
        assert reader.count() == 20
        restart(server)
        # As many changes as there were: the positions of the two logs look alike.
        other = open_storage(server)
        other.save([record(f"new {number}") for number in range(20)])
        for storage in (reader, writer):
            found = _settled(lambda storage=storage: storage.search(direction("lost 7"), limit=30))
            assert {one.split()[0] for one in contents(found)} == {"new"}
            assert storage.count() == 20


def test_a_replica_that_slept_through_a_trimmed_log_reads_everything_anew(server, make_storage, settings):
    reader, writer = make_storage(), make_storage()
    old = record("old")
    writer.save([old])
    assert reader.count() == 1
    writer.delete(record_ids=[old.id])
    writer.save([record(f"missed {number}") for number in range(50)])
    with server.client() as client:
        client.xtrim(f"cs:{{{settings.key_prefix}}}:log", maxlen=5, approximate=False)
    assert reader.count() == 50
    assert contents(reader.search(direction("missed 3"), limit=1)) == ["missed 3"]


def test_an_emptied_log_is_noticed(server, make_storage, settings):
    reader, writer = make_storage(), make_storage()
    writer.save([record("seen")])
    assert reader.count() == 1
    writer.save([record("missed")])
    with server.client() as client:
        client.xtrim(f"cs:{{{settings.key_prefix}}}:log", maxlen=0, approximate=False)
    assert sorted(contents(reader.list_records())) == ["missed", "seen"]


@pytest.mark.parametrize("known", [True, False], ids=["catching up", "first load"])
def test_a_read_that_failed_halfway_is_made_good_by_the_next(server, make_storage, monkeypatch, known):
    """The log was read, the records were not: the cache must not take itself for current."""
    reader, writer = make_storage(), make_storage()
    if known:
        writer.save([record("first")])
        assert reader.count() == 1
    writer.save([record("second", embedding=[] if not known else direction("second"))])
    store = reader._store

    def cut(*arguments, **options):
        raise BackendUnavailableError("read: cut", "Timeout")

    with monkeypatch.context() as during:
        during.setattr(store, "read", cut)
        with contextlib.suppress(BackendUnavailableError):  # an index of the server's reads nothing that way
            reader.count()
    assert reader.count() == 1 + known


def test_a_server_that_forgot_the_scripts_is_told_them_again(server, storage):
    saved = record("before")
    storage.save([saved])
    for call in (
        lambda: storage.save([record("after")]),
        lambda: storage.touch_records([saved.id]),
        lambda: storage.delete(record_ids=[saved.id]),
    ):
        with server.client() as client:
            client.script_flush()
        call()
    assert contents(storage.list_records()) == ["after"]


def test_an_index_is_made_over_records_that_lie_there_before_it(index_server, make_storage, tmp_path):
    """A store that was filled on a Redis without the module, and is moved to one with it."""
    settings = Settings(index_server.url, f"moved/{tmp_path.name}")
    filler = make_storage(settings)
    filler.save([record(f"fact {number}") for number in range(1200)])
    with index_server.client() as client:
        client.execute_command("FT.DROPINDEX", f"cs:{{{settings.key_prefix}}}:ix")
    later = make_storage(settings)
    assert contents(later.search(direction("fact 1199"), limit=1)) == ["fact 1199"]
    assert later.count() == 1200


def test_a_kill_amid_writes_loses_nothing_that_was_acknowledged(folder, search, open_storage, failures):
    with start_redis(folder, with_search=search, aof=True, options=("--appendfsync", "always")) as server:
        storage = open_storage(server)
        storage.save([record("first")])
        acknowledged: list[str] = []
        started = threading.Event()

        def write() -> None:
            for number in range(100_000):
                one = record(f"fact {number}")
                try:
                    storage.save([one])
                except BackendError:
                    return
                acknowledged.append(one.id)
                if number == 50:
                    started.set()

        writer = threading.Thread(target=write)
        writer.start()
        assert started.wait(20)
        server.kill()
        writer.join(20)
        assert not writer.is_alive()
        server.start()
        after = open_storage(server)
        there = {one.id for one in after.list_records(limit=200_000)}
        assert set(acknowledged) <= there
        assert len(there) <= len(acknowledged) + 2, "the first, and one that was written and not acknowledged"
        assert [one.op for one in failures] == ["save"]


def _settled(call):
    """The first answer: an index that is gone is made anew, and says so once."""
    try:
        return call()
    except BackendError:
        return call()
