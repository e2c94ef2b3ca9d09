"""The scripts that hold the line between replicas, on a real Redis, without servers around them."""

import asyncio
from dataclasses import dataclass

import pytest

from crew_server import redis_client
from crew_server.runs import state, store
from crew_server.runs.state import Outcome, Request
from crew_server.runs.store import RunStore, Watched
from crew_server.settings import Settings

REQUEST = Request("k1", "s1", {"city": "Rome"}, {}, 60)
DONE = state.completed({"t": "result", "output": "x", "memory": "ok"})


@dataclass
class Two:
    """Two replicas' stores and the bare client."""

    first: RunStore
    second: RunStore
    bare: redis_client.Client

    async def field(self, name: str):
        return await self.bare.hget("cs:{test/crew}:run:k1", name)

    async def expire_lease(self) -> None:
        await self.bare.hset("cs:{test/crew}:run:k1", "lease", 1)


@pytest.fixture
async def two(redis):
    def settings(replica: str) -> Settings:
        return Settings(namespace="test", name="crew", replica=replica, redis_url=redis.url, key_prefix="test/crew")

    client = redis_client.connect(settings("r1"))
    yield Two(RunStore(client, settings("r1")), RunStore(client, settings("r2")), client)
    await client.aclose()


async def test_first_end_wins_and_the_later_one_is_told(two):
    await two.first.accept(REQUEST)
    assert await two.second.cancel("k1") == (True, "cancelled")
    assert await two.first.finish(REQUEST, DONE, "e1", {}) == (False, "cancelled")
    fields, now = await two.second.read("k1")
    assert state.view(fields, now)["status"] == "cancelled"
    assert "result" not in fields


async def test_end_that_is_written_twice_counts_once_and_both_times(two):
    await two.first.accept(REQUEST)
    assert await two.first.finish(REQUEST, DONE, "e1", {}) == (True, "completed")
    ended_at = await two.field("ended_at")
    assert await two.first.finish(REQUEST, DONE, "e1", {}) == (True, "completed")
    assert await two.field("ended_at") == ended_at
    assert await two.second.cancel("k1") == (False, "completed")


async def test_races_between_replicas_have_one_winner(two):
    for round_ in range(20):
        request = Request(f"race-{round_}", "s", {}, {}, 60)
        await two.first.accept(request)
        results = await asyncio.gather(
            two.first.finish(request, DONE, "e1", {}),
            two.second.cancel(request.kickoff_id),
            two.first.finish(request, state.timed_out(1), "e2", {}),
        )
        assert [applied for applied, _ in results].count(True) == 1
        assert len({status for _, status in results}) == 1


async def test_accept_is_made_once(two):
    await two.first.accept(REQUEST)
    await two.first.finish(REQUEST, DONE, "e1", {})
    await two.first.accept(REQUEST)
    assert await two.field("status") == "completed"


async def test_owner_renews_and_stores_and_others_do_not(two):
    await two.first.accept(REQUEST)
    await two.expire_lease()
    assert await two.second.watch([Watched("k1", {"progress": "{}"})]) == ["fenced"]
    assert await two.field("lease") == "1"
    assert await two.first.watch([Watched("k1", {"started_at": "NOW", "progress": "{}"})]) == ["running"]
    assert int(await two.field("lease")) > 1
    assert int(await two.field("started_at")) > 1
    assert await two.field("progress") == "{}"


async def test_watch_tells_each_run_its_own_status(two):
    await two.first.accept(REQUEST)
    other = Request("k2", "s", {}, {}, 60)
    await two.first.accept(other)
    await two.second.cancel("k2")
    assert await two.first.watch([Watched("k1", {}), Watched("gone", {}), Watched("k2", {})]) == [
        "running",
        "",
        "cancelled",
    ]


async def test_kickoff_that_nobody_renews_ends_at_the_second_look(two, monkeypatch):
    monkeypatch.setattr(store, "SUSPICION_MS", 150)
    await two.first.accept(REQUEST)
    await two.expire_lease()
    assert (await two.second.read("k1"))[0]["status"] == "running"
    assert (await two.second.read("k1"))[0]["status"] == "running", "too early to tell"
    await asyncio.sleep(0.2)
    fields, now = await two.second.read("k1")
    seen = state.view(fields, now)
    assert (seen["status"], seen["reason"]) == ("error", "ReplicaLost")
    assert await two.first.finish(REQUEST, DONE, "e1", {}) == (False, "error")


async def test_owner_that_renews_after_the_first_look_keeps_its_kickoff(two, monkeypatch):
    monkeypatch.setattr(store, "SUSPICION_MS", 150)
    await two.first.accept(REQUEST)
    await two.expire_lease()
    await two.second.read("k1")
    await two.first.watch([Watched("k1", {})])
    await asyncio.sleep(0.2)
    assert (await two.second.read("k1"))[0]["status"] == "running"
    await two.expire_lease()
    assert (await two.second.read("k1"))[0]["status"] == "running", "the suspicion begins anew"


async def test_restarted_server_of_the_same_name_is_another_owner(two, redis):
    await two.first.accept(REQUEST)
    again = RunStore(two.bare, Settings("test", "crew", "r1", redis.url, "test/crew"))
    assert await again.finish(REQUEST, DONE, "e1", {}) == (False, "fenced")
    assert await again.watch([Watched("k1", {})]) == ["fenced"]


async def test_end_of_a_kickoff_that_redis_lost_is_a_whole_record(two):
    assert await two.first.finish(REQUEST, DONE, "e1", {"execution_ms": "5"}) == (True, "completed")
    fields, now = await two.second.read("k1")
    seen = state.view(fields, now)
    assert (seen["status"], seen["session_id"], seen["execution_time"]) == ("completed", "s1", 0.005)
    assert await two.second.cancel("unknown") == (False, "")
    assert (await two.second.read("unknown"))[0] == {}


async def test_scripts_that_a_restarted_redis_forgot_are_loaded_again(two):
    await two.first.accept(REQUEST)
    await two.bare.script_flush()
    assert await two.first.finish(REQUEST, DONE, "e1", {}) == (True, "completed")


@pytest.mark.parametrize("text", ["plain", "bad \ud800 text", "nul \x00", "日本 🎉", '{"a": "\\ud83d"}'])
async def test_any_text_of_an_error_survives(two, text):
    await two.first.accept(REQUEST)
    outcome = Outcome("error", "CrewFailed", text, extra={"traceback": text})
    assert (await two.first.finish(REQUEST, outcome, "e1", {}))[0]
    fields, now = await two.second.read("k1")
    assert state.view(fields, now)["traceback"] == text
