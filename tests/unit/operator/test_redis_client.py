import inspect

import pytest
import redis.exceptions

from crew_operator import redis_client
from crew_operator.status.observed import RedisState

ERRORS = [
    error
    for _, error in inspect.getmembers(redis.exceptions, inspect.isclass)
    if issubclass(error, redis.exceptions.RedisError)
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_of_the_library_is_explained_and_none_is_ok(error):
    made = error.__new__(error)
    Exception.__init__(made, "said Redis")
    state, message = redis_client.explain(made)
    assert state is not RedisState.OK
    assert message


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (redis.exceptions.AuthenticationError("WRONGPASS invalid"), RedisState.AUTH_FAILED),
        (redis.exceptions.BusyLoadingError("LOADING"), RedisState.LOADING),
        (redis.exceptions.ReadOnlyError("READONLY"), RedisState.READ_ONLY),
        (redis.exceptions.OutOfMemoryError("OOM"), RedisState.OUT_OF_MEMORY),
        (redis.exceptions.ResponseError("MISCONF Errors writing to the AOF file"), RedisState.DISK_FULL),
        (redis.exceptions.ResponseError("NOREPLICAS Not enough good replicas"), RedisState.READ_ONLY),
        (redis.exceptions.ResponseError("NOAUTH Authentication required."), RedisState.AUTH_FAILED),
        (redis.exceptions.ConnectionError("refused"), RedisState.UNREACHABLE),
        (redis.exceptions.TimeoutError("slow"), RedisState.WEDGED),
        (ConnectionRefusedError(111, "refused"), RedisState.UNREACHABLE),
        (redis.exceptions.ResponseError("ERR whatever"), RedisState.ERROR),
    ],
)
def test_error_tells_its_cause(error, state):
    assert redis_client.explain(error)[0] is state


def test_address_has_no_credentials():
    assert redis_client.address("rediss://me:secret@store.example:6380/2") == "rediss://store.example:6380"
    assert redis_client.address("redis://store") == "redis://store:6379"


@pytest.mark.parametrize("url", ["", "http://x", "redis://", "store:6379"])
def test_what_is_no_redis_url_is_told_without_repeating_it(url):
    with pytest.raises(ValueError, match=r"write redis\[s\]://"):
        redis_client.address(url)
