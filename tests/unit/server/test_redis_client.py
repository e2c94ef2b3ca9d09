import inspect
import traceback
from types import SimpleNamespace

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser

from crew_runtime.contract import env
from crew_server import redis_client, settings
from crew_server.errors import BackendError, NotReadyError, SettingsError
from support import strangers

answered = BaseParser.parse_error
"""As redis-py raises what Redis answers."""


def chosen(url):
    return SimpleNamespace(
        redis_url=url, redis_ca_file=None, redis_password=None, redis_credentials=None, backend_deadline=30
    )


REASONS = {"Refused", "Timeout", "AuthFailed", "ReadOnly", "OutOfMemory", "DiskFull", "Error"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.ConnectionError("Error 111 connecting to 127.0.0.1:1. Connection refused."), "Refused"),
        (exceptions.ConnectionError("Error -2 connecting to nowhere:6379. Name or service not known."), "Refused"),
        (answered("LOADING Redis is loading the dataset in memory"), "Refused"),
        (exceptions.TimeoutError("Timeout reading from 127.0.0.1:6379"), "Timeout"),
        (TimeoutError(), "Timeout"),
        (answered("WRONGPASS invalid username-password pair or user is disabled."), "AuthFailed"),
        (answered("ERR Client sent AUTH, but no password is set"), "AuthFailed"),
        (exceptions.AuthenticationError("AUTH is not to be had"), "AuthFailed"),
        (answered("NOPERM this user has no permissions to run the 'set' command"), "AuthFailed"),
        (answered("READONLY You can't write against a read only replica."), "ReadOnly"),
        (answered("NOREPLICAS Not enough good replicas to write."), "ReadOnly"),
        (answered("OOM command not allowed when used memory > 'maxmemory'."), "OutOfMemory"),
        (answered("MISCONF Redis is configured to save RDB snapshots"), "DiskFull"),
        (answered("ERR something new"), "Error"),
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


@pytest.mark.parametrize(
    "error",
    [
        TypeError("'NoneType' object is not callable"),
        ValueError("invalid literal for int() with base 10: b'abc'"),
        RecursionError("maximum recursion depth exceeded"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        AttributeError("'NoneType' object has no attribute 'write'"),
        OverflowError("too large"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_library_does_not_mean_to_raise_is_a_failure_of_the_backend_as_well(error):
    with pytest.raises(BackendError) as caught, redis_client.translated():
        raise error
    assert caught.value.reason == "Error"
    assert type(error).__name__ in caught.value.message
    assert str(error) not in caught.value.message, "a parser's error holds what it was given"


@pytest.mark.parametrize("protocol", ["", "?protocol=2", "?protocol=3"])
@pytest.mark.parametrize("echo", [strangers.REPEATED, "cannot do {0} {1}"])
async def test_a_peer_that_repeats_the_greeting_does_not_make_the_password_known(protocol, echo):
    async with strangers.talking(strangers.echoing(echo=echo)) as peer:
        url = f"redis://:hunter2@127.0.0.1:{peer.port}/0{protocol}"
        client = redis_client.connect(chosen(url))
        with pytest.raises(BackendError) as caught:
            async with redis_client.deadline(30):
                await client.ping()
        await client.aclose()
    assert peer.asked
    assert "HELLO" in caught.value.message or "AUTH" in caught.value.message
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)), "of the log either"


@pytest.mark.parametrize("protocol", ["", "?protocol=2"])
@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 internal\r\n\r\n", b"220 mail.internal ESMTP\r\n", b":internal\r\n"])
async def test_what_is_no_redis_is_not_quoted(protocol, answer):
    async with strangers.talking(strangers.saying(answer, stay=30)) as peer:
        client = redis_client.connect(chosen(f"redis://127.0.0.1:{peer.port}/0{protocol}"))
        with pytest.raises(BackendError) as caught:
            async with redis_client.deadline(30):
                await client.ping()
        await client.aclose()
    assert caught.value.reason == "Error"
    assert "none of" in caught.value.message
    assert "internal" not in caught.value.message


def test_our_own_errors_pass_as_they_are():
    with pytest.raises(NotReadyError), redis_client.translated():
        raise NotReadyError("Full", "full")


def test_a_peers_words_are_cut_and_hold_nothing_that_a_terminal_obeys():
    reason, message = redis_client.explain(exceptions.ResponseError("ERR \x1b[2J\r\n" + "x" * 10_000))
    assert reason == "Error"
    assert message.isprintable()
    assert len(message) < 600


def test_bytes_that_are_no_text_do_not_make_an_answer_unreadable():
    assert b"a\xff\xfeb".decode("utf-8", redis_client.LENIENT) == "a\ufffd\ufffdb"
    for text in ("\ud800 half", "Zo\u00eb"):
        assert text.encode("utf-8", redis_client.LENIENT).decode("utf-8", redis_client.LENIENT) == text


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
