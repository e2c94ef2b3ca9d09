"""Records that hardly anybody writes, and stores that somebody emptied: nothing is lost, and nothing fails for ever."""

import dataclasses
import enum
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import BaseModel

from crew_runtime.crewai.state.memory_storage import RedisStorage
from crew_runtime.errors import BackendError
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.sessions import binding
from crew_runtime.settings import Settings
from support.memories import contents, direction, record
from support.redis_server import start_redis

HALF = "\ud83d"
"""Half of an emoji, as a text has it that was cut in UTF-16: Python takes it, UTF-8 does not."""


class Guest(BaseModel):
    name: str
    since: datetime


class Colour(enum.Enum):
    RED = "red"


def odd(**fields):
    given = {
        "id": f"id{HALF}",
        "categories": [f"cat{HALF}"],
        "metadata": {f"key{HALF}": f"value{HALF}"},
        "source": f"source{HALF}",
        **fields,
    }
    return record(f"content{HALF}", f"/scope{HALF}/below", **given)


@pytest.mark.parametrize("session", [None, "s1", f"s{HALF}"])
def test_a_record_with_half_characters_is_kept_found_changed_and_deleted(storage, session):
    with binding.bind(session) if session else binding.bind("other"):
        saved = odd()
        storage.save([record("beside"), saved])
        assert storage.get_record(saved.id).model_dump() == saved.model_dump()
        for found in (
            storage.search(saved.embedding, f"/scope{HALF}")[0][0],
            storage.search(saved.embedding, categories=[f"cat{HALF}"], metadata_filter=dict(saved.metadata))[0][0],
            storage.list_records(f"/scope{HALF}")[0],
        ):
            assert found.model_dump() == saved.model_dump()
        assert storage.list_scopes() == [f"/scope{HALF}"]
        assert storage.list_categories() == {f"cat{HALF}": 1}
        assert storage.get_scope_info(f"/scope{HALF}").child_scopes == [f"/scope{HALF}/below"]
        storage.touch_records([saved.id])
        storage.update(saved.model_copy(update={"content": f"changed{HALF}"}))
        assert storage.get_record(saved.id).content == f"changed{HALF}"
        assert storage.delete(f"/scope{HALF}") == 1
        assert contents(storage.list_records()) == ["beside"]


def test_another_process_that_follows_the_log_reads_half_characters_too(storage, make_storage):
    other = make_storage()
    other.save([record("first")])
    assert contents(other.search(direction("first"))) == ["first"]
    saved = odd()
    storage.save([saved])
    assert other.search(saved.embedding, limit=1)[0][0].id == saved.id
    storage.delete(record_ids=[saved.id])
    assert contents(other.list_records()) == ["first"]


def test_metadata_with_keys_of_several_types_is_kept_and_found(storage):
    """JSON has text keys only: so LanceDB's gives them back, and ours."""
    saved = record("mixed", metadata={"nested": {1: "one", "b": {None: 2, True: 3}, (1, 2): "pair"}, "list": [{2: 2}]})
    storage.save([saved])
    (found,) = storage.list_records()
    nested = {"1": "one", "b": {"null": 2, "true": 3}, "(1, 2)": "pair"}
    assert found.metadata == {"nested": nested, "list": [{"2": 2}]}
    for given in (saved.metadata, found.metadata):
        assert contents(storage.search(direction("mixed"), metadata_filter=given)) == ["mixed"]
    storage.update(saved.model_copy(update={"content": "changed"}))
    assert contents(storage.list_records()) == ["changed"]


def test_metadata_that_is_not_json_is_kept_as_what_it_says(storage):
    """LanceDB's storage refuses the whole record (TypeError), and CrewAI drops it with an event."""
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    metadata = {
        "at": at,
        "day": at.date(),
        "tags": {"b", "a"},
        "pair": (1, 2),
        "guest": Guest(name="Ada", since=at),
        "colour": Colour.RED,
        "path": Path("/a/b"),
        "raw": b"\xff",
    }
    storage.save([record("rich", metadata=metadata)])
    (found,) = storage.list_records()
    assert found.metadata == {
        "at": "2026-01-02T03:04:00+00:00",
        "day": "2026-01-02",
        "tags": ["a", "b"],
        "pair": [1, 2],
        "guest": {"name": "Ada", "since": "2026-01-02T03:04:00Z"},
        "colour": "red",
        "path": "/a/b",
        "raw": "b'\\xff'",
    }
    for key, value in metadata.items():
        assert contents(storage.search(direction("rich"), metadata_filter={key: value})) == ["rich"], key


def test_the_same_said_twice_is_known_by_what_its_metadata_say(storage):
    for tags in ({"a", "b", "c"}, {"c", "b", "a"}):
        storage.save([record("twice", metadata={"tags": tags, "nested": {1: 1, "b": 2}})])
    assert storage.count() == 1


@pytest.fixture(params=["index", "plain"])
def emptied(request, folder):
    """Two processes' stores that were used, on a Redis that somebody then emptied."""
    with start_redis(folder, with_search=request.param == "index") as server:
        settings = Settings(server.url, "a/b")
        opened = [Connections(settings) for _ in range(2)]
        stores = [RedisStorage(settings, Guard(one)) for one in opened]
        for number, storage in enumerate(stores):
            storage.save([record(f"before {number}")])
            assert storage.search(direction("before"))
        with server.client() as client:
            client.flushall()
        yield stores
        for one in opened:
            one.close()


def test_an_emptied_redis_is_an_empty_store_to_all_and_takes_new_memories(emptied):
    one, other = emptied
    assert one.search(direction("before")) == []
    assert (other.count(), other.list_scopes(), other.list_records()) == (0, [], [])
    other.save([record("after", "/new")])
    for storage in (one, other):
        assert contents(storage.search(direction("after"))) == ["after"]
        assert storage.list_scopes() == ["/new"]


def test_a_redis_that_was_emptied_and_is_reached_anew_is_an_empty_store(folder):
    """As by a kickoff's own process: it is forked with what was known of the store, and connects for itself."""
    with start_redis(folder, with_search=True) as server:
        settings = Settings(server.url, "a/b")
        connections = Connections(settings)
        storage = RedisStorage(settings, Guard(connections))
        storage.save([record("before")])
        assert storage.search(direction("before"))
        with server.client() as client:
            client.flushall()
            client.client_kill_filter(_type="normal", skipme=True)
        assert storage.get_record("one") is None  # the new connection is there before anybody searches
        assert storage.search(direction("before")) == []
        assert (storage.count(), storage.list_scopes(), storage.list_records()) == (0, [], [])
        storage.save([record("after")])
        assert contents(storage.search(direction("after"))) == ["after"]
        connections.close()


@pytest.mark.parametrize("looks_first", [True, False])
def test_an_emptied_redis_takes_another_embedders_vectors(emptied, looks_first):
    """To change the embedder somebody empties the store: the first vector that comes then fixes it anew, for all."""
    one, other = emptied
    if looks_first:
        assert one.search(direction("before", 24)) == []
        assert one.search(direction("before")) == []
    one.save([record("after", embedding=direction("after", 24))])
    for storage in (one, other):
        assert contents(storage.search(direction("after", 24))) == ["after"]
        assert storage.dimension == 24


def test_an_emptied_redis_holds_for_the_old_embedder_what_the_new_one_fixed(emptied, failures):
    one, other = emptied
    one.save([record("after", embedding=direction("after", 24))])
    for call in (lambda: other.search(direction("late")), lambda: other.save([record("late")])):
        with pytest.raises(BackendError, match=r"24 dimensions.* gives 16"):
            call()
    assert [failure.kind for failure in failures] == ["Dimension", "Dimension"]
    assert contents(other.list_records()) == ["after"]


def test_metadata_that_hold_themselves_are_refused_and_told(storage, failures):
    """Not by a RecursionError: that is a RuntimeError, which CrewAI takes for the end of the interpreter."""
    endless = {}
    endless["again"] = endless
    for call in (
        lambda: storage.save([record("endless", metadata=endless)]),
        lambda: storage.search(direction("x"), metadata_filter=endless),
    ):
        with pytest.raises(BackendError, match="hold themselves"):
            call()
    assert [(one.op, one.kind) for one in failures] == [("save", "Metadata"), ("search", "Metadata")]


def test_an_emptied_redis_takes_records_of_a_session(emptied):
    one, other = emptied
    with binding.bind("s1"):
        one.save([record("ours")])
        assert contents(other.search(direction("ours"))) == ["ours"]


def test_a_declared_dimension_is_declared_again_by_the_next_start(emptied):
    one, _ = emptied
    with_dimension = dataclasses.replace(one._settings, dimension=24)
    connections = Connections(with_dimension)
    started = RedisStorage(with_dimension, Guard(connections))
    started.check()
    assert started.dimension == 24
    connections.close()


def test_what_nobody_thought_of_is_told_and_never_a_runtime_error(storage, failures):
    """CrewAI's recall would go on without a word."""

    class Unreadable(str):
        def split(self, *_):
            raise RecursionError("odd")

    for call in (lambda: storage.search(direction("x"), Unreadable("/")), lambda: storage.count(Unreadable("/"))):
        with pytest.raises(BackendError, match="RecursionError: odd") as caught:
            call()
        assert not isinstance(caught.value, RuntimeError)
    assert [(one.op, one.kind) for one in failures] == [("search", "Error"), ("count", "Error")]


def test_the_store_knows_which_embedder_its_memories_were_made_with(storage, make_storage):
    assert storage.embedder_mismatch("openai/small") == ""
    assert storage.embedder_mismatch("openai/large") == "", "it holds nothing that could not be compared"
    storage.save([record("made with large")])
    other = make_storage()
    assert "made with the embedder openai/large, and this crew uses openai/small" in other.embedder_mismatch(
        "openai/small"
    )
    assert other.embedder_mismatch("openai/large") == other.embedder_mismatch("openai") == ""
    storage.reset()
    assert other.embedder_mismatch("openai/small") == ""
