"""`crewctl history` on a real Postgres, without a crew."""

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from crew_runtime.contract import history
from crew_server.history import migrate, rows
from crew_server.history.postgres import Postgres
from crew_server.history.store import Store
from crewctl.commands.history import SHORT
from support.postgres_server import PostgresProcess, start_postgres

NOW = datetime.now(UTC).replace(microsecond=0)


def ended(number: int, **changes: str) -> dict[str, str]:
    """An entry of the outbox; kickoff `k1` ended an hour before `k0`, and so on."""
    at = int((NOW - timedelta(hours=number)).timestamp() * 1000)
    result = {"output": '\x1b[2Jhi, "you"\n', "tasks": [{"name": "t", "agent": "a", "output": "done"}]}
    return {
        "kind": "kickoff", "kickoff_id": f"k{number}", "session_id": f"s{number % 2}", "status": "completed",
        "inputs": '{"message": "hi"}', "result": json.dumps(result), "attempt": "1", "ended_at": str(at), **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresProcess]:
    with start_postgres() as process:
        migrate.upgrade(process.url)
        entries = [*(ended(number) for number in range(4)), ended(4, status="error", reason="CrewFailed")]
        found = [row for one in entries for row in rows.of("hotel/concierge", one)]
        other = rows.of("hotel/other", ended(0))
        for crew, each in (("hotel/concierge", found), ("hotel/other", other)):
            asyncio.run(Store(Postgres(process.url, None), crew).write(each))
        yield process


@pytest.fixture
def crewctl(postgres):
    def run(*words: str, url: str = postgres.url) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "CREWCTL_HISTORY_URL": url}
        command = [sys.executable, "-m", "crewctl", "history", *words]
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)

    return run


def lines(done: subprocess.CompletedProcess[str]) -> list[dict]:
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(one) for one in done.stdout.splitlines()]


def test_filters_choose_and_the_newest_come_first(crewctl):
    def ids(*words):
        return [one["kickoff_id"] for one in lines(crewctl("--crew", "hotel/concierge", "-o", "jsonl", *words))]

    assert ids() == ["k0", "k1", "k2", "k3", "k4"]
    assert ids("--session", "s1") == ["k1", "k3"]
    assert ids("--status", "error") == ids("--reason", "CrewFailed") == ["k4"]
    assert ids("--kickoff", "k2") == ["k2"]
    assert ids("--limit", "2") == ["k0", "k1"]
    assert ids("--since", "90m") == ["k0", "k1"]
    assert ids("--until", (NOW - timedelta(minutes=150)).isoformat()) == ["k3", "k4"]
    assert ids("--session", "' OR true --") == []
    assert len(lines(crewctl("-o", "jsonl"))) == 6, "of all crews"


def test_each_line_has_all_columns_and_csv_the_same(crewctl):
    words = ("--crew", "hotel/concierge", "--kickoff", "k0")
    (one,) = lines(crewctl(*words, "-o", "jsonl"))
    assert one.keys() == history.KICKOFFS.columns.keys() | history.ADDED.keys()
    assert one["inputs"] == {"message": "hi"}
    assert one["ended_at"] == NOW.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    (row,) = csv.DictReader(io.StringIO(crewctl(*words, "-o", "csv").stdout))
    assert row.keys() == one.keys()
    assert json.loads(row["result"])["output"] == one["result"]["output"] == '\x1b[2Jhi, "you"\n'


def test_reader_that_is_slow_gets_all_whatever_a_statement_may_take(postgres):
    postgres.query(
        "INSERT INTO crewops.kickoffs (crew, kickoff_id, status, reason, ended_at, error) "
        "SELECT 'hotel/large', n, 'error', '', %s, repeat('x', 500000) FROM generate_series(1, 120) AS n",
        NOW,
    )
    code = "import sys; from crewctl import app; from crewctl.commands import history as h; h.SECONDS = 2; "
    words = ["history", "--crew", "hotel/large", "-o", "jsonl"]
    env = {**os.environ, "CREWCTL_HISTORY_URL": postgres.url}
    command = [sys.executable, "-c", f"{code} sys.exit(app.main({words}))"]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as reader:
            first = reader.stdout.readline()
            time.sleep(5)
            rest, said = reader.communicate(timeout=60)
    finally:
        postgres.query("DELETE FROM crewops.kickoffs WHERE crew = 'hotel/large'")
    assert (reader.returncode, said) == (0, b"")
    assert len((first + rest).splitlines()) == 120


@pytest.mark.parametrize("table", history.TABLES)
def test_every_table_is_shown_on_a_screen(crewctl, table):
    done = crewctl("--table", table)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[0].split() == list(SHORT[table])
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--columns", "password"), "kickoffs has no column password"),
        (("--table", "erasures", "--session", "a"), "erasures cannot be chosen from by session_id"),
        (("--since", "yesterday"), "neither a time nor how long ago"),
        (("--limit", "0"), "no number of rows"),
    ],
)
def test_what_cannot_be_is_told(crewctl, words, text):
    done = crewctl(*words)
    assert done.returncode == 2
    assert text in done.stderr


def test_postgres_that_is_not_there_or_refuses_is_told_without_a_password(crewctl, postgres):
    for url, code, text in (
        ("", 2, "name a CrewDeployment, or say by $CREWCTL_HISTORY_URL"),
        ("postgresql://a:s3cret-pg@[x", 2, "the URL of the history is none"),
        ("postgresql://localhost:s3cret/pg@db:5432/x", 2, "the URL of the history is none"),
        ("postgresql://a:b@s3cret,pg@db/x", 2, "the URL of the history is none"),
        (postgres.url.replace("s3cret-pg", "wrong"), 1, "password authentication failed"),
        ("postgresql://audit:s3cret-pg@127.0.0.1:1/postgres", 1, "the history cannot be read"),
    ):
        done = crewctl(url=url)
        assert (done.returncode, done.stdout) == (code, "")
        assert text in done.stderr
        assert "s3cret" not in done.stderr
        assert "Traceback" not in done.stderr
