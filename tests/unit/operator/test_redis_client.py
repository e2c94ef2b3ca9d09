import socket
import ssl

import pytest

from crew_operator import redis_client
from crew_operator.resp import ErrorReply, NotRedisError
from crew_operator.status.observed import RedisState


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ErrorReply("WRONGPASS invalid username-password pair"), RedisState.AUTH_FAILED),
        (ErrorReply("NOAUTH Authentication required."), RedisState.AUTH_FAILED),
        (ErrorReply("ERR invalid password"), RedisState.AUTH_FAILED),
        (ErrorReply("NOPERM no permission to run 'set'"), RedisState.AUTH_FAILED),
        (ErrorReply("LOADING Redis is loading"), RedisState.LOADING),
        (ErrorReply("READONLY You can't write"), RedisState.READ_ONLY),
        (ErrorReply("NOREPLICAS Not enough good replicas"), RedisState.READ_ONLY),
        (ErrorReply("OOM command not allowed"), RedisState.OUT_OF_MEMORY),
        (ErrorReply("MISCONF Errors writing to the AOF file"), RedisState.DISK_FULL),
        (ErrorReply("ERR max number of clients reached"), RedisState.ERROR),
        (ErrorReply("ERR whatever"), RedisState.ERROR),
        (NotRedisError(), RedisState.ERROR),
        (ConnectionRefusedError(111, "refused"), RedisState.UNREACHABLE),
        (OSError(113, "no route"), RedisState.UNREACHABLE),
        (EOFError(), RedisState.UNREACHABLE),
        (socket.gaierror(-2, "unknown"), RedisState.UNREACHABLE),
        (ssl.SSLError("wrong version"), RedisState.UNREACHABLE),
        (RecursionError("deep"), RedisState.ERROR),
        (TypeError("a bug of ours"), RedisState.ERROR),
    ],
)
def test_every_error_tells_its_cause_and_none_is_ok(error, state):
    found, message = redis_client.explain(error)
    assert found is state
    assert message


def test_an_error_before_pong_is_quoted_when_only_redis_says_it_so():
    assert redis_client.explain(ErrorReply("NOAUTH please"))[1] == "NOAUTH please"
    assert "unknown" not in redis_client.explain(ErrorReply("ERR unknown command"))[1]
    assert "unknown" in redis_client.explain(ErrorReply("ERR unknown command"), spoken=True)[1]


def test_address_has_no_credentials():
    assert redis_client.address("rediss://me:secret@store.example:6380/2") == "rediss://store.example:6380"
    assert redis_client.address("redis://store") == "redis://store:6379"
    assert redis_client.address("redis://[fd00::1]:1") == "redis://[fd00::1]:1"


@pytest.mark.parametrize("url", ["", "http://x", "redis://", "store:6379"])
def test_what_is_no_redis_url_is_told_without_repeating_it(url):
    with pytest.raises(ValueError, match=r"write redis\[s\]://"):
        redis_client.address(url)


def test_what_is_known_of_a_redis_is_not_printed_with_its_password():
    assert "hunter2" not in repr(redis_client.Target("p", password="hunter2", url="redis://:hunter2@h"))
