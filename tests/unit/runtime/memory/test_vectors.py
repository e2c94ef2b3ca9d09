"""Distances against sums done by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crew_runtime.errors import InvalidVectorError
from crew_runtime.memory import vectors


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 24), st.integers(1, 70))
def test_the_nearest_are_those_of_brute_force(seed, number, dimension, limit):
    random = np.random.default_rng(seed)
    rows = random.standard_normal((number, dimension)).astype(np.float32)
    wanted = random.standard_normal(dimension).astype(np.float32)
    order, distances = vectors.nearest(rows, (rows**2).sum(axis=1), wanted, limit)
    true = ((rows.astype(np.float64) - wanted.astype(np.float64)) ** 2).sum(axis=1)
    assert len(order) == min(limit, number)
    assert len(set(order.tolist())) == len(order)
    assert distances == pytest.approx(np.sort(true)[:limit], rel=1e-3, abs=1e-3)
    assert true[order] == pytest.approx(distances, rel=1e-3, abs=1e-3)
    assert (np.diff(distances) >= 0).all()


def test_a_row_finds_itself_at_no_negative_distance():
    rows = np.random.default_rng(1).standard_normal((200, 384)).astype(np.float32)
    norms = (rows**2).sum(axis=1)
    for at in range(0, 200, 20):
        order, distances = vectors.nearest(rows, norms, rows[at], 1)
        assert order[0] == at
        assert 0 <= distances[0] < 1e-3


def test_it_leaves_the_rows_as_they_were():
    rows = np.eye(3, dtype=np.float32)
    norms = np.ones(3, np.float32)
    vectors.nearest(rows, norms, rows[0], 2)
    assert (rows == np.eye(3)).all()
    assert (norms == 1).all()


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_floats_come_back(values):
    packed = vectors.pack(values)
    assert vectors.dimension(packed) == len(values)
    assert vectors.unpack(packed).tolist() == values


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_what_no_search_could_find_is_refused(bad):
    with pytest.raises(InvalidVectorError, match="NaN or infinite"), np.errstate(over="ignore"):
        vectors.pack([1.0, bad])


def test_the_score_is_lancedbs():
    assert vectors.score(0.0) == 1.0
    assert vectors.score(1.0) == 0.5
    assert vectors.score(3.0) == 0.25
