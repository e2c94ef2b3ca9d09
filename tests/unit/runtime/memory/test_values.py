"""Metadata in JSON's types."""

import json
from collections import UserDict
from datetime import date, time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crew_runtime.errors import InvalidMetadataError
from crew_runtime.memory import values

KEYS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)
)
LEAVES = KEYS | st.binary(max_size=3) | st.dates() | st.datetimes()
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.lists(inner, max_size=2).map(tuple)
        | st.frozensets(LEAVES, max_size=3)
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_whatever_is_given_can_be_kept_and_comes_back_the_same(given_value):
    kept = values.plain(given_value)
    assert json.loads(json.dumps(kept)) == kept
    assert values.plain(kept) == kept
    assert values.canonical(kept) == values.canonical(json.loads(values.canonical(kept)))


@given(st.dictionaries(KEYS, st.integers(), max_size=4))
def test_keys_are_spelled_as_json_spells_them(given_value):
    assert values.metadata(given_value) == json.loads(json.dumps(given_value))


@pytest.mark.parametrize(
    ("one", "kept"),
    [
        ({3, 1, 2}, [1, 2, 3]),
        ({"b", 1}, ["b", 1]),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (np.float32(0.5), 0.5),
        (np.array([[1, 2]]), [[1, 2]]),
        (UserDict(a=(1,)), {"a": [1]}),
        (b"raw", "b'raw'"),
        ([float("nan"), float("-inf")], [None, None]),
    ],
)
def test_what_json_has_not_is_kept_as_what_it_says(one, kept):
    assert values.plain(one) == kept


def test_no_metadata_are_none():
    assert values.metadata(None) == {}


def test_what_holds_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(InvalidMetadataError, match="64 levels"):
        values.metadata({"a": endless})
