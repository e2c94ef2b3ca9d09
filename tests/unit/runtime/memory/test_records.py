"""A record, its hash, and the bytes between."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crew_runtime import redis_client
from crew_runtime.errors import InvalidVectorError
from crew_runtime.memory import filters, records, vectors
from crew_runtime.memory.filters import Filter
from crew_runtime.memory.records import FOUND_FIELDS, Record

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
times = st.floats(0, 4e9).map(lambda at: round(at, 6))
any_record = st.builds(
    Record,
    id=st.uuids().map(str),
    content=st.text(),
    scope=st.just("/c/x"),
    categories=st.lists(st.text(max_size=9)).map(tuple),
    metadata=st.dictionaries(st.text(max_size=5), plain, max_size=3),
    importance=st.floats(0, 1),
    created=times,
    accessed=times,
    source=st.none() | st.text(max_size=5),
    private=st.booleans(),
    vector=st.just(b""),
)


@given(any_record, st.booleans())
def test_a_record_survives_its_hash(record, over):
    flat = records.to_fields(record, over=over)
    hash_ = {
        name: value if isinstance(value, bytes) else value.encode()
        for name, value in zip(flat[::2], flat[1::2], strict=True)
    }
    found = records.from_fields(record.id, *(hash_[name] for name in FOUND_FIELDS))
    assert found == record
    assert json.loads(hash_.get("cats", b"[]")) == list(record.categories)


@given(any_record)
def test_replacing_a_record_replaces_every_field_that_a_search_sees(record):
    fields = set(records.to_fields(record, over=True)[::2])
    assert fields >= {"d", "scope", "anc", "cat", "cats", "md", "ts", "la", "exp"}


def test_a_hash_that_is_gone_is_no_record():
    assert records.from_fields("x", None, b"1") is None


@given(st.text(), st.text())
def test_tags_differ_when_texts_do(one, other):
    assert (records.tag(one) == records.tag(other)) == (one == other)
    assert records.tag(one).isalnum()


def test_metadata_tags_tell_types_apart():
    values = (1, "1", True, None, [1], 1.5)
    assert len({records.metadata_tags({"k": value})[0] for value in values}) == len(values)


@given(st.text(), st.lists(st.text()), st.dictionaries(st.text(), plain))
def test_a_query_has_nothing_to_escape(root, categories, metadata):
    text = filters.query(Filter((root,), tuple(categories), metadata))
    assert set(text) <= set("()@{}|: abcdefghijklmnopqrstuvwxyz0123456789")


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=20))
def test_vectors_survive_packing(vector):
    packed = vectors.pack(vector)
    assert vectors.dimension(packed) == len(vector)
    assert vectors.unpack(packed).tolist() == vector


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_no_search_could_find_is_no_vector(bad):
    with pytest.raises(InvalidVectorError, match="correct the embedder"):
        vectors.pack([0.0, bad])


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_nearest_is_exact(rows, limit, seed):
    draw = np.random.default_rng(seed)
    matrix, wanted = draw.standard_normal((rows, 8), np.float32), draw.standard_normal(8, np.float32)
    order, distances = vectors.nearest(matrix, np.einsum("ij,ij->i", matrix, matrix), wanted, limit)
    exact = ((matrix - wanted) ** 2).sum(1)
    assert np.allclose(distances, np.sort(exact)[:limit], atol=1e-4)
    assert np.allclose(exact[order], distances, atol=1e-4)


@given(st.lists(st.binary() | st.integers() | st.text()))
def test_commands_are_packed_as_redis_py_packs_them(arguments):
    from redis.connection import Connection

    told = [one if isinstance(one, bytes) else str(one).encode() for one in arguments]
    assert redis_client.packed(["EVALSHA", *arguments]) == b"".join(Connection().pack_command("EVALSHA", *told))
