import inspect

import pytest
from redis import exceptions

from crew_runtime.contract import env
from crew_server import redis_client, settings
from crew_server.errors import BackendError, SettingsError

REASONS = {"Refused", "Timeout", "AuthFailed", "ReadOnly", "OutOfMemory", "DiskFull", "Error"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.ConnectionError("Error 111 connecting to 127.0.0.1:1. Connection refused."), "Refused"),
        (exceptions.ConnectionError("Error -2 connecting to nowhere:6379. Name or service not known."), "Refused"),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "Refused"),
        (exceptions.TimeoutError("Timeout reading from 127.0.0.1:6379"), "Timeout"),
        (TimeoutError(), "Timeout"),
        (exceptions.AuthenticationError("invalid username-password pair or user is disabled."), "AuthFailed"),
        (exceptions.ResponseError("WRONGPASS invalid username-password pair"), "AuthFailed"),
        (exceptions.NoPermissionError("this user has no permissions to run the 'set' command"), "AuthFailed"),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), "ReadOnly"),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "ReadOnly"),
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "OutOfMemory"),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "DiskFull"),
        (exceptions.ResponseError("ERR something new"), "Error"),
        (ConnectionResetError("reset"), "Refused"),
    ],
)
def test_failures_are_told_apart(error, reason):
    assert redis_client.explain(error)[0] == reason


@pytest.mark.parametrize(
    "kind",
    [one for _, one in inspect.getmembers(exceptions, inspect.isclass) if issubclass(one, exceptions.RedisError)],
    ids=lambda kind: kind.__name__,
)
def test_every_error_of_the_library_becomes_ours(kind):
    error = kind.__new__(kind)
    with pytest.raises(BackendError) as caught, redis_client.translated():
        raise error
    assert caught.value.reason in REASONS
    assert caught.value.__cause__ is error


async def test_deadline_ends_a_call_that_hangs():
    import asyncio

    with pytest.raises(BackendError) as caught:
        async with redis_client.deadline(0.02):
            await asyncio.sleep(5)
    assert caught.value.reason == "Timeout"


def test_url_that_redis_cannot_use_is_a_setting_to_change():
    chosen = settings.from_environ(
        {env.NAME: "a", env.REPLICA: "b", env.REDIS_URL: "redis://h:1/0?socket_timeout=soon"}
    )
    with pytest.raises(SettingsError, match=env.REDIS_URL):
        redis_client.connect(chosen)


@pytest.mark.parametrize(
    ("info", "version"),
    [
        ({"redis_version": "8.2.1"}, "8.2.1"),
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.1.0"}, "valkey 8.1.0"),
        ({}, ""),
    ],
)
def test_a_servers_version_is_its_own(info, version):
    assert redis_client.version_of(info) == version
