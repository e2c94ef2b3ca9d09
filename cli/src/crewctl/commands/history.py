"""`crewctl history`: the durable history in Postgres, with its crew or without one."""

import argparse
import contextlib
import csv
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rich.table import Table as Grid

from crew_runtime.contract import history
from crew_runtime.contract.history import Table
from crewctl import target
from crewctl.errors import ClusterError, UsageError
from crewctl.kube import Kube, Manifest
from crewctl.screen import PlainConsole, plain

HELP = "read the durable history of a crew from Postgres, also when the crew is gone"
URL: Final = "CREWCTL_HISTORY_URL"
"""The variable with the URL: on a command line every user of the machine would see its password."""
SECONDS: Final = 300
"""That Postgres may take until the first rows, and until the next ones."""
AT_ONCE: Final = 20
"""Rows that are fetched together; one may have megabytes."""
SHORT: Final[Mapping[str, tuple[str, ...]]] = {
    "kickoffs": ("ended_at", "session_id", "status", "reason", "seconds", "total_tokens", "kickoff_id"),
    "task_outputs": ("ended_at", "session_id", "number", "name", "agent", "output"),
    "human_input": ("at", "session_id", "event", "content", "kickoff_id"),
    "messages": ("at", "session_id", "type", "content"),
    "erasures": ("at", "session_sha256", "counts"),
}
"""The columns of a table that are shown when none are named; files get all."""
_LONGEST: Final = 60
_WIDE: Final = 400
"""Characters of a line that no screen breaks."""
_SPAN: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class NoDriverError(UsageError):
    """What talks to Postgres is not installed."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("name", metavar="NAME", nargs="?", help=f"the CrewDeployment; without one ${URL} says where, and --crew whose")
    add("--table", choices=tuple(history.TABLES), default="kickoffs", help="default: %(default)s")
    add("--crew", help="its namespace/name, or its key prefix; all crews of the database when neither this nor NAME is")
    add("--session", help="of this session alone")
    add("--kickoff", help="of this kickoff alone")
    add("--status", help="of kickoffs with this status: completed, error, timeout, cancelled")
    add("--reason", help="of kickoffs with this reason")
    add("--since", type=_time, metavar="TIME", help="2026-11-27, 2026-11-27T14:00Z, or how long ago: 90m, 12h, 7d")
    add("--until", type=_time, metavar="TIME", help="likewise")
    add("--limit", type=_count, default=None, help="rows, the newest first; 50 for a screen, all for a file")
    add("--columns", type=_names, help="of the table, parted by commas")
    add("-o", "--output", choices=("table", "csv", "jsonl"), default="table", help="default: %(default)s")
    add("--ca", type=Path, help=f"PEM file to verify the server of ${URL} with")
    target.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Print the rows. Raises UsageError; ClusterError when Postgres or the cluster does not answer."""
    psycopg = _driver()
    table = history.TABLES[options.table]
    columns = options.columns or (SHORT[table.name] if options.output == "table" else (*table.columns, *history.ADDED))
    unknown = [one for one in columns if one not in table.columns and one not in history.ADDED]
    if unknown:
        raise UsageError(
            f"{table.name} has no column {unknown[0]}: it has {', '.join((*table.columns, *history.ADDED))}"
        )
    with contextlib.ExitStack() as open_:
        info, crew = _connection(options, open_)
        query, given = _query(table, columns, options, crew)
        try:
            connection = open_.enter_context(contextlib.closing(psycopg.connect(info, prepare_threshold=None)))
            connection.read_only = True
            connection.execute("SELECT set_config('statement_timeout', %s, true)", (str(SECONDS * 1000),))
            _print(options.output, columns, _rows(connection, query, given))
        except psycopg.Error as error:
            raise ClusterError(f"the history cannot be read: {_said(error)}") from error
    return 0


def _driver() -> Any:
    try:
        import psycopg
    except ImportError as error:
        text = "'history' needs psycopg, which is not installed: pip install 'crewctl[history]'"
        raise NoDriverError(text) from error
    return psycopg


def _connection(options: argparse.Namespace, open_: contextlib.ExitStack) -> tuple[str, str | None]:
    """What to connect by, and the crew whose rows are wanted; None: all."""
    import psycopg
    from psycopg import conninfo

    ca, crew = options.ca, options.crew
    if options.name is None:
        url = os.environ.get(URL, "").strip()
        if not url:
            raise UsageError(f"name a CrewDeployment, or say by ${URL} where its history is (postgresql://...)")
    else:
        kube = open_.enter_context(contextlib.closing(target.connect(options)))
        found = kube.wanted(options.name)
        url, ca = _of_crew(kube, found, open_)
        crew = crew or found["spec"].get("memory", {}).get("keyPrefix") or f"{kube.namespace}/{options.name}"
    verified = {"sslrootcert": str(ca), "sslmode": "verify-full"} if ca else {}
    shape = "postgresql://[user[:password]@]host[:port]/database, with what is special percent-encoded"
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.Error as error:  # whose words may be those of a password
        raise UsageError(f"the URL of the history is none: {shape}") from error
    if history.misread(parts):
        raise UsageError(f"the URL of the history is none: {shape}")
    told = {"connect_timeout": 10, "application_name": "crewctl", **verified, **parts}
    return conninfo.make_conninfo("", **told), crew


def _of_crew(kube: Kube, crew: Manifest, open_: contextlib.ExitStack) -> tuple[str, Path | None]:
    """URL and certificate as the spec names them. Raises ClusterError when it names none."""
    name = crew["metadata"]["name"]
    postgres = (crew["spec"].get("history") or {}).get("postgres")
    if not postgres:
        raise ClusterError(f"{name} has no durable history: it has no spec.history.postgres")
    ref = postgres["urlFrom"]["secretKeyRef"]
    url = kube.secret(ref["name"], ref["key"])
    if not url:
        raise ClusterError(f"the Secret {ref['name']} has no {ref['key']}, the URL of the history")
    source = postgres.get("caFrom") or {}
    if not source:
        return url.decode(errors="replace").strip(), None
    file = open_.enter_context(tempfile.NamedTemporaryFile(suffix=".pem"))  # noqa: SIM115 - closed with the stack
    file.write(_certificate(kube, source))
    file.flush()
    return url.decode(errors="replace").strip(), Path(file.name)


def _certificate(kube: Kube, source: Mapping[str, Any]) -> bytes:
    found = kube.file(source)
    if found is None:
        ref = source.get("secretKeyRef") or source["configMapKeyRef"]
        raise ClusterError(f"{ref['name']} has no {ref['key']}, the certificate of spec.history.postgres.caFrom")
    return found


def _query(
    table: Table, columns: Sequence[str], options: argparse.Namespace, crew: str | None
) -> tuple[str, list[Any]]:
    """Its names are the contract's, what the user says are parameters."""
    wanted = {
        "crew": crew,
        "session_id": options.session,
        "kickoff_id": options.kickoff,
        "status": options.status,
        "reason": options.reason,
    }
    where, given = ["true"], list[Any]()
    for name, value in wanted.items():
        if value is None:
            continue
        if name not in table.columns:
            raise UsageError(f"{table.name} cannot be chosen from by {name}: it has no such column")
        where.append(f"{name} = %s")
        given.append(value)
    for sign, time in ((">=", options.since), ("<", options.until)):
        if time is not None:
            where.append(f"{table.time} {sign} %s")
            given.append(time)
    limit = options.limit if options.limit is not None else 50 if options.output == "table" else None
    query = f"SELECT {', '.join(columns)} FROM {table.full_name} WHERE {' AND '.join(where)}"  # noqa: S608
    query += f" ORDER BY {', '.join(f'{name} DESC' for name in (table.time, *table.key))}"
    return query + (f" LIMIT {limit}" if limit is not None else ""), given


def _rows(connection: Any, query: str, given: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """By a cursor of the server: a statement then lasts as long as the next few rows, however slow their reader is."""
    with connection.cursor("rows") as cursor:
        cursor.itersize = AT_ONCE
        cursor.execute(query, given)
        yield from cursor


def _print(how: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """One row after the other, however many there are."""
    if how == "jsonl":
        for row in rows:
            print(json.dumps(dict(zip(columns, map(_plain, row), strict=True))))
    elif how == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        show = plain if sys.stdout.isatty() else str
        for row in rows:
            writer.writerow([show(_cell(one)) for one in row])
    else:
        grid = Grid(box=None, pad_edge=False)
        for name in columns:
            grid.add_column(name, overflow="fold")
        for row in rows:
            grid.add_row(*(_short(_cell(one)) for one in row))
        PlainConsole(width=None if sys.stdout.isatty() else _WIDE).print(grid)


def _plain(value: Any) -> Any:
    return _shown(value) if isinstance(value, datetime) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return _shown(value)
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _shown(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _time(text: str) -> datetime:
    if (span := _SPAN.fullmatch(text)) is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is neither a time nor how long ago: 2026-11-27, 12h, 7d") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text} is no number of rows")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())
