import hashlib

import pytest

from crew_operator.desired.redis_users import RedisUsers
from crew_runtime.contract import resource

NEW = hashlib.sha256(b"new").hexdigest()


@pytest.mark.parametrize(
    ("users", "alone"),
    [
        (RedisUsers("hotel/concierge", "new", "own"), True),
        (RedisUsers("hotel/concierge", "new", "own", ("a" * 64,)), False),
        (RedisUsers("hotel/concierge", "old", "own"), False),
    ],
)
def test_the_users_of_redis_tell_whether_an_earlier_password_holds(users, alone):
    assert resource.takes_only(users.configuration(), NEW) is alone


@pytest.mark.parametrize("text", ["", "user default on nopass", f"user other on #{NEW} ~*"])
def test_users_that_are_not_ours_take_nothing(text):
    assert not resource.takes_only(text, NEW)
