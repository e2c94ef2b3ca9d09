"""The scripts that hold the line between replicas, on a real Redis, without servers around them."""

import asyncio
import uuid
from dataclasses import dataclass

import pytest

from crew_runtime.contract import keys
from crew_server import redis_client
from crew_server.queue import queue as module
from crew_server.queue import state
from crew_server.queue.queue import FENCED, Idempotency, Queue, Watched
from crew_server.queue.state import Outcome, Request
from crew_server.settings import Settings
from crew_server.webhooks.outbox import Outbox

PREFIX = "test/crew"
TOTAL, BYTES = (f"{keys.root(PREFIX)}kickoffs:{name}" for name in ("total", "bytes"))
MEGABYTE = 1024 * 1024
DONE = state.completed({"t": "result", "output": "x", "memory": "ok"})
ROOM = 100


def request(kickoff: str = "k1", session: str = "") -> Request:
    """Of a named session its kickoffs go one after the other."""
    return Request(kickoff, session or f"of-{kickoff}", {"city": "Rome"}, {}, 60, ordered=bool(session))


@dataclass
class Two:
    """Two replicas' queues and the bare client."""

    first: Queue
    second: Queue
    bare: redis_client.Client
    url: str

    async def accept(self, *kickoffs: str, session: str = "") -> None:
        for one in kickoffs:
            assert (await self.first.accept(request(one, session), None, ROOM)).what == "accepted"

    async def claim(self, queue: Queue | None = None) -> state.Claim | None:
        return await (queue or self.first).claim(uuid.uuid4().hex)

    async def claimed(self, queue: Queue | None = None) -> state.Claim:
        claim = await self.claim(queue)
        assert claim is not None
        return claim

    async def field(self, name: str, kickoff: str = "k1") -> str | None:
        return await self.bare.hget(keys.run(PREFIX, kickoff), name)

    async def expire_lease(self, kickoff: str = "k1") -> None:
        await self.bare.zadd(keys.leases(PREFIX), {kickoff: 1})

    async def view(self, kickoff: str = "k1") -> dict:
        return state.view(*await self.second.read(kickoff))

    async def settled(self) -> bool:
        """Nothing of any kickoff is left but its hash."""
        left = {one async for one in self.bare.scan_iter(f"{keys.root(PREFIX)}*")}
        empty = [await self.bare.xlen(one) for one in (keys.queue(PREFIX), keys.handed_back(PREFIX))] == [0, 0]
        known = (":run:", ":claim:", ":queue", ":ends", ":ev:", ":runs:", ":kickoffs:")
        return empty and all(any(part in one for part in known) for one in left)


@pytest.fixture
async def two(redis):
    client = redis_client.connect(_settings(redis.url, "r1"))
    bare = redis_client.connect(_settings(redis.admin_url, "nobody"))
    yield Two(Queue(client, _settings(redis.url, "r1")), Queue(client, _settings(redis.url, "r2")), bare, redis.url)
    await bare.aclose()
    await client.aclose()


def _settings(url: str, replica: str, **more) -> Settings:
    return Settings(namespace="test", name="crew", replica=replica, redis_url=url, key_prefix=PREFIX, **more)


# -- accepted, claimed, ended -----------------------------------------------------------------------------------------


async def test_kickoffs_are_claimed_in_order_each_once_by_any_replica(two):
    await two.accept("k1", "k2", "k3")
    claims = [await two.claimed(two.second), await two.claimed(), await two.claimed(two.second)]
    assert [one.request.kickoff_id for one in claims] == ["k1", "k2", "k3"]
    assert [one.attempt for one in claims] == [1, 1, 1]
    assert await two.claim() is None
    assert await two.first.finish(claims[1], DONE, "e", {}, gone=True) == (True, "completed")
    assert (await two.view("k2"))["result"]["output"] == "x"


async def test_twenty_claims_at_once_give_each_kickoff_to_one(two):
    await two.accept(*(f"k{n}" for n in range(10)))
    claims = await asyncio.gather(*((two.first, two.second)[n % 2].claim(f"t{n}") for n in range(20)))
    got = [one.request.kickoff_id for one in claims if one]
    assert sorted(got) == sorted(f"k{n}" for n in range(10))


async def test_claim_whose_answer_was_lost_gives_the_same_kickoff_again(two):
    await two.accept("k1", "k2")
    first = await two.first.claim("token")
    assert await two.first.claim("token") == first
    assert await two.field("attempt") == "1"
    assert (await two.claimed()).request.kickoff_id == "k2"


async def test_server_with_a_free_slot_gets_what_it_accepts_when_nothing_waits(two):
    one = await two.first.accept(request("k1"), None, ROOM, start=True)
    assert one.claim is not None
    assert (one.claim.request, one.claim.attempt) == (request("k1"), 1)
    assert await two.claim(two.second) is None
    again = await two.first.accept(request("k1"), None, ROOM, start=True)
    assert again.claim == one.claim, "asked twice, given once"
    assert await two.field("attempt") == "1"
    assert await two.first.finish(one.claim, DONE, "e", {}, gone=True) == (True, "completed")
    assert (await two.first.accept(request("k1"), None, ROOM, start=True)).claim is None
    assert await two.settled()


async def test_what_waits_goes_before_what_is_accepted_now(two):
    await two.accept("k1")
    assert (await two.first.accept(request("k2"), None, ROOM, start=True)).claim is None
    first = await two.claimed()
    assert (await two.first.accept(request("k2"), None, ROOM, start=True)).claim is None, "k2 was accepted to wait"
    assert (await two.claimed()).request.kickoff_id == "k2"
    await two.first.release(first, "e", lost=False)
    assert (await two.first.accept(request("k3"), None, ROOM, start=True)).claim is None, "k1 was handed back"


async def test_kickoff_of_a_busy_session_is_not_given_with_its_acceptance(two):
    assert (await two.first.accept(request("a1", "a"), None, ROOM, start=True)).claim is not None
    assert (await two.second.accept(request("a2", "a"), None, ROOM, start=True)).claim is None
    assert (await two.second.accept(request("b1", "b"), None, ROOM, start=True)).claim is not None


async def test_accept_is_made_once(two):
    await two.accept("k1")
    claim = await two.claimed()
    await two.first.finish(claim, DONE, "e1", {}, gone=True)
    await two.accept("k1")
    assert await two.field("status") == "completed"
    assert await two.claim() is None


async def test_queue_has_a_limit_that_claims_make_room_in(two):
    await two.accept("k1", "k2")
    full = await two.first.accept(request("k3"), None, 2)
    assert (full.what, full.kickoff_id) == ("full", "2")
    assert await two.field("status", "k3") is None
    await two.claimed()
    assert (await two.first.accept(request("k3"), None, 2)).what == "accepted"


async def test_everything_of_an_ended_kickoff_but_its_hash_is_gone(two):
    await two.accept("k1", "k2", session="s")
    for _ in range(2):
        await two.first.finish(await two.claimed(), DONE, "e", {}, gone=True)
    assert await two.settled()
    assert 0 < await two.bare.ttl(keys.run(PREFIX, "k1")) <= 86400


async def test_kickoff_that_waits_or_runs_never_expires(two):
    await two.accept("k1", "k2")
    await two.claimed()
    assert [await two.bare.ttl(keys.run(PREFIX, one)) for one in ("k1", "k2")] == [-1, -1]


async def test_first_end_wins_and_the_later_one_is_told(two):
    await two.accept("k1")
    claim = await two.claimed()
    assert await two.second.cancel("k1") == (True, "cancelled")
    assert await two.first.finish(claim, DONE, "e1", {}, gone=True) == (False, "cancelled")
    seen = await two.view()
    assert seen["status"] == "cancelled"
    assert "result" not in seen


async def test_end_that_is_written_twice_counts_once_and_both_times(two):
    await two.accept("k1")
    claim = await two.claimed()
    assert await two.first.finish(claim, DONE, "e1", {}, gone=True) == (True, "completed")
    ended_at = await two.field("ended_at")
    assert await two.first.finish(claim, DONE, "e1", {}, gone=True) == (True, "completed")
    assert await two.field("ended_at") == ended_at
    assert await two.bare.xlen(keys.ends(PREFIX)) == 1
    assert await two.second.cancel("k1") == (False, "completed")


async def test_races_between_replicas_have_one_winner(two):
    for round_ in range(20):
        await two.accept(f"race-{round_}")
        claim = await two.claimed()
        results = await asyncio.gather(
            two.first.finish(claim, DONE, "e1", {}, gone=True),
            two.second.cancel(claim.request.kickoff_id),
            two.first.finish(claim, state.timed_out(1), "e2", {}, gone=False),
        )
        assert [applied for applied, _ in results].count(True) == 1
        assert len({status for _, status in results}) == 1


async def test_cancelled_kickoff_that_waits_is_never_claimed(two):
    await two.accept("k1", "k2")
    assert await two.second.cancel("k1") == (True, "cancelled")
    assert (await two.claimed()).request.kickoff_id == "k2"
    assert (await two.first.look()).backlog == 0


# -- sessions ---------------------------------------------------------------------------------------------------------


async def test_session_has_one_kickoff_at_a_time_and_others_go_past_it(two):
    await two.accept("a1", "a2", session="a")
    await two.accept("b1", session="b")
    first, other = await two.claimed(), await two.claimed(two.second)
    assert [first.request.kickoff_id, other.request.kickoff_id] == ["a1", "b1"]
    assert await two.claim() is None
    assert (await two.first.look()).backlog == 1, "what waits for its session counts"
    await two.first.finish(first, DONE, "e", {}, gone=True)
    assert (await two.claimed(two.second)).request.kickoff_id == "a2"


async def test_cancelled_kickoff_in_the_middle_of_a_line_is_left_out(two):
    await two.accept("a1", "a2", "a3", session="a")
    await two.second.cancel("a2")
    await two.first.finish(await two.claimed(), DONE, "e", {}, gone=True)
    assert (await two.claimed()).request.kickoff_id == "a3"


async def test_session_waits_until_the_process_of_an_ended_kickoff_is_gone(two):
    await two.accept("a1", "a2", session="a")
    claim = await two.claimed()
    await two.second.cancel("a1")
    assert await two.claim() is None, "its slot is not killed yet"
    await two.first.settle(claim)
    assert (await two.claimed()).request.kickoff_id == "a2"


async def test_session_goes_on_when_nobody_lived_to_say_that_the_process_is_gone(two):
    await two.accept("a1", "a2", session="a")
    await two.claimed()
    await two.second.cancel("a1")
    await two.expire_lease("a1")
    assert (await two.second.look()).taken == ()
    assert (await two.claimed()).request.kickoff_id == "a2"


async def test_line_whose_head_was_deleted_by_hand_heals(two):
    await two.accept("a1", session="a")
    await two.claimed()
    await two.bare.delete(keys.run(PREFIX, "a1"))
    await two.bare.zrem(keys.leases(PREFIX), "a1")
    await two.accept("a2", session="a")
    assert (await two.claimed()).request.kickoff_id == "a2"


# -- idempotency ------------------------------------------------------------------------------------------------------


async def test_same_key_twice_at_once_is_one_kickoff(two):
    key = Idempotency("key", "body")
    answers = await asyncio.gather(
        *((two.first, two.second)[n % 2].accept(request(f"k{n}", "s"), key, ROOM) for n in range(10))
    )
    assert {one.kickoff_id for one in answers} == {answers[0].kickoff_id}
    assert sorted(one.what for one in answers) == ["accepted"] + ["known"] * 9
    assert (await two.first.look()).backlog == 1


async def test_same_key_with_another_body_is_a_conflict_also_when_the_queue_is_full(two):
    await two.first.accept(request("k1", "s"), Idempotency("key", "body"), ROOM)
    answer = await two.second.accept(request("k2", "s"), Idempotency("key", "other"), 0)
    assert (answer.what, answer.kickoff_id) == ("conflict", "k1")
    assert (await two.second.accept(request("k3", "s"), Idempotency("key", "body"), 0)).what == "known"


# -- the fence --------------------------------------------------------------------------------------------------------


async def test_owner_renews_and_stores_and_others_do_not(two):
    await two.accept("k1")
    claim = await two.claimed()
    await two.expire_lease()
    assert await two.second.watch([Watched("k1", 1, {"progress": "{}"})]) == [FENCED]
    assert await two.bare.zscore(keys.leases(PREFIX), "k1") == 1
    assert await two.first.watch([Watched("k1", claim.attempt, {"progress": "{}"})]) == ["running"]
    assert await two.bare.zscore(keys.leases(PREFIX), "k1") > 1
    assert await two.field("progress") == "{}"


async def test_watch_tells_each_run_its_own_status(two):
    await two.accept("k1", "k2")
    await two.claimed()
    await two.claimed()
    await two.second.cancel("k2")
    seen = await two.first.watch([Watched("k1", 1, {}), Watched("gone", 1, {}), Watched("k2", 1, {})])
    assert seen == ["running", "", "cancelled"]


async def test_restarted_server_of_the_same_name_is_another_owner(two):
    await two.accept("k1")
    claim = await two.claimed()
    again = Queue(two.bare, _settings(two.url, "r1"))
    assert await again.finish(claim, DONE, "e1", {}, gone=True) == (False, FENCED)
    assert await again.watch([Watched("k1", 1, {})]) == [FENCED]


async def test_kickoff_that_nobody_renews_is_taken_over_at_the_second_look(two, monkeypatch):
    monkeypatch.setattr(module, "SUSPICION_MS", 150)
    await two.accept("k1")
    stale = await two.claimed()
    await two.expire_lease()
    assert (await two.second.look()).taken == ()
    assert (await two.second.look()).taken == (), "too early to tell"
    await asyncio.sleep(0.2)
    (taken,) = (await two.second.look()).taken
    assert (taken.kickoff_id, taken.what, taken.attempt, taken.replica) == ("k1", "retried", 1, "r1")
    assert (await two.view())["queued"] is True
    claim = await two.claimed(two.second)
    assert (claim.attempt, claim.losses) == (2, 1)
    for write in (
        two.first.finish(stale, DONE, "e1", {}, gone=True),
        two.first.release(stale, "e2", lost=True),
    ):
        assert await write == (False, FENCED)
    assert await two.first.watch([Watched("k1", 1, {"progress": "stale"})]) == [FENCED]
    assert await two.field("progress") is None
    assert await two.second.finish(claim, DONE, "e3", {}, gone=True) == (True, "completed")


async def test_old_attempt_of_the_same_server_is_stale_as_well(two):
    await two.accept("k1")
    old = await two.claimed()
    await two.first.release(old, "e1", lost=False)
    new = await two.claimed()
    assert await two.first.finish(old, DONE, "e2", {}, gone=True) == (False, FENCED)
    assert await two.first.finish(new, DONE, "e3", {}, gone=True) == (True, "completed")


async def test_owner_that_renews_after_the_first_look_keeps_its_kickoff(two, monkeypatch):
    monkeypatch.setattr(module, "SUSPICION_MS", 150)
    await two.accept("k1")
    await two.claimed()
    await two.expire_lease()
    await two.second.look()
    await two.first.watch([Watched("k1", 1, {})])
    await asyncio.sleep(0.2)
    assert (await two.second.look()).taken == ()
    await two.expire_lease()
    assert (await two.second.look()).taken == (), "the suspicion begins anew"


async def test_suspicion_from_before_an_outage_does_not_count(two):
    await two.accept("k1")
    await two.claimed()
    await two.expire_lease()
    await two.second.look()
    marked = int(await two.field("suspect"))
    await two.bare.hset(keys.run(PREFIX, "k1"), "suspect", marked - 20_000)
    assert (await two.second.look()).taken == ()
    assert int(await two.field("suspect")) >= marked


async def test_kickoff_that_is_lost_again_and_again_is_parked(two, monkeypatch):
    monkeypatch.setattr(module, "SUSPICION_MS", 0)
    await two.accept("a1", "a2", session="a")
    for attempt in (1, 2, 3):
        assert (await two.claimed()).attempt == attempt
        await two.expire_lease("a1")
        await two.second.look()
        (taken,) = (await two.second.look()).taken
    assert taken.what == "parked"
    seen = await two.view("a1")
    assert (seen["status"], seen["reason"], seen["attempt"]) == ("error", "TooManyAttempts", 3)
    assert (await two.claimed()).request.kickoff_id == "a2"


async def test_fail_ends_what_a_dead_server_ran(two, monkeypatch):
    monkeypatch.setattr(module, "SUSPICION_MS", 0)
    strict = Queue(two.bare, _settings(two.url, "r3", retry_lost=False))
    await two.accept("a1", "a2", session="a")
    stale = await two.claimed()
    await two.expire_lease("a1")
    await strict.look()
    (taken,) = (await strict.look()).taken
    assert taken.what == "failed"
    assert (await two.view("a1"))["reason"] == "ReplicaLost"
    assert await two.first.finish(stale, DONE, "e1", {}, gone=True) == (False, "error")
    assert (await two.claimed()).request.kickoff_id == "a2"


# -- given back -------------------------------------------------------------------------------------------------------


async def test_given_back_kickoff_goes_before_all_that_wait_and_keeps_its_place_in_its_session(two):
    await two.accept("a1", "a2", session="a")
    claim = await two.claimed()
    await two.accept("x", "y")
    assert await two.first.release(claim, "e1", lost=False) == (True, "running")
    assert await two.first.release(claim, "e1", lost=False) == (True, "running"), "asked twice, given back once"
    again = await two.claimed(two.second)
    assert (again.request.kickoff_id, again.attempt, again.losses) == ("a1", 2, 0)
    rest = [(await two.claimed()).request.kickoff_id for _ in range(2)]
    assert rest == ["x", "y"]
    assert await two.claim() is None


async def test_handing_back_in_an_orderly_way_is_no_loss(two):
    await two.accept("k1")
    for attempt in range(1, 6):
        claim = await two.claimed()
        assert (claim.attempt, claim.losses) == (attempt, 0)
        assert await two.first.release(claim, f"e{attempt}", lost=False) == (True, "running")


async def test_third_loss_that_a_server_tells_of_parks_the_kickoff_once(two):
    await two.accept("k1")
    for end in ("e1", "e2"):
        assert await two.first.release(await two.claimed(), end, lost=True) == (True, "running")
    claim = await two.claimed()
    assert await two.first.release(claim, "e3", lost=True) == (True, "error")
    assert await two.first.release(claim, "e3", lost=True) == (True, "error")
    assert (await two.view())["reason"] == "TooManyAttempts"
    assert await two.settled()


# -- a Redis that forgot ----------------------------------------------------------------------------------------------


async def test_kickoff_that_redis_lost_is_written_again_by_its_owner(two):
    await two.accept("a1", "a2", session="a")
    claim = await two.claimed()
    await two.bare.flushall()
    assert await two.first.watch([Watched("a1", 1, {})]) == [""]
    assert await two.first.restore(claim, 5.0, {"progress": "{}"})
    assert not await two.first.restore(claim, 5.0, {"progress": "{}"})
    await two.accept("a3", session="a")
    assert await two.claim() is None, "it still runs, so its session waits"
    assert await two.first.watch([Watched("a1", 1, {})]) == ["running"]
    assert (await two.view("a1"))["execution_time"] == pytest.approx(5.0, abs=1.0)
    await two.first.finish(claim, DONE, "e", {}, gone=True)
    assert (await two.claimed()).request.kickoff_id == "a3"


async def test_kickoff_written_again_goes_before_one_of_its_session_that_came_meanwhile(two):
    await two.accept("a1", session="a")
    claim = await two.claimed()
    await two.bare.flushall()
    await two.accept("a2", session="a")
    assert await two.first.restore(claim, 1.0, {})
    assert await two.claim() is None
    await two.first.finish(claim, DONE, "e", {}, gone=True)
    assert (await two.claimed()).request.kickoff_id == "a2"


async def test_older_state_in_which_the_kickoff_still_waited_does_not_start_it_again(two):
    await two.accept("a1", "a2", session="a")
    claim = await two.claimed()
    # As a restored file has it: the claim never happened.
    await two.bare.hset(keys.run(PREFIX, "a1"), mapping={"attempt": 0, "stream": keys.queue(PREFIX)})
    await two.bare.hdel(keys.run(PREFIX, "a1"), "owner", "started_at", "replica")
    await two.bare.zrem(keys.leases(PREFIX), "a1")
    await two.bare.zadd(keys.waiting(PREFIX), {"a1": 1})
    entry = await two.bare.xadd(keys.queue(PREFIX), {"id": "a1"})
    await two.bare.hset(keys.run(PREFIX, "a1"), "entry", entry)
    assert await two.first.watch([Watched("a1", 1, {})]) == [""]
    assert await two.first.restore(claim, 1.0, {})
    assert await two.claim(two.second) is None
    assert (await two.first.look()).backlog == 1, "only the second of the session waits"
    assert await two.first.finish(claim, DONE, "e", {}, gone=True) == (True, "completed")
    assert (await two.claimed(two.second)).request.kickoff_id == "a2"


async def test_end_of_a_kickoff_that_redis_lost_is_a_whole_record(two):
    await two.accept("k1")
    claim = await two.claimed()
    await two.bare.flushall()
    assert await two.first.finish(claim, DONE, "e1", {"execution_ms": "5"}, gone=True) == (True, "completed")
    seen = await two.view()
    assert (seen["status"], seen["session_id"], seen["execution_time"]) == ("completed", "of-k1", 0.005)
    assert await two.second.cancel("unknown") == (False, "")
    assert (await two.second.read("unknown"))[0] == {}


async def test_scripts_that_a_restarted_redis_forgot_are_loaded_again(two):
    await two.accept("k1")
    claim = await two.claimed()
    await two.bare.script_flush()
    assert await two.first.finish(claim, DONE, "e1", {}, gone=True) == (True, "completed")


@pytest.mark.parametrize("text", ["plain", "bad \ud800 text", "nul \x00", "日本 🎉", '{"a": "\\ud83d"}'])
async def test_any_text_of_an_error_survives(two, text):
    await two.accept("k1")
    outcome = Outcome("error", "CrewFailed", text, extra={"traceback": text})
    assert (await two.first.finish(await two.claimed(), outcome, "e1", {}, gone=True))[0]
    assert (await two.view())["traceback"] == text


@pytest.mark.parametrize("session", ["guest 7 Zoë/日本", "a:b", "x" * 256, "{brace}", "*"])
async def test_any_session_id_names_a_line(two, session):
    await two.accept("a1", "a2", session=session)
    await two.first.finish(await two.claimed(), DONE, "e", {}, gone=True)
    claim = await two.claimed()
    assert (claim.request.kickoff_id, claim.request.session_id) == ("a2", session)


# -- what is counted --------------------------------------------------------------------------------------------------


async def hooked(two) -> tuple[state.Claim, Outbox]:
    """A kickoff that tells its steps and its end to webhooks."""
    hooks = {one: {"url": f"http://receiver.example/{one}"} for one in ("step", "crew")}
    wanted = Request("k1", "of-k1", {}, {}, 60, ordered=False, hooks=hooks)
    claim = (await two.first.accept(wanted, None, ROOM, start=True)).claim
    assert claim is not None
    return claim, Outbox(two.bare, PREFIX, 5)


def steps(number: int, size: int) -> list[state.Event]:
    return [state.Event("step", '{"x":"%s"}' % ("x" * size), "step")] * number


async def waits(two, channel: str = "step") -> tuple[int, int]:
    """How many deliveries wait for a webhook, and their bytes."""
    line = await two.bare.lrange(f"{keys.root(PREFIX)}hook:k1:{channel}", 0, -1)
    return len(line), sum(map(len, line))


async def counted(two) -> int:
    total = int(await two.bare.get(TOTAL))
    assert total == sum(map(int, await two.bare.hvals(BYTES)))
    return total


async def deliver(outbox: Outbox, number: int) -> None:
    for _ in range(number):
        (one,), _ = await outbox.take(1)
        assert await outbox.settle(one, "delivered") == 1


async def test_what_waits_for_a_webhook_is_bounded_in_bytes_and_keeps_no_other_from_its_own(two):
    claim, _ = await hooked(two)
    before = (await two.bare.info("memory"))["used_memory"]
    for first in range(0, 1000, 100):
        assert await two.first.tell(claim, steps(100, 60_000), first)
    number, size = await waits(two)
    assert 1.9 * MEGABYTE < size <= 2 * MEGABYTE
    # 4 MiB of events, 2 MiB for the receiver, a quarter more for what Redis rounds up.
    assert (await two.bare.info("memory"))["used_memory"] - before < 1.25 * 6 * MEGABYTE
    assert await two.field("hooks_failed") == str(1000 - number)
    assert await two.field("hooks_error") == "too many wait for their receiver"
    assert (await two.first.finish(claim, DONE, "e1", {}, gone=True))[0]
    assert (await waits(two, "crew"))[0] == 1


async def test_what_is_delivered_makes_room_for_what_is_told_and_one_is_taken_whatever_its_size(two):
    claim, outbox = await hooked(two)
    empty = await counted(two)
    await two.first.tell(claim, steps(1, 3 * MEGABYTE), 0)
    await two.first.tell(claim, steps(1, 10), 1)
    number, size = await waits(two)
    assert number == 1
    assert size > 3 * MEGABYTE
    await deliver(outbox, 1)
    await two.first.tell(claim, steps(40, 60_000), 2)
    full, _ = await waits(two)
    assert 30 < full < 40
    await deliver(outbox, 3)
    await two.first.tell(claim, steps(5, 60_000), 42)
    assert (await waits(two))[0] == full
    await deliver(outbox, full)
    assert await two.field("waits:step") is None
    events = await two.bare.xrange(keys.events(PREFIX, "k1"))
    told = sum(len(fields["data"]) for _, fields in events)
    assert told < await counted(two) - empty < 2 * told


async def test_a_receiver_that_is_given_up_leaves_room(two):
    claim, outbox = await hooked(two)
    await two.first.tell(claim, steps(100, 60_000), 0)
    (one,), _ = await outbox.take(1)
    assert await outbox.settle(one, "abandoned") > 30
    assert await two.field("waits:step") is None
    await two.first.tell(claim, steps(1, 10), 100)
    assert (await waits(two))[0] == 1


async def test_short_events_count_for_what_they_take(two):
    claim, _ = await hooked(two)
    before = await counted(two)
    for first in range(0, 1000, 100):
        await two.first.tell(claim, [state.Event("step", "{}", "step")] * 100, first)
    held = [keys.events(PREFIX, "k1"), f"{keys.root(PREFIX)}hook:k1:step"]
    taken = sum([await two.bare.memory_usage(one, samples=0) for one in held])
    assert taken <= (await counted(two) - before) * 1.3


async def test_a_kickoff_that_an_older_server_counted_is_taken_out_as_it_was_counted(two):
    claim, outbox = await hooked(two)
    await two.first.accept(request("k2"), None, ROOM)
    # Its texts and 512, and of what is told only the data.
    line = f"{keys.root(PREFIX)}hook:k1:step"
    await two.bare.rpush(line, *[f"1-{at} step 1 {{}}" for at in range(1, 501)])
    await two.bare.zadd(keys.hooks(PREFIX), {"k1:step": 1})
    other = int(await two.bare.hget(BYTES, "k2"))
    await two.bare.hset(BYTES, "k1", 600 + 500 * 2)
    await two.bare.set(TOTAL, other + 600 + 500 * 2)
    await deliver(outbox, 500)
    assert await counted(two) >= other
    await two.first.tell(claim, steps(1, 10), 0)
    assert (await two.first.finish(claim, DONE, "e1", {}, gone=True))[0]
    await two.bare.zadd(f"{keys.root(PREFIX)}kickoffs:ends", {"k1": 1})
    await two.first.look()
    assert await counted(two) == other
