"""JSON patches that a real API server refuses, or takes though the RFC does not have them."""

import pytest

from localcluster.apiserver import patch
from localcluster.apiserver.status import ApiError


def refused(target, operations):
    with pytest.raises(ApiError) as told:
        patch.json_patch(target, operations)
    return told.value.code


@pytest.mark.parametrize(("held", "tested"), [(True, 1), (0, False), ({"a": [1]}, {"a": [True]})])
def test_a_truth_is_no_number(held, tested):
    assert refused({"x": held}, [{"op": "test", "path": "/x", "value": tested}]) == 422


def test_equal_values_pass_in_any_order():
    held = {"x": {"a": 1, "b": [True, None]}}
    tested = {"b": [True, None], "a": 1}
    assert patch.json_patch(held, [{"op": "test", "path": "/x", "value": tested}]) == held


def test_an_index_counts_from_the_end():
    assert patch.json_patch({"x": [1, 2]}, [{"op": "remove", "path": "/x/-1"}]) == {"x": [1]}


def test_copies_of_copies_end():
    """A kilobyte, doubled forty times."""
    doubling = [{"op": "copy", "from": "/x", "path": f"/x/{number}"} for number in range(40)]
    assert refused({"x": {"seed": "x" * 1024}}, doubling) == 422


def test_operations_are_counted():
    assert refused({}, [{"op": "add", "path": "/x", "value": 1}] * (patch.MAX_OPERATIONS + 1)) == 413


@pytest.mark.parametrize("operations", ["x", {"op": "add"}, ["add"], [None]])
def test_what_is_no_patch_is_a_bad_request(operations):
    assert refused({}, operations) == 400


def test_a_refused_patch_leaves_the_object():
    held = {"x": [1]}
    assert refused(held, [{"op": "add", "path": "/x/0", "value": 2}, {"op": "remove", "path": "/y"}]) == 422
    assert held == {"x": [1]}
