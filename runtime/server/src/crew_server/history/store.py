"""The tables of the durable history: rows added once, emptied by an erasure, read, and gone with their month.

Every method raises HistoryError.
"""

import hashlib
import json
import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from crew_runtime.contract import history
from crew_runtime.contract.history import Table
from crew_server.history import rows
from crew_server.history.migrate import LOCK
from crew_server.history.postgres import Postgres
from crew_server.history.rows import Erasure, Row

MOST_PAGE: Final = 2 * 1024 * 1024
"""Bytes of a page, as JSON; it ends early for that."""
MOST_PARTS: Final = 1_000
"""Tasks, and questions and answers, of a kickoff on a page."""
DELETE_STEP: Final = 5_000
EMPTY_STEP: Final = 1_000
"""Rows of an erased session that one statement empties."""
SAME_WITHIN: Final = timedelta(days=100)
"""Of a row that may be there under another time: more than a Redis that is brought back to an older state is behind, or
that a kickoff waits for a person. Without a bound each row is looked for in every month that there is."""
DROP_LOCK_MS: Final = 2_000
"""How long dropping a month waits for others; it is tried again."""
_MONTH: Final = re.compile(r"_([0-9]{4})([0-9]{2})$")


@dataclass(frozen=True)
class Place:
    """Behind which a page goes on."""

    at: datetime
    kickoff_id: str


class Store:
    """The rows of one crew."""

    def __init__(self, postgres: Postgres, crew: str) -> None:
        self._postgres = postgres
        self._crew = crew
        self._months: set[str] = set()
        """Partitions that are known to be there."""

    async def prepare(self) -> None:
        """Bring the schema to what is written."""
        await self._postgres.prepare()

    async def write(self, found: Sequence[Row | Erasure]) -> None:
        """Add rows, all or none, and do erasures; what is there already stays as it is.

        An erasure empties in steps, so a failure may leave one half done: the same again does the rest.

        What was said in a session that was erased meanwhile is not written: the batch of a server whose turn ran out
        may come after that of the next one, which had the erasure.
        """
        async with self._postgres.connection() as connection:
            await self._make_months(connection, found)
            try:
                async with self._postgres.transaction(connection):
                    await _write(connection, self._crew, found)
                for one in found:
                    if isinstance(one, Erasure):
                        await self._empty(connection, one)
            except BaseException:
                self._months.clear()  # one of them may have been dropped
                raise

    async def page(self, session_id: str, limit: int, place: Place | None) -> tuple[list[dict[str, Any]], Place | None]:
        """Kickoffs of a session with their task outputs and human input, newest first; and where to go on."""
        query = f"SELECT * FROM {history.KICKOFFS.full_name} WHERE crew = %s AND session_id = %s"  # noqa: S608
        given: list[Any] = [self._crew, rows.text(session_id)]
        if place is not None:
            query += " AND (ended_at, kickoff_id) < (%s, %s)"
            given += [place.at, rows.text(place.kickoff_id)]
        query += " ORDER BY ended_at DESC, kickoff_id DESC LIMIT %s"
        kickoffs: list[dict[str, Any]] = []
        size, more = 0, False
        async with self._postgres.connection() as connection, self._postgres.transaction(connection):
            async with aclosing(_each(connection, query, [*given, limit + 1])) as found:
                async for row in found:
                    more = len(kickoffs) == limit or size >= MOST_PAGE
                    if more:
                        break
                    kickoffs.append(row)
                    size += len(json.dumps(row, default=str))
            size = 0
            for number, one in enumerate(kickoffs):
                for name, table, order in (
                    ("tasks", history.TASK_OUTPUTS, "number"),
                    ("human_input", history.HUMAN_INPUT, "at"),
                ):
                    query = f"SELECT * FROM {table.full_name} WHERE crew = %s AND kickoff_id = %s"  # noqa: S608
                    query += f" ORDER BY {order} LIMIT {MOST_PARTS}"
                    one[name] = await _all(connection, query, [self._crew, one["kickoff_id"]])
                    size += len(json.dumps(one[name], default=str))
                if size >= MOST_PAGE and number + 1 < len(kickoffs):
                    kickoffs, more = kickoffs[: number + 1], True
                    break
        last = Place(kickoffs[-1]["ended_at"], kickoffs[-1]["kickoff_id"]) if kickoffs and more else None
        return kickoffs, last

    async def expire(self, seconds: float) -> int:
        """Take the crew's rows of months away that ended so long ago; how many months were dropped or emptied."""
        gone = 0
        async with self._postgres.connection() as connection:
            for table in history.TABLES.values():
                for month in await _ended_months(self._postgres, connection, table, seconds):
                    gone += await self._expire(connection, table, month)
        return gone

    async def _empty(self, connection: Any, erasure: Erasure) -> None:
        """Take what was said in a session up to its erasure; what was said in it afterwards stays."""
        for table in history.TABLES.values():
            emptied = EMPTY_STEP if table.content else 0
            while emptied >= EMPTY_STEP:
                async with self._postgres.transaction(connection):
                    done = await connection.execute(_emptying(table), _emptied(erasure))
                    emptied = done.rowcount

    async def _expire(self, connection: Any, table: Table, month: str) -> int:
        """Drop a month that is this crew's alone, else delete its rows in steps."""
        async with self._postgres.transaction(connection, lock_ms=DROP_LOCK_MS):
            # In the order in which a writer takes them.
            await connection.execute(f"LOCK TABLE ONLY {table.full_name} IN ACCESS EXCLUSIVE MODE")
            await connection.execute(f"LOCK TABLE {month} IN ACCESS EXCLUSIVE MODE")
            found = await connection.execute(f"SELECT min(crew), max(crew) FROM {month}")  # noqa: S608
            if set(await found.fetchone()) <= {self._crew, None}:
                await connection.execute(f"DROP TABLE {month}")
                self._months.discard(month)
                return 1
        deleted = total = DELETE_STEP
        while deleted == DELETE_STEP:
            async with self._postgres.transaction(connection):
                done = await connection.execute(
                    f"DELETE FROM {month} WHERE ctid = ANY(ARRAY("  # noqa: S608
                    f"SELECT ctid FROM {month} WHERE crew = %s LIMIT {DELETE_STEP}))",
                    (self._crew,),
                )
                deleted = done.rowcount
                total += deleted
        return int(total > DELETE_STEP)

    async def _make_months(self, connection: Any, found: Iterable[Row | Erasure]) -> None:
        """Make the partitions that are missing: tables that are attached, which waits for no reader and stops none.

        `CREATE TABLE ... PARTITION OF` waits for each report that is under way, and everybody waits for it meanwhile.
        """
        wanted = {_month(row.table, row.at): row for row in map(_row, found)}
        missing = {name: row for name, row in wanted.items() if name not in self._months}
        if not missing:
            return
        async with self._postgres.transaction(connection):
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            for name, row in missing.items():
                known = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))).fetchone()
                if known[0]:
                    continue
                parent, (begin, end) = row.table.full_name, _bounds(row.at)
                await connection.execute(f"CREATE TABLE {name} (LIKE {parent} INCLUDING ALL)")
                await connection.execute(
                    f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}')"
                )
        self._months |= set(missing)


def _row(one: Row | Erasure) -> Row:
    return one.row if isinstance(one, Erasure) else one


def turn(crew: str) -> int:
    """The advisory lock of who writes for a crew: of two, the second sees all that the first one did."""
    found = hashlib.sha256(f"{history.SCHEMA} writes for {crew}".encode()).digest()
    return int.from_bytes(found[:8], signed=True)


async def _write(connection: Any, crew: str, found: Sequence[Row | Erasure]) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (turn(crew),))
    erased = await _erased(connection, crew, [one for one in found if isinstance(one, Row)])
    await _insert(connection, [rows.emptied(_row(one), erased) for one in found])


async def _erased(connection: Any, crew: str, found: Sequence[Row]) -> Mapping[str, datetime]:
    """The last erasures that are no older than all of these rows, by their sessions' digests."""
    sessions = {one.values["session_id"] for one in found} - {None}
    if not sessions:
        return {}
    answer = await connection.execute(
        f"SELECT session_sha256, max(at) FROM {history.ERASURES.full_name} "  # noqa: S608 - our names
        "WHERE crew = %s AND session_sha256 = ANY(%s) AND at >= %s GROUP BY 1",
        (crew, [rows.digest(one) for one in sessions], min(one.at for one in found)),
    )
    return dict(await answer.fetchall())


async def _insert(connection: Any, found: Sequence[Row]) -> None:
    for table in history.TABLES.values():
        given = [_parameters(row) for row in found if row.table is table]
        if given:
            async with connection.cursor() as cursor:
                await cursor.executemany(_insertion(table), given)


def _emptying(table: Table) -> str:
    """Empties the oldest rows of a session; they are its no more. Rows of one time go together."""
    of_session = f"crew = %(crew)s AND session_id = %(session_id)s AND {table.time} <="
    return (
        f"UPDATE {table.full_name} SET {', '.join(f'{name} = NULL' for name in table.content)}, erased_at = %(at)s "  # noqa: S608
        f"WHERE {of_session} (SELECT max({table.time}) FROM (SELECT {table.time} FROM {table.full_name} "
        f"WHERE {of_session} %(at)s ORDER BY {table.time} LIMIT {EMPTY_STEP}) AS step)"
    )


def _emptied(erasure: Erasure) -> dict[str, Any]:
    return {"crew": erasure.row.values["crew"], "session_id": erasure.session_id, "at": erasure.row.at}


def _insertion(table: Table) -> str:
    """Its values may be there, under another time too: one that is near."""
    columns = {**table.columns, "erased_at": history.ADDED["erased_at"]}
    names, values = ", ".join(columns), ", ".join(f"%({name})s::{type_}" for name, type_ in columns.items())
    same = " AND ".join(f"{name} = %({name})s" for name in table.key)
    same += f" AND {table.time} BETWEEN %(earliest)s AND %(latest)s"
    return (
        f"INSERT INTO {table.full_name} ({names}) SELECT {values} "  # noqa: S608
        f"WHERE NOT EXISTS (SELECT 1 FROM {table.full_name} WHERE {same}) ON CONFLICT DO NOTHING"
    )


def _parameters(row: Row) -> dict[str, Any]:
    from psycopg.types.json import Jsonb

    within = SAME_WITHIN if row.table.once else timedelta()
    found: dict[str, Any] = {"erased_at": None, **row.values, "earliest": row.at - within, "latest": row.at + within}
    for name, type_ in row.table.columns.items():
        if type_ == "jsonb" and found[name] is not None:
            found[name] = Jsonb(found[name])
    return found


async def _each(connection: Any, query: str, given: Sequence[Any]) -> AsyncGenerator[dict[str, Any], None]:
    """Rows as dicts, one at a time: who has enough closes it, and the transaction goes on.

    By a cursor of the server: to end a query that is under way, psycopg cancels it, and its transaction with it.
    """
    from psycopg.rows import dict_row

    async with connection.cursor("page", row_factory=dict_row) as cursor:
        cursor.itersize = 1
        await cursor.execute(query, given)
        async for row in cursor:
            yield row


async def _all(connection: Any, query: str, given: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows as dicts."""
    from psycopg.rows import dict_row

    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, given)
        found: list[dict[str, Any]] = await cursor.fetchall()
    return found


async def _ended_months(postgres: Postgres, connection: Any, table: Table, seconds: float) -> list[str]:
    async with postgres.transaction(connection):
        found = await connection.execute(
            "SELECT inhrelid::regclass::text, "
            "to_char((now() - make_interval(secs => %s)) AT TIME ZONE 'UTC', 'YYYYMM') "  # as partitions are
            "FROM pg_inherits WHERE inhparent = %s::regclass ORDER BY 1",
            (seconds, table.full_name),
        )
        answers: list[tuple[str, str]] = await found.fetchall()
    return [name for name, limit in answers if (month := _MONTH.search(name)) and "".join(month.groups()) < limit]


def _month(table: Table, at: datetime) -> str:
    return f"{table.full_name}_{at:%Y%m}"


def _bounds(at: datetime) -> tuple[str, str]:
    following = (at.year + at.month // 12, at.month % 12 + 1)
    return f"{at:%Y-%m}-01 00:00:00+00", f"{following[0]:04d}-{following[1]:02d}-01 00:00:00+00"


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in JSON's types; times as Unix seconds."""
    return {name: one.timestamp() if isinstance(one, datetime) else one for name, one in row.items()}
