"""The tables of the durable history on a real Postgres: what its readers and its writers do to each other, no crew."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crew_server.history import migrate, rows
from crew_server.history.postgres import Postgres
from crew_server.history.rows import Erasure, Row
from crew_server.history.store import Store
from support.postgres_server import PostgresProcess

CREW = "test/crew"
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresProcess]:
    process = PostgresProcess()
    process.start()
    yield process
    process.close()


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
