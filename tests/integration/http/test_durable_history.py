"""The durable history: real replicas, a real Redis with the rights of a crew, and a real Postgres."""

import asyncio
import hashlib
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from crew_runtime.contract import history, keys
from crew_server.history import migrate
from support.postgres_server import PostgresProcess, start_postgres
from support.replicas import wait_until
from support.waiting import BUSY

PREFIX = "test/crew"


@pytest.fixture
def postgres() -> Iterator[PostgresProcess]:
    with start_postgres() as process:
        yield process


@pytest.fixture
def audited(make, postgres):
    """A replica with a durable history."""

    async def start(name: str = "r1", **options: str):
        return await make(name, CREWOPS_HISTORY_POSTGRES_URL=postgres.url, **options)

    return start


async def rows(postgres: PostgresProcess, count: int, table: str = "kickoffs", seconds: float = 60) -> list[tuple]:
    """All rows of a table once there are so many."""

    async def look():
        if not (await asyncio.to_thread(postgres.query, "SELECT to_regclass(%s) IS NOT NULL", f"crewops.{table}"))[0][
            0
        ]:
            return None
        found = await asyncio.to_thread(postgres.query, f"SELECT count(*) FROM crewops.{table}")
        return found if found[0][0] >= count else None

    await wait_until(look, f"{count} rows in {table}", seconds)
    return postgres.query(f"SELECT * FROM crewops.{table}")


async def told(replica, wanted, what: str, seconds: float = 60):
    """The report's history once it is as wanted."""

    async def look():
        found = (await replica.health.get("/report")).json()["history"]
        return found if wanted(found) else None

    return await wait_until(look, what, seconds)


async def test_kickoff_is_in_postgres_with_all_that_is_known_of_it(audited, postgres):
    replica = await audited(CREWOPS_IMAGE="registry.example/concierge:3")
    kickoff = await replica.kickoff("ada", do="echo", say="no peanuts")
    await replica.ended(kickoff)
    await rows(postgres, 1)
    names = "crew, kickoff_id, session_id, status, reason, inputs, result, attempts, losses, replica, image, erased_at"
    ((*found, versions, ended, written),) = postgres.query(
        f"SELECT {names}, versions, ended_at, written_at FROM crewops.kickoffs"
    )
    assert found == [
        PREFIX, kickoff, "ada", "completed", "",
        {"do": "echo", "say": "no peanuts"}, {"output": "no peanuts", "json": None}, 1, 0, "r1",
        "registry.example/concierge:3", None,
    ]  # fmt: skip
    assert versions["crewops"]
    assert abs((written - ended).total_seconds()) < 60
    assert postgres.query("SELECT kickoff_id, number, session_id, output FROM crewops.task_outputs") == [
        (kickoff, 0, "ada", "hello")
    ]
    seen = await told(replica, lambda one: one["reason"] == "Ok" and not one["waiting"], "all is written")
    assert (seen["lag"], seen["bytes"], seen["lost"]) == (0, 0, 0)
    metrics = (await replica.health.get("/metrics")).text
    assert 'crewops_history_entries_total{result="written"} 1.0' in metrics


async def test_history_of_a_session_is_read_in_pages_by_any_replica(audited, postgres):
    one = await audited("r1")
    made = [await one.kickoff("ada/ü", do="echo", say=str(number)) for number in range(5)]
    await one.kickoff("eve", do="echo")
    await rows(postgres, 6)
    other = await audited("r2")
    path, seen, cursor = "/sessions/ada%2F%C3%BC/history", [], ""
    while cursor is not None:
        page = (await other.api.get(path, params={"limit": 2, "cursor": cursor})).json()
        assert len(page["kickoffs"]) <= 2
        seen += page["kickoffs"]
        cursor = page["cursor"]
    assert [each["kickoff_id"] for each in seen] == made[::-1]
    assert [each["result"]["output"] for each in seen] == ["4", "3", "2", "1", "0"]
    assert seen[0]["tasks"][0]["output"] == "hello"
    assert (await other.api.get(path, params={"cursor": "x"})).status_code == 422
    assert (await other.api.get("/sessions/nobody/history")).json()["kickoffs"] == []


async def test_crew_without_a_history_says_so(make):
    replica = await make()
    answer = await replica.api.get("/sessions/ada/history")
    assert (answer.status_code, answer.json()["reason"]) == (404, "NoHistory")
    assert (await replica.health.get("/report")).json()["history"] is None


async def test_each_kickoff_is_there_once_though_postgres_was_away_and_a_replica_was_killed(audited, postgres, redis):
    one, other = await audited("r1"), await audited("r2")
    first = await one.kickoff("s0", do="echo")
    await rows(postgres, 1)
    postgres.kill()
    starts = [(one, other)[number % 2].kickoff(f"s{number % 7}", do="echo", say=str(number)) for number in range(40)]
    made = [first, *await asyncio.gather(*starts)]
    for kickoff in made:
        assert (await other.ended(kickoff))["status"] == "completed", "no kickoff is held up"
    seen = await told(other, lambda found: found["waiting"] >= 40, "all that waits is told")
    assert seen["lag"] > 0
    one.server.kill()
    postgres.start()
    found = await rows(postgres, len(made), seconds=90)
    assert len(found) == len(made)
    assert {row[0] for row in postgres.query("SELECT kickoff_id FROM crewops.kickoffs")} == set(made)
    await told(other, lambda now: now["reason"] == "Ok" and not now["waiting"] and now["lag"] == 0, "it is current")
    with redis.client() as client:
        assert client.xlen(keys.history(PREFIX)) == 0
        assert not client.exists(keys.history_bytes(PREFIX))


async def test_postgres_that_hangs_holds_up_no_kickoff_and_is_told(audited, postgres):
    replica = await audited()
    await replica.ended(await replica.kickoff("ada", do="echo"))
    await rows(postgres, 1)
    postgres.signal(signal.SIGSTOP)
    try:
        kickoff = await replica.kickoff("ada", do="echo")
        assert (await replica.ended(kickoff))["status"] == "completed"
        seen = await told(replica, lambda found: found["reason"] == "PostgresTimeout", "the timeout is told", 90)
        assert seen["waiting"] == 1
        async with httpx.AsyncClient(base_url=replica.api.base_url, timeout=60) as fresh:  # the other one was idle
            answer = await fresh.get("/sessions/ada/history")
        assert (answer.status_code, answer.json()["reason"]) == (503, "PostgresTimeout")
        assert (await replica.health.get("/readyz")).status_code == 200
    finally:
        postgres.signal(signal.SIGCONT)
    await rows(postgres, 2, seconds=90)


async def test_entries_that_come_twice_are_written_once(audited, postgres, redis):
    """What a server does that dies between Postgres' commit and Redis."""
    replica = await audited()
    with redis.client() as client:
        client.set(keys.history_shipper(PREFIX), "somebody else")  # without an end: nobody writes
        await replica.ended(await replica.kickoff("ada", do="echo"))
        ((_, entry),) = client.xrange(keys.history(PREFIX))
        for _ in range(3):
            client.xadd(keys.history(PREFIX), entry)
        # A Redis that came back with an older state has the kickoff end a second time.
        client.xadd(keys.history(PREFIX), {**entry, "ended_at": str(int(entry["ended_at"]) + 5000), "status": "error"})
        client.delete(keys.history_shipper(PREFIX))
        await rows(postgres, 1)

        async def none_waits():
            return client.xlen(keys.history(PREFIX)) == 0

        await wait_until(none_waits, "all is written")
    assert postgres.query("SELECT status FROM crewops.kickoffs") == [("completed",)]
    assert len(postgres.query("SELECT * FROM crewops.task_outputs")) == 1


async def test_erased_session_is_emptied_where_it_waits_and_where_it_was_written(audited, postgres, redis):
    replica = await audited()
    written = await replica.kickoff("ada", do="echo", say="peanuts")
    kept = await replica.kickoff("eve", do="echo", say="walnuts")
    await rows(postgres, 2)
    postgres.kill()
    waits = await replica.kickoff("ada", do="echo", say="almonds")
    for each in (written, kept, waits):
        await replica.ended(each)
    assert (await replica.api.delete("/sessions/ada")).status_code == 200
    with redis.client() as client:
        texts = str(client.xrange(keys.history(PREFIX)))
        assert "almonds" not in texts
    later = await replica.kickoff("ada", do="echo", say="hazelnuts")
    await replica.ended(later)
    postgres.start()
    await rows(postgres, 4, seconds=90)
    await rows(postgres, 1, "erasures")
    found = {
        row[0]: row[1:]
        for row in postgres.query(
            "SELECT kickoff_id, session_id, inputs, result, status, erased_at IS NOT NULL FROM crewops.kickoffs"
        )
    }
    for each in (written, waits):
        assert found[each] == (None, None, None, "completed", True)
    assert found[kept][0] == "eve"
    assert found[later][0] == "ada", "what was said after the erasure stays"
    said = str(postgres.query("SELECT * FROM crewops.kickoffs")) + str(
        postgres.query("SELECT * FROM crewops.task_outputs WHERE kickoff_id IN (%s, %s)", written, waits)
    )
    assert "peanuts" not in said
    assert "almonds" not in said
    ((digest, counts),) = postgres.query("SELECT session_sha256, counts FROM crewops.erasures")
    assert digest == hashlib.sha256(b"ada").hexdigest()
    assert counts["kickoffs"] == 2


async def test_session_is_erased_though_the_history_was_taken_away_for_a_while(audited, make, postgres, redis):
    one = await audited("r1")
    await one.ended(await one.kickoff("ada", do="echo", say="peanuts"))
    await rows(postgres, 1)
    postgres.kill()
    await one.ended(await one.kickoff("ada", do="echo", say="almonds"))
    await one.close()
    other = await make("r2")
    assert (await other.api.delete("/sessions/ada")).status_code == 200
    with redis.client() as client:
        waits = client.xrange(keys.history(PREFIX))
    assert "almonds" not in str(waits)
    assert [entry["kind"] for _, entry in waits] == ["kickoff", "erasure"]
    await other.close()
    postgres.start()
    await audited("r3")
    await rows(postgres, 1, "erasures", seconds=90)
    found = postgres.query("SELECT session_id, inputs, result FROM crewops.kickoffs")
    assert found == [(None, None, None)] * 2
    assert postgres.query("SELECT session_id, output FROM crewops.task_outputs") == [(None, None)]


async def test_erasure_in_a_crew_that_never_had_a_history_leaves_nothing_for_one(make, redis):
    replica = await make()
    await replica.ended(await replica.kickoff("ada", do="echo"))
    assert (await replica.api.delete("/sessions/ada")).status_code == 200
    with redis.client() as client:
        assert not client.exists(keys.history(PREFIX))


async def test_kickoff_that_a_replica_without_a_history_runs_is_not_put_down_for_it(audited, make, redis):
    one = await audited("r1")
    kickoff = await one.kickoff("ada", do="ask")
    asked = await one.reaches(kickoff, "pending_human_input")
    await one.close()
    other = await make("r2")
    body = {"execution_id": kickoff, "task_id": asked["task_id"], "human_feedback": "yes", "is_approve": True}
    assert (await other.api.post("/resume", json=body)).status_code == 200

    def ended(entries):
        return [entry for _, entry in entries if entry["kind"] == "kickoff"]

    await other.ended(kickoff)
    with redis.client() as client:
        assert client.hmget(keys.run(PREFIX, kickoff), "history", "made_by") == [None, None]
        assert ended(client.xrange(keys.history(PREFIX))) == []


async def test_last_end_of_the_last_replica_is_written_before_it_goes(audited, postgres, redis):
    replica = await audited()
    await replica.ended(await replica.kickoff("ada", do="echo"))
    await rows(postgres, 1)
    last = await replica.kickoff("ada", seconds=3, say="last")
    await replica.started(last)
    with redis.client() as client:
        client.set(keys.history_shipper(PREFIX), "another one")  # which was faster, and goes first
        await asyncio.sleep(1.5)  # the replica knows: it looks again in five seconds
        replica.server.terminate()
        await asyncio.sleep(1)
        client.delete(keys.history_shipper(PREFIX))

        async def ended():
            return replica.server.poll() is not None

        await wait_until(ended, "the replica ends", 30)
        assert replica.server.returncode == 0
        assert client.xlen(keys.history(PREFIX)) == 0
        assert not client.exists(keys.history_shipper(PREFIX)), "whoever comes next need not wait"
    assert {row[0] for row in postgres.query("SELECT kickoff_id FROM crewops.kickoffs")} >= {last}


async def test_postgres_that_is_away_holds_up_no_end_of_a_replica(audited, postgres):
    replica = await audited()
    await replica.ended(await replica.kickoff("ada", do="echo"))
    await rows(postgres, 1)
    postgres.kill()
    await replica.ended(await replica.kickoff("ada", do="echo"))
    await told(replica, lambda found: found["reason"] == "PostgresUnreachable", "it is told")
    begun = time.monotonic()
    replica.server.terminate()

    async def ended():
        return replica.server.poll() is not None

    await wait_until(ended, "the replica ends", 30)
    assert replica.server.returncode == 0
    assert time.monotonic() - begun < 3.0 * BUSY


async def test_question_and_answer_are_there(audited, postgres):
    replica = await audited()
    kickoff = await replica.kickoff("ada", do="ask")
    seen = await replica.reaches(kickoff, "pending_human_input")
    task_id = seen["task_id"]
    body = {"execution_id": kickoff, "task_id": task_id, "human_feedback": "shorter", "is_approve": False}
    assert (await replica.api.post("/resume", json=body)).status_code == 200
    await rows(postgres, 2, "human_input")
    found = postgres.query("SELECT event, question_id, content FROM crewops.human_input ORDER BY at, event")
    assert [(one[0], one[1]) for one in found[:2]] == [("asked", task_id), ("answered", task_id)]
    assert found[1][2] == {"feedback": "shorter", "approved": False}


async def test_outbox_that_something_else_lies_in_the_place_of_keeps_no_kickoff_from_its_end(audited, postgres, redis):
    replica = await audited()
    with redis.client() as client:
        client.set(keys.history(PREFIX), "no stream")
        assert (await replica.ended(await replica.kickoff("ada", do="echo")))["status"] == "completed"
        aside = client.xrange(f"{keys.root(PREFIX)}dead")
        assert [one["kind"] for _, one in aside] == ["history"]
        client.delete(keys.history(PREFIX))
        await replica.ended(await replica.kickoff("ada", do="echo"))
    await rows(postgres, 1)


async def test_messages_are_there_where_they_are_kept_and_go_with_their_session(audited, postgres):
    replica = await audited(CREWOPS_HISTORY_FORMAT="LangChain", CREWOPS_HISTORY_INPUT="say")
    for session in ("ada", "eve"):
        await replica.ended(await replica.kickoff(session, do="echo", say=f"I am {session}"))
    await rows(postgres, 4, "messages")
    query = "SELECT type, content FROM crewops.messages WHERE session_id = %s ORDER BY type DESC"
    assert postgres.query(query, "ada") == [("human", "I am ada"), ("ai", "I am ada")]
    assert (await replica.api.delete("/sessions/ada")).status_code == 200
    await rows(postgres, 1, "erasures")
    assert postgres.query(query, "ada") == []
    assert postgres.query("SELECT count(*) FROM crewops.messages WHERE content IS NULL") == [(2,)]
    assert len(postgres.query(query, "eve")) == 2


async def test_what_has_no_room_is_counted_and_told(audited, postgres, redis):
    replica = await audited(CREWOPS_HISTORY_POSTGRES_BYTES=str(1 << 16))
    postgres.kill()
    for number in range(8):
        await replica.ended(await replica.kickoff("ada", do="echo", say=str(number) * 15_000))
    seen = await told(replica, lambda found: found["lost"] > 0, "the loss is told")
    with redis.client() as client:
        waits = client.xlen(keys.history(PREFIX))
        assert int(client.get(keys.history_bytes(PREFIX))) <= 1 << 16
    assert waits + seen["lost"] == 8


async def test_what_waits_leaves_a_redis_that_is_full(audited, postgres, redis):
    """It would be full for ever: what waits is a part of what fills it."""
    replica = await audited()
    with redis.client() as client:
        client.set(keys.history_shipper(PREFIX), "somebody else")  # without an end: nobody writes
        await replica.ended(await replica.kickoff("ada", do="echo"))
        client.config_set("maxmemory", "1")
        client.delete(keys.history_shipper(PREFIX))
        await rows(postgres, 1)

        async def none_waits():
            return client.xlen(keys.history(PREFIX)) == 0

        await wait_until(none_waits, "all is written")
        client.config_set("maxmemory", "0")


async def test_text_that_postgres_cannot_hold_is_written_and_what_it_refuses_is_put_aside(audited, postgres, redis):
    replica = await audited()
    body = '{"session_id": "ada", "inputs": {"do": "echo", "say": "a\\u0000b\\ud800c"}}'
    answer = await replica.api.post("/kickoff", content=body, headers={"content-type": "application/json"})
    kickoff = answer.json()["kickoff_id"]
    await replica.ended(kickoff)
    await rows(postgres, 1)
    ((inputs,),) = postgres.query("SELECT inputs FROM crewops.kickoffs")
    assert inputs["say"] == "a\ufffdb?c"
    with redis.client() as client:
        client.xadd(keys.history(PREFIX), {"kind": "kickoff", "kickoff_id": "x"})
        client.xadd(keys.history(PREFIX), {"kind": "kickoff", "kickoff_id": "y", "status": "error", "ended_at": "1"})
        deep = "[" * 900 + "]" * 900
        entry = {"kind": "kickoff", "kickoff_id": "é" * 4000, "status": "error", "ended_at": "1795464477668"}
        client.xadd(keys.history(PREFIX), {**entry, "inputs": deep})
        last = await replica.kickoff("ada", do="echo")
        await rows(postgres, 2)
        assert {row[0] for row in postgres.query("SELECT kickoff_id FROM crewops.kickoffs")} == {kickoff, last}
        aside = client.xrange(f"{keys.root(PREFIX)}dead")
        assert [one["kind"] for _, one in aside] == ["history"] * 3


async def test_replica_serves_though_its_url_or_its_certificate_is_wrong(make, postgres):
    for wrong, words in (
        ("http://x", "the URL of Postgres has to be"),
        (postgres.url.replace("s3cret-pg", "wrong"), "refused the credentials"),
        ("postgresql://audit@127.0.0.1:1/postgres", "cannot be reached"),
    ):
        replica = await make("r1", CREWOPS_HISTORY_POSTGRES_URL=wrong)
        await replica.ended(await replica.kickoff("ada", do="echo"))
        seen = await told(replica, lambda found: found["reason"] not in ("Ok", "NotChecked"), "it is told")
        assert words in seen["message"]
        assert "wrong" not in seen["message"]
        assert "s3cret" not in seen["message"]
        await replica.close()
    replica = await make("r1", CREWOPS_HISTORY_POSTGRES_URL=postgres.url, CREWOPS_HISTORY_POSTGRES_CA_FILE="/nowhere")
    await told(replica, lambda found: found["reason"] == "PostgresUnreachable", "no certificate is no server")


async def test_another_database_that_is_empty_is_made_ready_without_a_restart(audited, postgres):
    replica = await audited()
    await replica.ended(await replica.kickoff("ada", do="echo"))
    await rows(postgres, 1)
    postgres.query("DROP SCHEMA crewops CASCADE")
    later = await replica.kickoff("ada", do="echo")
    await replica.ended(later)
    await rows(postgres, 1)
    assert postgres.query("SELECT kickoff_id FROM crewops.kickoffs") == [(later,)]


async def test_user_without_rights_is_told_what_it_lacks(make, postgres):
    postgres.query("CREATE USER clerk PASSWORD 'c'")
    url = postgres.url.replace("audit:s3cret-pg", "clerk:c")
    replica = await make("r1", CREWOPS_HISTORY_POSTGRES_URL=url)
    seen = await told(replica, lambda found: found["reason"] == "PostgresNoRight", "the right is named")
    assert "permission denied for database" in seen["message"]
    postgres.query("GRANT CREATE ON DATABASE postgres TO clerk")
    await replica.ended(await replica.kickoff("ada", do="echo"))
    await rows(postgres, 1)
    postgres.query("ALTER USER clerk SET default_transaction_read_only = on")
    await replica.ended(await replica.kickoff("ada", do="echo"))
    await told(replica, lambda found: found["reason"] == "PostgresReadOnly", "a standby is told")
    postgres.query("ALTER USER clerk RESET default_transaction_read_only")
    await rows(postgres, 2, seconds=90)


async def test_months_that_are_too_old_go_and_other_crews_keep_theirs(audited, postgres):
    await asyncio.to_thread(migrate.upgrade, postgres.url)
    own, shared = datetime.now(UTC) - timedelta(days=100), datetime.now(UTC) - timedelta(days=200)
    for at in (own, shared):
        begin = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        end = (begin + timedelta(days=32)).replace(day=1)
        postgres.query(
            f"CREATE TABLE crewops.kickoffs_{at:%Y%m} PARTITION OF crewops.kickoffs "
            f"FOR VALUES FROM ('{begin}') TO ('{end}')"
        )
    insert = (
        "INSERT INTO crewops.kickoffs (crew, kickoff_id, status, reason, ended_at) VALUES (%s, %s, 'completed', '', %s)"
    )
    postgres.query(insert, PREFIX, "old", own)
    postgres.query(insert, PREFIX, "older", shared)
    postgres.query(insert, "other/crew", "theirs", shared)
    replica = await audited(CREWOPS_HISTORY_POSTGRES_RETENTION=str(30 * 86400))
    new = await replica.kickoff("ada", do="echo")

    async def gone():
        return {row[0] for row in postgres.query("SELECT kickoff_id FROM crewops.kickoffs")} == {"theirs", new}

    await wait_until(gone, "the old months are gone")
    partitions = {row[0] for row in postgres.query("SELECT inhrelid::regclass::text FROM pg_inherits")}
    assert f"crewops.kickoffs_{own:%Y%m}" not in partitions
    assert f"crewops.kickoffs_{shared:%Y%m}" in partitions


async def test_migrations_make_what_the_contract_says_whoever_comes_first(postgres):
    """Several replicas migrate at once."""
    together = [asyncio.to_thread(migrate.upgrade, postgres.url) for _ in range(4)]
    await asyncio.gather(*together)
    for table in history.TABLES.values():
        found = dict(
            postgres.query(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = 'crewops' AND table_name = %s",
                table.name,
            )
        )
        assert found == {**table.columns, **history.ADDED}
        assert set(table.content) < set(table.columns)
    assert postgres.query("SELECT version_num FROM crewops.schema_version") == [(f"{history.NEWEST:04d}",)]
    # One that is newer than this version knows is left as it is.
    postgres.query("UPDATE crewops.schema_version SET version_num = '0099'")
    await asyncio.to_thread(migrate.upgrade, postgres.url)
    assert postgres.query("SELECT version_num FROM crewops.schema_version") == [("0099",)]
