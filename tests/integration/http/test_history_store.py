"""The tables of the durable history on a real Postgres: what its readers and its writers do to each other, no crew."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from crew_runtime.contract import history
from crew_server.errors import HistoryError
from crew_server.history import migrate, rows
from crew_server.history import store as store_module
from crew_server.history.postgres import Postgres
from crew_server.history.rows import Erasure, Row
from crew_server.history.store import Store
from support.postgres_server import PostgresProcess, start_postgres

CREW = "test/crew"
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresProcess]:
    with start_postgres() as process:
        yield process


@pytest.fixture
def postgres(server: PostgresProcess) -> Iterator[PostgresProcess]:
    """With the tables, empty."""
    migrate.upgrade(server.url)
    yield server
    server.query("DROP SCHEMA crewops CASCADE")


@pytest.fixture
def store(postgres: PostgresProcess) -> Store:
    return another(postgres)


def another(postgres: PostgresProcess) -> Store:
    """As another server has it."""
    return Store(Postgres(postgres.url, None), CREW)


def milliseconds(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))


def kickoff(kickoff_id: str, session: str, at: datetime, **changes: Any) -> list[Row | Erasure]:
    """What the end of a kickoff is in the tables."""
    result = {"output": "peanuts", "tasks": [{"name": "t", "agent": "a", "output": "peanuts"}], **changes}
    entry = {
        "kind": "kickoff", "kickoff_id": kickoff_id, "session_id": session, "status": "completed",
        "inputs": '{"say": "peanuts"}', "result": json.dumps(result), "ended_at": milliseconds(at),
    }  # fmt: skip
    return rows.of(CREW, entry)


def question(kickoff_id: str, session: str, at: datetime) -> list[Row | Erasure]:
    entry = {"kind": "question", "kickoff_id": kickoff_id, "session_id": session, "question_id": "q"}
    return rows.of(CREW, {**entry, "attempt": "1", "at": milliseconds(at), "question": '"peanuts?"'})


def erasure(session: str, at: datetime) -> list[Row | Erasure]:
    return rows.of(CREW, {"kind": "erasure", "session_id": session, "erased_at": milliseconds(at), "counts": "{}"})


async def test_page_that_ends_early_for_its_size_has_its_tasks_and_says_where_to_go_on(store):
    for number in range(12):
        await store.write(kickoff(f"k{number}", "ada", NOW + timedelta(seconds=number), output="x" * 1_000_000))
    seen, place, pages = [], None, 0
    while place is not None or not pages:
        page, place = await store.page("ada", 20, place)
        pages += 1
        assert all(len(one["tasks"]) == 1 and one["human_input"] == [] for one in page)
        seen += [one["kickoff_id"] for one in page]
    assert seen == [f"k{number}" for number in range(12)][::-1]
    assert pages == 4


async def test_batch_of_a_server_that_was_overtaken_brings_no_text_of_an_erased_session_back(store, postgres):
    """It took the batch, and another one wrote the erasure before its own write came through."""
    old = [*kickoff("k", "ada", NOW), *kickoff("other", "eve", NOW), *question("k", "ada", NOW)]
    await another(postgres).write(erasure("ada", NOW + timedelta(seconds=1)))
    await store.write([*old, *kickoff("later", "ada", NOW + timedelta(seconds=2))])
    for table, text in (("kickoffs", "result"), ("task_outputs", "output"), ("human_input", "content")):
        found = {
            one[0]: one[1:]
            for one in postgres.query(f"SELECT kickoff_id, session_id, {text}, erased_at FROM crewops.{table}")
        }
        assert found["k"] == (None, None, NOW + timedelta(seconds=1))
        assert {name: one[0] for name, one in found.items() if name != "k"} in (
            {"other": "eve", "later": "ada"}, {},
        )  # fmt: skip


async def test_write_that_is_under_way_is_waited_for_by_an_erasure(store, postgres):
    with psycopg.connect(postgres.url) as slow:
        await store.write(kickoff("k0", "eve", NOW))  # its month is there
        slow.execute("SELECT pg_advisory_xact_lock(%s)", (store_module.turn(CREW),))
        erases = asyncio.create_task(another(postgres).write(erasure("ada", NOW)))
        await asyncio.sleep(0.5)
        slow.execute(
            "INSERT INTO crewops.kickoffs (crew, kickoff_id, session_id, status, reason, result, ended_at) "
            "VALUES (%s, 'k', 'ada', 'completed', '', '{}', %s)",
            (CREW, NOW),
        )
        slow.commit()
    await erases
    assert postgres.query("SELECT session_id, result FROM crewops.kickoffs WHERE kickoff_id = 'k'") == [(None, None)]


async def test_large_session_is_emptied_in_steps_and_again_when_one_fails(store, postgres, monkeypatch):
    monkeypatch.setattr(store_module, "EMPTY_STEP", 2)
    found = [row for number in range(5) for row in kickoff(f"k{number}", "ada", NOW - timedelta(seconds=number))]
    await store.write([*found, *kickoff("other", "eve", NOW)])
    # The third row that is emptied fails: those before it are done, and so is the erasure's own row.
    postgres.query(
        "CREATE FUNCTION crewops.one_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF (SELECT count(*) FROM crewops.kickoffs WHERE session_id IS NULL) >= 2 THEN RAISE 'no more'; END IF; "
        "RETURN NEW; END $$"
    )
    postgres.query(
        "CREATE TRIGGER one_step BEFORE UPDATE ON crewops.kickoffs FOR EACH ROW EXECUTE FUNCTION crewops.one_step()"
    )
    batch = [*erasure("ada", NOW), *kickoff("later", "ada", NOW + timedelta(seconds=1))]
    with pytest.raises(HistoryError):
        await store.write(batch)
    emptied = "SELECT count(*) FROM crewops.kickoffs WHERE session_id IS NULL"
    assert postgres.query(emptied) == [(2,)]
    postgres.query("DROP TRIGGER one_step ON crewops.kickoffs")
    await store.write(batch)
    assert postgres.query(emptied) == [(5,)]
    kept = postgres.query("SELECT kickoff_id FROM crewops.kickoffs WHERE result IS NOT NULL ORDER BY 1")
    assert kept == [("later",), ("other",)]
    assert postgres.query("SELECT count(*) FROM crewops.task_outputs WHERE output IS NOT NULL") == [(2,)]
    assert len(postgres.query("SELECT 1 FROM crewops.erasures")) == 1


async def test_row_that_is_there_is_looked_for_in_the_months_about_its_own_alone(store, postgres):
    """However many months there are."""
    for month in range(0, 48, 6):
        at = NOW - timedelta(days=31 * month)
        await store.write(kickoff(f"k{month}", "ada", at))
    text = store_module._insertion(history.KICKOFFS)
    (row,) = [one for one in kickoff("k", "ada", NOW) if isinstance(one, Row) and one.table is history.KICKOFFS]
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        lines = connection.execute("EXPLAIN " + text, store_module._parameters(row)).fetchall()
    months = {found[0] for (line,) in lines if (found := re.search(r"kickoffs_\d{6}", line))}
    assert months == {f"kickoffs_{NOW:%Y%m}"}


async def test_months_end_by_utc_wherever_the_user_of_postgres_says_it_is(store, postgres):
    begin = NOW.replace(day=1, hour=0, minute=0, second=0)
    last = begin - timedelta(hours=1)
    await store.write(kickoff("k", "ada", last - timedelta(hours=1)))
    postgres.query("ALTER ROLE audit SET timezone = 'Pacific/Kiritimati'")  # 14 hours ahead
    try:
        assert await store.expire((datetime.now(UTC) - last).total_seconds()) == 0
        assert len(postgres.query("SELECT 1 FROM crewops.kickoffs")) == 1
        assert await store.expire((datetime.now(UTC) - begin).total_seconds() - 60) == 2, "it and its tasks'"
    finally:
        postgres.query("ALTER ROLE audit RESET timezone")


async def test_month_is_made_beside_readers(store, postgres):
    """A long report of theirs keeps no entry from being written, nor does the entry stop other readers."""
    await store.write(kickoff("k0", "ada", NOW))
    with psycopg.connect(postgres.url) as reader:
        assert len(reader.execute("SELECT 1 FROM crewops.kickoffs").fetchall()) == 1  # and its transaction stays
        await asyncio.wait_for(store.write(kickoff("k1", "ada", NOW + timedelta(days=40))), 5)
        reader.rollback()
    page, _ = await store.page("ada", 20, None)
    assert [(one["kickoff_id"], len(one["tasks"])) for one in page] == [("k1", 1), ("k0", 1)]
    await asyncio.gather(
        *(another(postgres).write(kickoff(f"a{n}", "eve", NOW - timedelta(days=70))) for n in range(4))
    )
    indexes = postgres.query("SELECT count(*) FROM pg_indexes WHERE tablename LIKE 'kickoffs_2%%' GROUP BY tablename")
    assert indexes == [(3,)] * 3, "each month has what the table has"
