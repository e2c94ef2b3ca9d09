import pytest

from crew_operator.status import filling
from crew_operator.status.observed import RedisLook, RedisState


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
