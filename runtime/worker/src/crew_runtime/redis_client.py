"""The only place where connections to Redis are made: pool, credentials, time limits, and foreign errors made ours."""

import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from crew_runtime import replies
from crew_runtime.contract import redis_errors
from crew_runtime.contract.replica_reasons import BackendReason
from crew_runtime.errors import BackendError, BackendUnavailableError
from crew_runtime.redis_password import PasswordInFolder
from crew_runtime.settings import Settings

Client = Any
"""A redis.Redis. Not typed: its methods return unions with awaitables and with text (redis-py 8.1)."""

LIBRARY_VERSION: str = redis.__version__
CONNECTIONS = 16
"""CrewAI calls its backend from 12 threads (save pool 8, recall pool 4) and the kickoff's own."""
NO_RETRY = Retry(NoBackoff(), 0)
"""redis-py's default retries 10 times, 58 s with a stopped server, and doubles writes (redis-py 8.1). Ours: guard."""


class Connections:
    """One pool a process, made when it is first needed: a fork inherits no connection."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._client: redis.Redis | None = None
        self._pid = 0
        self.opened = 0
        """How many were made so far: a new one may lead to a server that was started anew."""

    @property
    def deadline(self) -> float:
        """Of one call, seconds."""
        return self.settings.backend_deadline

    @property
    def redis(self) -> Client:
        """The client of this process."""
        if self._client is None or self._pid != os.getpid():
            with self._lock:
                if self._client is None or self._pid != os.getpid():
                    self._client, self._pid = connect(self.settings, self._count), os.getpid()
        return self._client

    def _count(self) -> None:
        with self._lock:
            self.opened += 1

    def renew(self) -> None:
        """Let the next call connect anew; a call that goes on ends where it is.

        A server that takes no writes was perhaps the primary before, and is cut off from whoever would end its
        connections otherwise. The address of Redis leads to the one that is primary now, but only a new connection
        goes there.
        """
        with self._lock:
            client, self._client = self._client, None
        if client is not None and self._pid == os.getpid():
            client.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        """Close what this process opened."""
        client, self._client = self._client, None
        if client is not None and self._pid == os.getpid():
            client.close()
            client.connection_pool.disconnect()


def connect(settings: Settings, begun: Callable[[], None] | None = None) -> Client:
    """A client with our limits; connects at the first command. `begun` is called for each connection that was made."""
    options: dict[str, Any] = {
        "encoding_errors": "surrogatepass",
        "protocol": 2,  # FT.* answers in another shape in RESP3
        "socket_timeout": settings.backend_deadline,
        "socket_connect_timeout": settings.backend_deadline,
        "retry": NO_RETRY,
        "max_connections": CONNECTIONS,
        "timeout": settings.backend_deadline,  # for a free connection
        "client_name": "crew-runtime",
        "driver_info": None,  # two round trips more, of which each may take the deadline
    }
    if settings.redis_password:
        options["password"] = settings.redis_password
    if settings.redis_url.startswith("rediss://"):
        options["ssl_cert_reqs"] = ssl.CERT_REQUIRED
        if settings.redis_ca_file:
            options["ssl_ca_certs"] = settings.redis_ca_file
    pool = redis.BlockingConnectionPool.from_url(settings.redis_url, **options)
    if settings.redis_password:  # an explicit password wins over one in the URL
        pool.connection_kwargs["password"] = settings.redis_password
    pool.connection_kwargs["parser_class"] = replies.parser(pool.connection_kwargs.get("protocol"))
    begin: Callable[[Any], None] = _begin
    if settings.redis_credentials:
        given = (pool.connection_kwargs.pop(one, None) for one in ("username", "password"))
        own = PasswordInFolder(settings.redis_credentials, *given)
        pool.connection_kwargs["credential_provider"], begin = own, own.begin

    def connected(connection: Any) -> None:
        begin(connection)
        if begun is not None:
            begun()

    pool.connection_kwargs["redis_connect_func"] = connected
    return redis.Redis(connection_pool=pool)


def _begin(connection: Any) -> None:
    connection.on_connect()


def command(client: Client, parts: Sequence[str | bytes | int]) -> Any:
    """Ask one command and return what Redis answered, bytes as bytes. Raises redis-py's errors.

    Half of what `execute_command` costs with 40 arguments (redis-py 8.1), and without its parsers, which drop bytes
    that are no text.
    """
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command([packed(parts)], check_health=False)
        return connection.read_response()
    except redis.exceptions.ResponseError:
        raise
    except BaseException:
        connection.disconnect()  # an answer may be on its way, and the next caller must not take it for its own
        raise
    finally:
        pool.release(connection)


@dataclass(frozen=True)
class Answers:
    """To several commands that were sent at once."""

    answers: list[Any]
    """In their order; what is an error of Redis is one here too, as a value."""
    last_after: float
    """Seconds that the last one came after the one before."""


def commands(client: Client, several: Sequence[Sequence[str | bytes | int]]) -> Answers:
    """Ask several commands in one round trip, over one connection. Raises redis-py's errors of a connection."""
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command([b"".join(packed(one) for one in several)], check_health=False)
        answers: list[Any] = []
        begun = time.monotonic()
        for _ in several:
            begun = time.monotonic()
            try:
                answers.append(connection.read_response())
            except redis.exceptions.ResponseError as error:
                answers.append(error)
        return Answers(answers, time.monotonic() - begun)
    except BaseException:
        connection.disconnect()  # as above
        raise
    finally:
        pool.release(connection)


def packed(parts: Sequence[str | bytes | int]) -> bytes:
    """A command as Redis' protocol has it."""
    pieces = [b"*%d\r\n" % len(parts)]
    for part in parts:
        if isinstance(part, str):
            part = part.encode("utf-8", "surrogatepass")
        elif isinstance(part, int):
            part = b"%d" % part
        pieces.append(b"$%d\r\n%b\r\n" % (len(part), part))
    return b"".join(pieces)


def text(raw: bytes) -> str:
    """What `packed` and every command made of a text; half of a character pair among it, which UTF-8 has not."""
    return raw.decode("utf-8", "surrogatepass")


def address(settings: Settings) -> str:
    """Where Redis is, without its password: for messages."""
    parts = urlsplit(settings.redis_url)
    return f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else parts.path


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Raise what redis-py raises as a BackendError that says `what` was tried."""
    try:
        yield
    except redis.exceptions.TimeoutError as error:
        raise BackendUnavailableError(f"{what}: Redis did not answer in time", BackendReason.TIMEOUT) from error
    except redis.exceptions.AuthenticationError as error:
        raise BackendError(f"{what}: Redis refused the password ({_said(error)})", BackendReason.AUTH_FAILED) from error
    except redis.exceptions.BusyLoadingError as error:
        raise BackendUnavailableError(f"{what}: Redis is still loading its data", BackendReason.REFUSED) from error
    except redis.exceptions.ConnectionError as error:
        raise BackendUnavailableError(
            f"{what}: no connection to Redis ({_said(error)})", BackendReason.REFUSED
        ) from error
    except redis.exceptions.RedisError as error:
        kind = redis_errors.kind_of_reply(str(error), getattr(error, "status_code", None))
        raise BackendError(f"{what}: Redis answered {_said(error)}", kind) from error


def _said(error: Exception) -> str:
    return redis_errors.shown(str(error))
