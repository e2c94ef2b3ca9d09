"""The one door to Postgres: connections, and what its failures mean.

In: a URL. Out: calls that end within a deadline, and HistoryError with the reason for whatever fails. psycopg is
imported when it is first needed, which is in no crew without a durable history. Nothing here outlives its transaction
on the server: no prepared statement, no setting, no lock, as a pooler of transactions needs it.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from crew_runtime import resolver
from crew_runtime.contract import history
from crew_runtime.contract.replica_reasons import HistoryReason
from crew_server.errors import CrewServerError, HistoryError
from crew_server.history.migrate import CONNECTION

CONNECT_SECONDS: Final = 5
STATEMENT_MS: Final = 8_000
"""After which Postgres itself ends a statement."""
CALL_SECONDS: Final = 12.0
"""Of a transaction, whatever Postgres does; psycopg then takes up to ten more to give the connection up."""
MIGRATE_SECONDS: Final = 60.0
_SCHEMES: Final = ("postgresql://", "postgres://")
SHAPE: Final = "postgresql://[user[:password]@]host[:port]/database[?sslmode=...], with what is special percent-encoded"


class Postgres:
    """One server's way to the durable history."""

    def __init__(self, url: str, ca_file: str | None) -> None:
        self._url = url
        self._ca_file = ca_file
        self._resolver = resolver.Resolver()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection of its own, closed at the end. Raises HistoryError, also for what fails within."""
        with translated():
            import psycopg

            info = await self._info()
            async with asyncio.timeout(CONNECT_SECONDS * 2):
                found = await psycopg.AsyncConnection.connect(info, prepare_threshold=None, autocommit=True)
            try:
                yield found
            finally:
                await found.close()

    @contextlib.asynccontextmanager
    async def transaction(self, connection: Any, *, lock_ms: int = STATEMENT_MS) -> AsyncIterator[Any]:
        """A transaction on it, within the deadlines. `lock_ms`: how long a statement waits for a lock."""
        async with asyncio.timeout(CALL_SECONDS), connection.transaction():
            await connection.execute(
                "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)",
                (str(STATEMENT_MS), str(lock_ms)),
            )
            yield connection

    async def prepare(self) -> None:
        """Bring the schema to what this version writes. A newer one is as good: migrations only add.

        Raises HistoryError.
        """
        async with self.connection() as connection, self.transaction(connection):
            if await _version(connection) >= history.NEWEST:
                return
        with translated():
            info = await self._info()
        await _migrate(info)

    async def _info(self) -> str:
        """What libpq connects by, with the addresses of its host: asked for where nobody else's names wait."""
        from psycopg import conninfo, errors

        if not self._url.startswith(_SCHEMES):
            raise HistoryError(HistoryReason.ERROR, f"the URL of Postgres has to be {SHAPE}")
        try:
            told: dict[str, Any] = dict(conninfo.conninfo_to_dict(self._url))
        except errors.Error as error:  # whose words may be those of a password
            raise HistoryError(HistoryReason.ERROR, f"the URL of Postgres has to be {SHAPE}") from error
        if history.misread(told):
            raise HistoryError(HistoryReason.ERROR, f"the URL of Postgres has to be {SHAPE}")
        told.setdefault("connect_timeout", CONNECT_SECONDS)
        told.setdefault("application_name", "crewops")
        if self._ca_file:
            told.setdefault("sslrootcert", self._ca_file)
            told.setdefault("sslmode", "verify-full")
        host = str(told.get("host") or "")
        if host and not host.startswith("/") and "," not in host and "hostaddr" not in told:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await self._resolver.addresses(host, "")
            told |= {"host": ",".join([host] * len(addresses)), "hostaddr": ",".join(addresses)}
        return conninfo.make_conninfo("", **told)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Whatever fails within becomes a HistoryError with the cause chained."""
    try:
        yield
    except CrewServerError:
        raise
    except Exception as error:
        raise HistoryError(*explain(error)) from error


def explain(error: BaseException) -> tuple[HistoryReason, str]:
    """(reason, message) of a failed call."""
    if isinstance(error, TimeoutError) or type(error).__name__ == "ConnectionTimeout":
        return HistoryReason.TIMEOUT, "Postgres did not answer within the deadline"
    text = _shown(str(error)) or type(error).__name__
    if isinstance(error, UnicodeError | socket.gaierror) or any(one in text for one in _NO_NAME):
        # Without the name, which may be a piece of a password whose `@` was not percent-encoded.
        return HistoryReason.UNREACHABLE, "Postgres cannot be reached: its host's name cannot be resolved"
    if isinstance(error, OSError):
        return HistoryReason.UNREACHABLE, f"Postgres cannot be reached: {text}"
    code = str(getattr(error, "sqlstate", None) or "")
    for starts, reason, message in _CODES:
        if code.startswith(starts):
            return reason, message.format(text)
    if not code and type(error).__name__ == "OperationalError":
        refused = "authentication failed" in text or "no password supplied" in text
        reason = HistoryReason.AUTH_FAILED if refused else HistoryReason.UNREACHABLE
        return reason, f"Postgres {'refused the credentials' if refused else 'cannot be reached'}: {text}"
    return HistoryReason.ERROR, f"Postgres failed: {text}"


_NO_NAME: Final = ("failed to resolve host", "could not translate host name")
"""In errors of psycopg, and of libpq."""
_CODES: Final[tuple[tuple[tuple[str, ...], HistoryReason, str], ...]] = (
    # https://www.postgresql.org/docs/current/errcodes-appendix.html
    (("28",), HistoryReason.AUTH_FAILED, "Postgres refused the credentials: {}"),
    (("25006",), HistoryReason.READ_ONLY, "Postgres takes no writes, it is a standby or set so: {}"),
    (("53100", "53200"), HistoryReason.FULL, "Postgres has no room left: {}"),
    (("53300",), HistoryReason.TOO_MANY_CONNECTIONS, "Postgres takes no more connections: {}"),
    (("57014", "55P03"), HistoryReason.TIMEOUT, "Postgres took too long: {}"),
    (("42501",), HistoryReason.NO_RIGHT, "the user of Postgres lacks a right: {}"),
    (("23514",), HistoryReason.ERROR, "a partition is missing: {}"),
    (("22", "23", "54"), HistoryReason.DATA, "Postgres will never take this: {}"),
    (("08", "57P"), HistoryReason.UNREACHABLE, "the connection to Postgres ended: {}"),
)


def _shown(text: str) -> str:
    """In one line, of a length that a condition has room for."""
    return "".join(one if one.isprintable() else " " for one in text.strip())[:300]


async def _version(connection: Any) -> int:
    table = f"{history.SCHEMA}.{history.VERSIONS}"
    found = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,))).fetchone()
    if not found[0]:
        return 0
    found = await (await connection.execute(f"SELECT version_num FROM {table}")).fetchone()  # noqa: S608 - our names
    return int(found[0]) if found and str(found[0]).isdigit() else 0


async def _migrate(info: str) -> None:
    """In a process of its own. Raises HistoryError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "crew_server.history.migrate",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, CONNECTION: info},
    )
    try:
        async with asyncio.timeout(MIGRATE_SECONDS):
            _, said = await process.communicate()
    except TimeoutError as error:
        raise HistoryError(HistoryReason.TIMEOUT, "the schema of the history was not migrated in a minute") from error
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        told = _shown(said.decode("utf-8", "replace"))
        lacks = told.startswith("InsufficientPrivilege")
        reason = HistoryReason.NO_RIGHT if lacks else HistoryReason.MIGRATION_FAILED
        raise HistoryError(reason, f"the schema of the history could not be migrated: {told}")
