import pytest

from crew_operator.status import filling
from crew_operator.status.observed import Persistence, RedisLook, RedisState


@pytest.mark.parametrize(
    ("before", "fullness", "after"),
    [
        (False, 0.0, False),
        (False, 0.84, False),
        (False, 0.85, True),
        (False, 1.0, True),
        (True, 0.84, True),
        (True, 0.8, True),
        (True, 0.79, False),
        (True, 0.0, False),
    ],
)
def test_what_comes_and_goes_around_the_bound_is_told_once(before, fullness, after):
    assert filling.nearly_full(before, RedisLook(RedisState.OK, fullness=fullness)) is after


@pytest.mark.parametrize("before", [True, False])
def test_a_redis_that_gives_no_answer_changes_nothing(before):
    assert filling.nearly_full(before, RedisLook(RedisState.WEDGED)) is before


@pytest.mark.parametrize(
    ("before", "base", "size", "after"),
    [
        (False, 283, 1000, False),
        (False, 284, 1000, True),
        (True, 270, 1000, True),
        (True, 266, 1000, False),
        (False, 900, 0, False),
        (True, 900, 0, True),
    ],
)
def test_the_volume_needs_room_for_two_old_files_and_a_new_one(before, base, size, after):
    look = RedisLook(RedisState.OK, persistence=Persistence(appends=True, base=base))
    assert filling.disk_nearly_full(before, look, size) is after


@pytest.mark.parametrize("before", [True, False])
def test_a_redis_that_says_nothing_of_its_file_changes_nothing(before):
    assert filling.disk_nearly_full(before, RedisLook(RedisState.OK), 1) is before
    full = Persistence(appends=True, base=9)
    assert filling.disk_nearly_full(before, RedisLook(RedisState.WEDGED, persistence=full), 1) is before
