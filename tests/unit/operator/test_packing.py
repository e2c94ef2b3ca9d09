import secrets

from hypothesis import given
from hypothesis import strategies as st

from crew_operator.packing import Packer

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)


@given(st.lists(ANYTHING, min_size=1, max_size=4))
def test_what_was_packed_comes_back_whatever_came_first_and_equal_data_are_equal_bytes(objects):
    packer = Packer()
    packed = [packer.pack(one) for one in objects]
    assert [packer.unpack(one) for one in packed] == objects
    assert [packer.pack(one) for one in objects[1:]] == packed[1:]


def test_the_order_of_keys_is_no_difference():
    packer = Packer({"a": 1})
    assert packer.pack({"a": 1, "b": 2}) == packer.pack({"b": 2, "a": 1})


def test_what_objects_have_in_common_is_kept_once():
    common = {f"field-{number}": secrets.token_hex(8) for number in range(100)}
    packer = Packer()
    _, second = (packer.pack({**common, "own": secrets.token_hex(8)}) for _ in range(2))
    assert packer.unpack(second).items() > common.items()
    assert len(second) < 150
