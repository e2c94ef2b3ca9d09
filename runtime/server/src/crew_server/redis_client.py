"""The one door to Redis: how a client is made, and what its failures mean.

In: settings. Out: clients whose every call ends within a deadline, and `BackendError` with the reason for whatever
redis-py raises.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from redis import asyncio as redis
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from crew_runtime.contract import env
from crew_server.errors import BackendError, SettingsError
from crew_server.settings import Settings

POOL_SIZE = 32
"""Calls at once; each takes well under a millisecond, so this is never the limit unless Redis stalls."""

Client = redis.Redis


def connect(settings: Settings, *, deadline: float | None = None, connections: int = POOL_SIZE) -> Client:
    """A client that has not connected yet.

    One retry, and only where the connection was found dead: redis-py 8.1 retries 10 times by default and took 58 s to
    say that a stopped server does not answer (measured). All that we call may run twice.
    """
    limit = deadline or settings.backend_deadline
    extra = {"ssl_ca_certs": settings.redis_ca_file} if settings.redis_ca_file else {}
    try:
        pool = redis.BlockingConnectionPool.from_url(
            settings.redis_url,
            max_connections=connections,
            timeout=limit,
            socket_timeout=limit,
            socket_connect_timeout=limit,
            retry=Retry(NoBackoff(), 1, supported_errors=(exceptions.ConnectionError,)),
            decode_responses=True,
            encoding_errors="surrogatepass",  # Python's texts have halves of character pairs
            **extra,
        )
    except ValueError as error:
        raise SettingsError([f"{env.REDIS_URL} cannot be used: {error}"]) from error
    if settings.redis_password is not None:
        pool.connection_kwargs["password"] = settings.redis_password
    return redis.Redis.from_pool(pool)


async def next_entries(
    client: Client, positions: Mapping[str, str], *, count: int, seconds: float
) -> list[tuple[str, dict[str, str]]]:
    """The entries behind `positions` (stream to id) as (id, fields); waits up to `seconds`; empty: none came."""
    streams: Any = dict(positions)
    found: Any = await client.xread(streams, count=count, block=round(seconds * 1000))
    if isinstance(found, Mapping):
        # With protocol=3 in the URL.
        return [entry for batches in found.values() for entries in batches for entry in entries]
    return [entry for _, entries in found or () for entry in entries]


async def server_version(client: Client) -> str:
    """What INFO says; `` where an ACL forbids to ask, which is no fault of the server."""
    try:
        return version_of(await client.info("server"))
    except exceptions.ResponseError:
        return ""


def version_of(info: Mapping[str, Any]) -> str:
    """The server's own version; Valkey also claims one of Redis, for old clients."""
    if valkey := info.get("valkey_version"):
        return f"valkey {valkey}"
    return str(info.get("redis_version", ""))


@contextlib.asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Whatever redis-py raises within becomes a BackendError, and so does being longer than `seconds`."""
    with translated():
        async with asyncio.timeout(seconds):
            yield


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Whatever redis-py raises within becomes a BackendError with the cause chained."""
    try:
        yield
    except (exceptions.RedisError, OSError, TimeoutError) as error:
        reason, message = explain(error)
        raise BackendError(reason, message) from error


def explain(error: BaseException) -> tuple[str, str]:
    """(reason, message) of a failed call; the reasons are those of `contract.report.BackendHealth`."""
    text = str(error) or type(error).__name__
    for kinds, starts, reason, message in _TABLE:
        if isinstance(error, kinds) or text.startswith(starts):
            return reason, message.format(text)
    return "Error", f"Redis answered with an error: {text}"


_Row = tuple[tuple[type[BaseException], ...], tuple[str, ...], str, str]
_TABLE: tuple[_Row, ...] = (
    # The order matters: AuthenticationError and BusyLoadingError are ConnectionErrors.
    (
        (
            exceptions.AuthenticationError,
            exceptions.AuthorizationError,
            exceptions.NoPermissionError,
            exceptions.AuthenticationWrongNumberOfArgsError,
            exceptions.ExternalAuthProviderError,
        ),
        ("NOAUTH", "WRONGPASS", "NOPERM", "invalid username-password", "Authentication required"),
        "AuthFailed",
        "Redis refused the credentials: {}",
    ),
    (
        (exceptions.OutOfMemoryError,),
        ("OOM", "command not allowed when used memory"),
        "OutOfMemory",
        "Redis is at its maxmemory: {}",
    ),
    ((), ("MISCONF",), "DiskFull", "Redis cannot write to its disk: {}"),
    (
        (exceptions.ReadOnlyError, exceptions.MasterDownError),
        ("READONLY", "You can't write against a read only", "NOREPLICAS", "MASTERDOWN"),
        "ReadOnly",
        "Redis takes no writes: {}",
    ),
    ((exceptions.MaxConnectionsError,), (), "Timeout", "no connection to Redis got free in time: {}"),
    ((exceptions.TimeoutError, TimeoutError), (), "Timeout", "Redis did not answer within the deadline"),
    ((exceptions.BusyLoadingError,), ("LOADING",), "Refused", "Redis is still loading its data: {}"),
    ((exceptions.ConnectionError, OSError), (), "Refused", "Redis cannot be reached: {}"),
)
