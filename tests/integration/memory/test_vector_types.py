"""A store keeps its vectors as Float32 or as Float16; which one is the store's own, whatever its users ask for."""

import dataclasses
import threading

import numpy as np
import pytest

from crew_runtime.errors import InvalidVectorError
from support.memories import contents, direction, record


@pytest.fixture
def halved(settings):
    return dataclasses.replace(settings, vector_type="FLOAT16")


def test_a_store_of_halves_finds_the_same_with_the_same_scores(make_storage, halved):
    storage = make_storage(halved)
    saved = [record(f"memory {number}") for number in range(200)]
    storage.save(saved)
    assert storage.vector_type == "FLOAT16"
    vectors = np.array([one.embedding for one in saved])
    for query in (direction("memory 7"), direction("something else")):
        found = storage.search(query, limit=5)
        squared = ((vectors - np.array(query)) ** 2).sum(axis=1)
        assert contents(found) == [saved[at].content for at in np.argsort(squared)[:5]]
        assert [score for _, score in found] == pytest.approx((1 / (1 + np.sort(squared)[:5])).tolist(), rel=1e-2)


def test_a_vector_comes_back_to_three_digits_and_takes_half_the_bytes(make_storage, halved, server):
    storage = make_storage(halved)
    one = record("x")
    storage.save([one])
    assert storage.get_record(one.id).embedding == pytest.approx(one.embedding, rel=1e-3, abs=1e-4)
    (key,) = server.client().keys(f"cs:{{{halved.key_prefix}}}:m:*")
    assert server.client().hstrlen(key, "v") == 2 * len(one.embedding)
    storage.update(one.model_copy(update={"content": "y", "embedding": direction("y")}))
    assert contents(make_storage(halved).search(direction("y"), limit=1)) == ["y"]


def test_a_store_that_holds_vectors_keeps_its_own_type(make_storage, settings, halved):
    make_storage(settings).save([record("first")])
    late = make_storage(halved)
    assert late.vector_type == "FLOAT32"
    late.save([record("second")])
    assert set(contents(make_storage(settings).search(direction("second")))) == {"first", "second"}


def test_those_that_begin_a_store_at_once_agree_on_one_type(make_storage, settings, halved):
    both = [make_storage(settings), make_storage(halved)]
    for one in both:
        assert one.dimension is None
    ready = threading.Barrier(2)

    def begin(number: int) -> None:
        ready.wait()
        for at in range(20):
            both[number].save([record(f"{number}-{at}")])

    threads = [threading.Thread(target=begin, args=(number,)) for number in (0, 1)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert make_storage(settings).count() == 40
    assert len({one.vector_type for one in both}) == 1
    for reader in (make_storage(settings), make_storage(halved)):
        for name in ("0-19", "1-19"):
            (found, score), *_ = reader.search(direction(name), limit=1)
            assert (found.content, score) == (name, pytest.approx(1, rel=1e-3))


def test_a_declared_dimension_fixes_the_type_too_and_only_once(make_storage, settings, halved):
    make_storage(dataclasses.replace(halved, dimension=8)).check()
    other = make_storage(dataclasses.replace(settings, dimension=8))
    other.check()
    assert (other.dimension, other.vector_type) == (8, "FLOAT16")


def test_values_beyond_what_a_half_holds_are_refused_by_name(make_storage, halved, failures):
    storage = make_storage(halved)
    storage.save([record("x")])
    with pytest.raises(InvalidVectorError, match=r"FLOAT16 cannot keep.*spec\.memory\.vectorType"):
        storage.save([record("y", embedding=[70_000.0, *direction("y")[1:]])])
    assert [one.kind for one in failures] == ["Vector"]
    assert storage.count() == 1
