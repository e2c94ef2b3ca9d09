"""The operator's only door to Redis: one look, by a new connection, under one deadline. Never raises.

A new connection each time, because it proves what a replica that starts now would meet: address, password, an answer.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import redis.asyncio
from redis import exceptions
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from crew_operator.status.observed import RedisLook, RedisState
from crew_runtime import contract
from crew_runtime.contract import keys

DEADLINE: Final = 1.5
"""Seconds for everything. Redis answers in under 1 ms; this is what a busy node may add."""
_KEY_LIFE = 60
"""Seconds after which the health key goes by itself."""


@dataclass(frozen=True)
class Target:
    """Which Redis, and as whom."""

    key_prefix: str
    host: str = ""
    """Of a managed one: its pod's address."""
    password: str = ""
    url: str = ""
    """Of an external one."""
    ca: str = ""
    """PEM, to verify it with."""


def address(url: str) -> str:
    """`redis[s]://host:port` without credentials. Raises ValueError on what is no Redis URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("write redis[s]://[user[:password]@]host:port[/db] into the Secret")
    return f"{parts.scheme}://{parts.hostname}:{parts.port or contract.REDIS_PORT}"


async def look(target: Target) -> RedisLook:
    """PING and a write, and whose answer it was."""
    begun = time.monotonic()
    accepted = False
    try:
        async with asyncio.timeout(DEADLINE):
            await _knock(target)
            accepted = True
            server = await _ping_and_write(target)
    except TimeoutError:
        return _timed_out(accepted)
    except (exceptions.RedisError, OSError) as error:
        state, message = explain(error)
        return RedisLook(state, message)
    return RedisLook(
        RedisState.OK,
        latency=time.monotonic() - begun,
        run_id=str(server.get("run_id", "")),
        up_since=time.time() - float(server["uptime_in_seconds"]) if "uptime_in_seconds" in server else 0.0,
    )


def explain(error: Exception) -> tuple[RedisState, str]:
    """What an error of redis-py, or of the socket below it, says about Redis."""
    text = " ".join(str(error).split())[:300]
    for classes, state in _STATES:
        if isinstance(error, classes):
            return state, text or type(error).__name__
    for word, state in _WORDS.items():
        if text.startswith(word):
            return state, text
    return RedisState.ERROR, f"{type(error).__name__}: {text}"


_STATES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], RedisState], ...]] = (
    (exceptions.BusyLoadingError, RedisState.LOADING),
    (
        (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError),
        RedisState.AUTH_FAILED,
    ),
    (exceptions.AuthenticationWrongNumberOfArgsError, RedisState.AUTH_FAILED),
    (exceptions.ReadOnlyError, RedisState.READ_ONLY),
    (exceptions.OutOfMemoryError, RedisState.OUT_OF_MEMORY),
    (exceptions.TimeoutError, RedisState.WEDGED),
    (exceptions.ConnectionError, RedisState.UNREACHABLE),
    (OSError, RedisState.UNREACHABLE),
)
"""In order: several of these are ConnectionErrors too."""
_WORDS: Final = {
    "MISCONF": RedisState.DISK_FULL,
    "NOREPLICAS": RedisState.READ_ONLY,
    "NOAUTH": RedisState.AUTH_FAILED,
    "WRONGPASS": RedisState.AUTH_FAILED,
    "LOADING": RedisState.LOADING,
    "OOM": RedisState.OUT_OF_MEMORY,
}


def _timed_out(accepted: bool) -> RedisLook:
    if accepted:
        return RedisLook(RedisState.WEDGED, f"Redis took the connection but gave no answer within {DEADLINE:g} s")
    return RedisLook(RedisState.UNREACHABLE, f"no connection to Redis within {DEADLINE:g} s")


async def _knock(target: Target) -> None:
    """Is the port open? Told apart from an answer: a stopped process still accepts connections."""
    host, port = target.host, contract.REDIS_PORT
    if target.url:
        parts = urlsplit(target.url)
        host, port = parts.hostname or "", parts.port or contract.REDIS_PORT
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _ping_and_write(target: Target) -> Mapping[str, Any]:
    """INFO of the server that took the write."""
    client = _client(target)
    try:
        await _answer(client.ping())
        await client.set(keys.health(target.key_prefix, "operator"), f"{time.time():.3f}", ex=_KEY_LIFE)
        server: Mapping[str, Any] = await client.info("server")
        return server
    finally:
        await client.aclose()


async def _answer(reply: Awaitable[Any] | Any) -> Any:
    """redis-py types its asynchronous commands as either; they are awaitable."""
    return await reply


def _client(target: Target) -> redis.asyncio.Redis:
    options: dict[str, Any] = {
        "single_connection_client": True,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": DEADLINE,
        "socket_connect_timeout": DEADLINE,
        "protocol": 2,
        "client_name": "crew-operator",
    }
    if not target.url:
        return redis.asyncio.Redis(host=target.host, port=contract.REDIS_PORT, password=target.password, **options)
    if target.ca:
        options["ssl_ca_data"] = target.ca
    parsed: dict[str, Any] = dict(parse_url(target.url))
    secure = parsed.pop("connection_class", None) is not None
    return redis.asyncio.Redis(**{**parsed, **options, "ssl": secure})
