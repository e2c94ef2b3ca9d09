"""The one door to Redis: how a client is made, and what its failures mean.

In: settings. Out: clients whose every call ends within a deadline, and `BackendError` with the reason for whatever
redis-py raises.
"""

import asyncio
import codecs
import contextlib
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from redis import asyncio as redis
from redis import exceptions
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from crew_runtime.contract import env, redis_errors
from crew_runtime.contract.replica_reasons import BackendReason
from crew_server import replies
from crew_server.errors import BackendError, CrewServerError, SettingsError
from crew_server.redis_password import PasswordInFolder
from crew_server.settings import Settings

POOL_SIZE = 32
"""Calls at once; each takes well under a millisecond, so this is never the limit unless Redis stalls."""

LENIENT = "crewops-lenient"
"""Python's texts have halves of character pairs, which pass. What is no text at all comes as U+FFFD: one such entry
must not make the answer that it is part of unreadable."""


def _lenient(error: UnicodeError) -> tuple[str | bytes, int]:
    try:
        return codecs.lookup_error("surrogatepass")(error)
    except UnicodeError:
        if not isinstance(error, UnicodeDecodeError):
            raise
        return "\ufffd", error.start + 1


codecs.register_error(LENIENT, _lenient)

Client = redis.Redis


def connect(settings: Settings, *, deadline: float | None = None, connections: int = POOL_SIZE) -> Client:
    """A client that has not connected yet.

    One retry, and only where the connection was found dead: redis-py 8.1 retries 10 times by default and took 58 s to
    say that a stopped server does not answer (measured). All that we call may run twice.
    """
    limit = deadline or settings.backend_deadline
    extra = {"ssl_ca_certs": settings.redis_ca_file} if settings.redis_ca_file else {}
    try:
        pool = _Pool.from_url(
            settings.redis_url,
            max_connections=connections,
            timeout=limit,
            socket_timeout=limit,
            socket_connect_timeout=limit,
            retry=Retry(NoBackoff(), 1, supported_errors=(exceptions.ConnectionError,)),
            decode_responses=True,
            encoding_errors=LENIENT,
            driver_info=None,  # two round trips more, for a command that a user may have no right to
            **extra,
        )
        pool.connection_kwargs["parser_class"] = replies.parser(pool.connection_kwargs.get("protocol"))
    except ValueError as error:
        raise SettingsError([f"{env.REDIS_URL} cannot be used: {error}"]) from error
    if settings.redis_password is not None:
        pool.connection_kwargs["password"] = settings.redis_password
    if settings.redis_credentials:
        given = (pool.connection_kwargs.pop(one, None) for one in ("username", "password"))
        own = PasswordInFolder(settings.redis_credentials, *given)
        pool.connection_kwargs |= {"credential_provider": own, "redis_connect_func": own.begin}
    _pools.add(pool)
    return redis.Redis.from_pool(pool)


class _Pool(redis.BlockingConnectionPool):
    """Whose connections can be made anew all at once."""

    def renew(self) -> None:
        """Before each one's next use."""
        for connection in (*self._available_connections, *self._in_use_connections):
            connection.mark_for_reconnect()  # type: ignore[no-untyped-call]

    async def ensure_connection(self, connection: AbstractConnection) -> None:
        """Connected, and not to a server that may be the wrong one by now."""
        if connection.should_reconnect():  # type: ignore[no-untyped-call]
            await connection.disconnect()
        await super().ensure_connection(connection)


_pools: "weakref.WeakSet[_Pool]" = weakref.WeakSet()
"""Of this process."""


def renew() -> None:
    """Let each connection of this process be made anew before its next use.

    A server that takes no writes was perhaps the primary before, and is cut off from whoever would end its connections
    otherwise. The address of Redis leads to the one that is primary now, but only a new connection goes there.
    """
    for pool in list(_pools):
        pool.renew()


def credentials_version(client: Client) -> str:
    """Version of the credentials that the client's last connection was made with; empty: they are out of no folder."""
    own = client.connection_pool.connection_kwargs.get("credential_provider")
    return own.version if isinstance(own, PasswordInFolder) else ""


async def next_entries(
    client: Client, positions: Mapping[str, str], *, count: int, seconds: float | None = None
) -> list[tuple[str, dict[str, str]]]:
    """The entries behind `positions` (stream to id) as (id, fields); empty: none came.

    Waits up to `seconds`; None: not at all.
    """
    streams: Any = dict(positions)
    found: Any = await client.xread(streams, count=count, block=None if seconds is None else round(seconds * 1000))
    if isinstance(found, Mapping):
        # With protocol=3 in the URL.
        return [entry for batches in found.values() for entries in batches for entry in entries]
    return [entry for _, entries in found or () for entry in entries]


async def server_facts(client: Client) -> tuple[str, int | None]:
    """(version, maxmemory in bytes, 0 without one) as INFO says; (``, None) where an ACL forbids to ask, which is no
    fault of the server."""
    try:
        version = version_of(await client.info("server"))
        limit = (await client.info("memory")).get("maxmemory")
    except exceptions.ResponseError:
        return "", None
    return version, limit if isinstance(limit, int) and limit >= 0 else None


def version_of(info: Mapping[str, Any]) -> str:
    """The server's own version; Valkey also claims one of Redis, for old clients."""
    if valkey := info.get("valkey_version"):
        return f"valkey {valkey}"
    return str(info.get("redis_version", ""))


@contextlib.asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Whatever fails within becomes a BackendError, and so does being longer than `seconds`."""
    with translated():
        async with asyncio.timeout(seconds):
            yield


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Whatever fails within becomes a BackendError with the cause chained.

    Not only what redis-py documents: a peer that answers with something else than Redis' protocol makes its parser
    raise ValueError or RecursionError, and a connection that closes under a write TypeError. To the caller all of it is
    a backend that did not do what it was asked.
    """
    try:
        yield
    except CrewServerError:
        raise
    except Exception as error:
        reason, message = explain(error)
        if reason == BackendReason.READ_ONLY:
            renew()
        raise BackendError(reason, message) from error


def explain(error: BaseException) -> tuple[str, str]:
    """(reason, message) of a failed call; the reasons are those of `contract.report.BackendHealth`."""
    if not isinstance(error, (exceptions.RedisError, OSError)):
        # Not its words: those of a parser hold what it was given.
        return BackendReason.ERROR, f"the answer is none of Redis: {type(error).__name__}"
    text = redis_errors.shown(str(error)) or type(error).__name__
    kind = redis_errors.kind_of_reply(str(error), getattr(error, "status_code", None))
    if (answered := _ANSWERED.get(kind)) is not None:
        return answered[0], answered[1].format(text)
    for kinds, reason, message in _RAISED:
        if isinstance(error, kinds):
            return reason, message.format(text)
    return BackendReason.ERROR, f"Redis answered with an error: {text}"


_ANSWERED: Final = {
    BackendReason.AUTH_FAILED: (BackendReason.AUTH_FAILED, "Redis refused the credentials: {}"),
    BackendReason.OUT_OF_MEMORY: (BackendReason.OUT_OF_MEMORY, "Redis is at its maxmemory: {}"),
    BackendReason.DISK_FULL: (BackendReason.DISK_FULL, "Redis cannot write to its disk: {}"),
    BackendReason.READ_ONLY: (BackendReason.READ_ONLY, "Redis takes no writes: {}"),
    BackendReason.LOADING: (BackendReason.REFUSED, "Redis is still loading its data: {}"),
}
_RAISED: Final[tuple[tuple[tuple[type[BaseException], ...], str, str], ...]] = (
    # The order matters: the first two are ConnectionErrors as well.
    (
        (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.ExternalAuthProviderError),
        BackendReason.AUTH_FAILED,
        "Redis refused the credentials: {}",
    ),
    ((exceptions.MaxConnectionsError,), BackendReason.TIMEOUT, "no connection to Redis got free in time: {}"),
    ((exceptions.TimeoutError, TimeoutError), BackendReason.TIMEOUT, "Redis did not answer within the deadline"),
    ((exceptions.ConnectionError, OSError), BackendReason.REFUSED, "Redis cannot be reached: {}"),
    ((exceptions.InvalidResponse,), BackendReason.ERROR, "the answer is none of Redis: {}"),
)
