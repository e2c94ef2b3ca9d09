"""CrewAI's StorageBackend contract, over both ways of searching."""

import asyncio
import inspect
import threading
from datetime import UTC, datetime, timedelta

import pytest
from crewai.memory.storage.backend import StorageBackend

from crew_runtime.errors import DimensionMismatchError, InvalidVectorError
from support.memories import DIMENSION, contents, direction, record


def test_every_method_of_the_contract_is_there_with_its_parameters(storage):
    assert isinstance(storage, StorageBackend)
    for name, wanted in inspect.getmembers(StorageBackend, inspect.isfunction):
        if not name.startswith("_"):
            ours = inspect.signature(getattr(storage, name)).parameters
            theirs = list(inspect.signature(wanted).parameters.values())[1:]
            assert [one.name for one in theirs] == list(ours), name
            assert [one.default for one in theirs] == [one.default for one in ours.values()], name


def test_a_record_comes_back_as_it_was_saved(storage):
    saved = record("grüße \U0001f389\0", "/a/b", categories=["x, y", "z"], metadata={"k": [1, {"n": None}]},
                   importance=0.9, source="guest 7", private=True, age=12.345678)  # fmt: skip
    storage.save([saved])
    for found in (storage.get_record(saved.id), storage.list_records()[0], storage.search(saved.embedding)[0][0]):
        assert found.model_dump() == saved.model_dump()
        assert found.created_at.tzinfo is None
    assert storage.get_record(saved.id).embedding == pytest.approx(saved.embedding)


def test_search_gives_the_nearest_first_with_lancedbs_score(storage):
    far, near = record("far"), record("near")
    storage.save([far, near])
    query = [one * 1.1 for one in near.embedding]
    found = storage.search(query, limit=2)
    assert contents(found) == ["near", "far"]
    for one, score in found:
        squared = sum((a - b) ** 2 for a, b in zip(direction(one.content), query, strict=True))
        assert score == pytest.approx(1 / (1 + squared), rel=1e-4)
    assert contents(storage.search(query, limit=1)) == ["near"]
    assert contents(storage.search(query, min_score=0.9)) == ["near"]
    assert storage.search(query, limit=0) == []


def test_an_empty_store_finds_nothing(storage):
    assert storage.search(direction("x")) == []
    assert storage.list_records() == []
    assert storage.count() == 0
    assert storage.delete() == 0
    assert storage.get_record("none") is None


@pytest.mark.parametrize("early", [True, False], ids=["before any vector", "beside vectors"])
def test_a_record_without_a_vector_is_listed_and_not_found(storage, early):
    if not early:
        storage.save([record("with")])
    storage.save([record("without", "/s", embedding=[], categories=["c"])])
    if early:
        assert storage.dimension is None
        storage.save([record("with")])
    assert sorted(contents(storage.list_records())) == ["with", "without"]
    assert contents(storage.search(direction("without"))) == ["with"]
    assert storage.list_categories() == {"c": 1}
    assert storage.delete("/s") == 1


def test_scopes_are_paths_and_not_text(storage):
    storage.save([record("one", "/session/1"), record("ten", "/session/10"), record("below", "/session/1/deep/er")])
    assert sorted(contents(storage.list_records("/session/1"))) == ["below", "one"]
    assert sorted(contents(storage.search(direction("ten"), "/session/1"))) == ["below", "one"]
    assert storage.count("/session/1/") == 2
    assert storage.list_scopes("/session") == ["/session/1", "/session/10"]
    assert storage.list_scopes("/session/1") == ["/session/1/deep"]
    assert storage.delete("/session/1") == 2
    assert contents(storage.list_records()) == ["ten"]


@pytest.mark.parametrize(
    "odd", ["/a-b.c", "/with blank ", "/quo\"te's", "/back\\slash", "/{brace}|bar", "/ümlaut", "/" + "x" * 5000]
)
def test_a_scope_may_have_any_characters(storage, odd):
    storage.save([record("odd", odd), record("plain", "/a")])
    assert contents(storage.search(direction("odd"), odd)) == ["odd"]
    assert storage.list_scopes() == sorted([odd, "/a"])
    assert storage.delete(odd) == 1


def test_categories_are_any_of_and_exact(storage):
    storage.save([record("a", categories=["red", "Big"]), record("b", categories=["blue"]), record("c")])
    assert sorted(contents(storage.search(direction("a"), categories=["red", "blue"]))) == ["a", "b"]
    assert storage.search(direction("a"), categories=["big"]) == []
    assert storage.list_categories() == {"red": 1, "Big": 1, "blue": 1}


def test_metadata_is_all_of_and_exact(storage):
    storage.save([record("one", metadata={"n": 1, "s": "x"}), record("text", metadata={"n": "1", "s": "x"})])
    assert contents(storage.search(direction("one"), metadata_filter={"n": 1})) == ["one"]
    assert contents(storage.search(direction("one"), metadata_filter={"n": "1", "s": "x"})) == ["text"]
    assert storage.search(direction("one"), metadata_filter={"n": 1, "s": "y"}) == []
    assert storage.delete(metadata_filter={"n": 1}) == 1


def test_newest_first_page_by_page(storage):
    storage.save([record(f"r{age}", age=age) for age in (3, 1, 2, 5, 4)])
    assert contents(storage.list_records(limit=2)) == ["r1", "r2"]
    assert contents(storage.list_records(limit=2, offset=2)) == ["r3", "r4"]


def test_forget_by_age_respects_the_age_and_the_scope(storage):
    storage.save(
        [
            record("old", "/a", age=100),
            record("new", "/a"),
            record("old root", age=100),
            record("other", "/ab", age=100),
        ]
    )
    cut = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=50)
    assert storage.delete("/a", older_than=cut) == 1
    assert sorted(contents(storage.list_records())) == ["new", "old root", "other"]


def test_delete_by_ids_and_demands_needs_both(storage):
    first, second = record("first", categories=["c"]), record("second")
    storage.save([first, second])
    assert storage.delete(record_ids=[first.id, second.id], categories=["c"]) == 1
    assert storage.delete(record_ids=[second.id], scope_prefix="/elsewhere") == 0
    assert storage.delete(record_ids=[second.id, "unknown"]) == 1


def test_update_replaces_everything_and_the_search_follows(storage):
    saved = record("tea", "/a", categories=["old"], metadata={"old": 1})
    storage.save([saved])
    assert contents(storage.search(direction("tea"))) == ["tea"]
    storage.update(
        saved.model_copy(
            update={
                "content": "rum",
                "scope": "/b",
                "categories": ["new"],
                "metadata": {},
                "embedding": direction("rum"),
            }
        )
    )
    assert contents(storage.search(direction("rum"), "/b", min_score=0.99)) == ["rum"]
    assert storage.count("/a") == 0
    assert storage.search(direction("rum"), categories=["old"]) == []
    assert storage.search(direction("rum"), metadata_filter={"old": 1}) == []
    assert storage.count() == 1


def test_a_late_update_or_touch_brings_no_deleted_record_back(storage):
    saved = record("gone")
    storage.save([saved])
    storage.delete(record_ids=[saved.id])
    storage.update(saved)
    storage.touch_records([saved.id])
    assert storage.get_record(saved.id) is None
    assert storage.count() == 0


def test_touch_sets_the_time_of_the_last_access(storage):
    saved = record("touched", age=1000)
    storage.save([saved])
    storage.touch_records([saved.id])
    found = storage.get_record(saved.id)
    assert datetime.now(UTC).replace(tzinfo=None) - found.last_accessed < timedelta(seconds=30)
    assert found.created_at == saved.created_at
    assert contents(storage.search(direction("touched"))) == ["touched"]


def test_scope_info_counts_what_lies_below(storage):
    old, new = record("old", "/a", age=50, categories=["x"]), record("new", "/a/b/c", categories=["y"])
    storage.save([old, new, record("beside", "/ab")])
    info = storage.get_scope_info("/a/")
    assert (info.path, info.record_count, info.categories, info.child_scopes) == ("/a", 2, ["x", "y"], ["/a/b"])
    assert abs(info.oldest_record - old.created_at) < timedelta(milliseconds=100)
    assert abs(info.newest_record - new.created_at) < timedelta(milliseconds=100)
    assert storage.get_scope_info("/none").record_count == 0
    assert storage.get_scope_info("/").path == "/"


def test_reset_takes_the_scope_or_all(storage):
    storage.save([record("a", "/a"), record("b", "/b")])
    storage.reset("/a")
    assert contents(storage.list_records()) == ["b"]
    storage.reset()
    assert storage.count() == 0


def test_the_first_vector_fixes_the_dimension(storage, make_storage, failures):
    storage.save([record("first")])
    assert make_storage().dimension == DIMENSION
    with pytest.raises(DimensionMismatchError, match=f"{DIMENSION} dimensions.* gives 3"):
        make_storage().save([record("other", embedding=[1.0, 2.0, 3.0])])
    with pytest.raises(DimensionMismatchError, match=f"{DIMENSION} dimensions.* gives 3"):
        make_storage().search([1.0, 2.0, 3.0])
    assert [(one.op, one.kind) for one in failures] == [("save", "Dimension"), ("search", "Dimension")]
    assert storage.count() == 1


def test_a_batch_is_written_whole_or_not_at_all(storage, failures):
    with pytest.raises(DimensionMismatchError):
        storage.save([record("good"), record("bad", embedding=[1.0])])
    assert storage.count() == 0
    assert storage.dimension is None
    assert failures


def test_a_vector_that_no_search_could_find_is_refused(storage, failures):
    with pytest.raises(InvalidVectorError):
        storage.save([record("nan", embedding=[float("nan")] * DIMENSION)])
    assert [one.kind for one in failures] == ["Vector"]


def test_a_large_batch_and_many_children(storage):
    storage.save([record(f"r{number}", f"/s/{number}") for number in range(2300)])
    assert storage.count() == 2300
    assert len(storage.list_scopes("/s")) == 2300
    assert contents(storage.search(direction("r2299"), limit=1)) == ["r2299"]
    assert storage.delete("/s") == 2300


def test_a_batch_is_one_round_trip(storage, server):
    storage.save([record("warm")])
    with server.client() as client:
        before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        packets = client.info("stats")["total_commands_processed"]
        storage.save([record(f"r{number}") for number in range(50)])
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1
        # HSET, ZADD, INCR, XADD, HGET, GET, SET, PERSIST, ZREM a record, and what the script begins with
        in_script = 50 * 9 + 50
        assert client.info("stats")["total_commands_processed"] - packets <= in_script


def test_another_process_sees_each_write_at_once(storage, make_storage):
    other = make_storage()
    assert other.search(direction("x")) == []
    for number in range(5):
        saved = record(f"fact {number}")
        storage.save([saved])
        assert contents(other.search(saved.embedding, limit=1)) == [f"fact {number}"]
        storage.delete(record_ids=[saved.id])
        assert other.search(saved.embedding, min_score=0.99) == []


def test_threads_may_use_it_at_once(storage):
    errors = []

    def work(name):
        try:
            for number in range(20):
                storage.save([record(f"{name} {number}", f"/{name}")])
                assert contents(storage.search(direction(f"{name} {number}"), f"/{name}", limit=1)) == [
                    f"{name} {number}"
                ]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert errors == []
    assert storage.count() == 160


async def test_the_asynchronous_methods_do_the_same(storage):
    await storage.asave([record("async", "/a")])
    assert contents(await storage.asearch(direction("async"), scope_prefix="/a", limit=3)) == ["async"]
    assert await asyncio.gather(storage.adelete(scope_prefix="/b"), storage.adelete(scope_prefix="/a")) == [0, 1]


def test_close_leaves_it_usable(storage):
    storage.close()
    storage.save([record("after")])
    assert storage.count() == 1
