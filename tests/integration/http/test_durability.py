"""What a client is told is kept is as durable as the spec asks; what is not, is not told: a primary and its replica."""

import asyncio
import signal

import pytest

from crew_runtime.contract import keys
from crew_server import redis_client
from crew_server.durability import Durability
from crew_server.errors import NotAcknowledgedError
from crew_server.queue import state
from crew_server.queue.queue import Queue
from crew_server.settings import Settings
from support.replica_fixtures import PASSWORD, RedisProcess
from support.replicas import wait_for, wait_until

PREFIX = "test/crew"
BODY = {"inputs": {"say": "once"}}
SHORT = (503, "MemoryNotAcknowledged")
REPLICATED = {"CREWOPS_DURABILITY": "Replicated"}
TAKES_ALL = {"CREWOPS_MEMORY_ON_FAILURE": "Degrade"}
"""The health check turns no request away, so that each is tried."""


@pytest.fixture
def follower(redis, tmp_path):
    """A replica of the crew's Redis, in step with it."""
    folder = tmp_path / "follower"
    folder.mkdir()
    process = RedisProcess(folder)
    process.start()
    client = process.client()
    client.config_set("masteruser", "admin")
    client.config_set("masterauth", PASSWORD)
    client.replicaof("127.0.0.1", redis.port)
    wait_for(lambda: _in_step(redis), "the replica is in step", 30)
    yield process
    process.close()


def _in_step(redis):
    client = redis.client()
    client.set("in-step", 1)
    return client.wait(1, 500)


def said(answer):
    return answer.status_code, answer.json().get("reason")


async def acknowledged(post, seconds=30):
    """The answer of a client that asks again until it is not told to."""

    async def ask():
        answer = await post()
        return None if answer.status_code == 503 else answer

    return await wait_until(ask, "it is acknowledged", seconds)


async def test_a_kickoff_that_no_replica_has_is_not_acknowledged_and_its_key_gives_it_once(make, redis, follower):
    one, other = await make("r1", **REPLICATED, **TAKES_ALL), await make("r2", **REPLICATED, **TAKES_ALL)
    key = {"Idempotency-Key": "order-7"}
    follower.signal(signal.SIGSTOP)
    refused = await one.api.post("/kickoff", json=BODY, headers=key)
    assert said(refused) == SHORT
    assert int(refused.headers["retry-after"]) > 0
    assert "spec.memory.durability: Replicated" in refused.json()["message"]
    # It is there, and another server finds it by its key: that writes nothing, and proves nothing.
    assert len(redis.client().keys(f"cs:{{{PREFIX}}}:run:*")) == 1
    assert said(await other.api.post("/kickoff", json=BODY, headers=key)) == SHORT
    follower.signal(signal.SIGCONT)
    told = await acknowledged(lambda: one.api.post("/kickoff", json=BODY, headers=key))
    again = await other.api.post("/kickoff", json=BODY, headers=key)
    assert again.json()["kickoff_id"] == told.json()["kickoff_id"]
    assert (await one.ended(told.json()["kickoff_id"]))["result"]["output"] == "once"
    assert len(redis.client().keys(f"cs:{{{PREFIX}}}:run:*")) == 1


async def test_a_replica_of_the_crew_without_one_of_redis_says_so_and_heals(make, redis, follower):
    replica = await make(**REPLICATED)
    assert (await replica.ended(await replica.kickoff(say="before")))["result"]["output"] == "before"
    follower.signal(signal.SIGSTOP)
    await replica.ready(wanted=False, reason="MemoryNotAcknowledged", seconds=20)
    refused = await replica.api.post("/kickoff", json=BODY)
    assert said(refused) == SHORT
    assert (await replica.report())["backend"]["reason"] == "NotAcknowledged"
    follower.signal(signal.SIGCONT)
    await replica.ready(seconds=20)
    assert (await replica.ended(await replica.kickoff(say="after")))["result"]["output"] == "after"


async def test_an_end_that_no_replica_has_is_written_until_one_has_it(make, redis, follower):
    replica = await make(**REPLICATED)
    kickoff = await replica.kickoff(seconds=1, say="kept")
    await replica.started(kickoff)
    follower.signal(signal.SIGSTOP)

    async def tried():
        return "kickoff's end not written yet" in replica.log("server")

    await wait_until(tried, "the end was not acknowledged")
    assert await replica.metric("crewops_kickoffs_total") == 0
    follower.signal(signal.SIGCONT)

    async def counted():
        return await replica.metric("crewops_kickoffs_total") == 1

    await wait_until(counted, "the end is acknowledged")
    wait_for(lambda: follower.client().hget(keys.run(PREFIX, kickoff), "status") == "completed", "it is there", 10)


async def test_an_answer_that_no_replica_has_is_not_acknowledged_and_asking_again_says_that_it_counts(
    make, redis, follower
):
    replica = await make(**REPLICATED, **TAKES_ALL)
    kickoff = await replica.kickoff(do="ask")
    seen = await replica.reaches(kickoff, "pending_human_input")
    body = {"execution_id": kickoff, "task_id": seen["task_id"], "human_feedback": "", "is_approve": True}
    follower.signal(signal.SIGSTOP)
    assert said(await replica.api.post("/resume", json=body)) == SHORT
    assert said(await replica.api.post("/resume", json=body)) == SHORT
    follower.signal(signal.SIGCONT)
    told = await acknowledged(lambda: replica.api.post("/resume", json=body))
    assert said(told) == (409, "AlreadyAnswered")
    assert (await replica.ended(kickoff))["status"] == "completed"


async def test_an_erasure_that_no_replica_has_is_not_acknowledged(make, redis, follower):
    replica = await make(**REPLICATED, **TAKES_ALL)
    await replica.ended(await replica.kickoff("guest"))
    follower.signal(signal.SIGSTOP)
    for _ in range(2):
        assert said(await replica.api.delete("/sessions/guest")) == SHORT
    follower.signal(signal.SIGCONT)
    assert (await acknowledged(lambda: replica.api.delete("/sessions/guest"))).status_code == 200


async def test_all_that_was_acknowledged_on_the_disk_is_there_after_a_kill(make, redis):
    redis.client().config_set("appendfsync", "always")
    replica = await make(CREWOPS_DURABILITY="Fsync", CREWOPS_CONCURRENCY="1")
    kept = []

    async def write():
        while len(kept) < 64:
            answer = await replica.api.post("/kickoff", json={"inputs": {"seconds": 60}})
            if answer.status_code == 200:
                kept.append(answer.json()["kickoff_id"])

    writing = asyncio.gather(*(write() for _ in range(8)))
    await writing
    redis.kill()
    redis.start()
    client = redis.client()
    assert [one for one in kept if not client.exists(keys.run(PREFIX, one))] == []
    assert client.config_get("appendfsync")["appendfsync"] == "everysec", "it was started again"


async def test_what_the_disk_was_not_given_is_not_acknowledged(make, redis):
    replica = await make(CREWOPS_DURABILITY="Fsync", **TAKES_ALL)
    redis.client().config_set("appendfsync", "no")  # the kernel has it then, and a disk some time
    assert said(await replica.api.post("/kickoff", json=BODY)) == SHORT
    redis.client().config_set("appendfsync", "always")
    assert (await acknowledged(lambda: replica.api.post("/kickoff", json=BODY))).status_code == 200


async def test_a_redis_that_cannot_wait_as_asked_says_what_it_needs(make, redis):
    replica = await make(CREWOPS_DURABILITY="Fsync")
    redis.client().config_set("appendonly", "no")
    seen = await replica.ready(wanted=False, reason="MemoryNotAcknowledged", seconds=20)
    assert "needs Redis 7.2 or newer with appendonly yes" in seen["message"]
    assert "set it to Buffered" in seen["message"]


# -- the parts --------------------------------------------------------------------------------------------------------


def settings(redis, durability, replica="r1"):
    return Settings("test", "crew", replica, redis.url, PREFIX, durability=durability, backend_deadline=1.0)


@pytest.fixture
async def client(redis):
    made = redis_client.connect(settings(redis, "Replicated"))
    yield made
    await made.aclose()


async def test_what_is_given_with_an_acceptance_that_came_short_is_given_back(redis, follower, client):
    first, second = (Queue(client, settings(redis, "Replicated", name)) for name in ("r1", "r2"))
    follower.signal(signal.SIGSTOP)
    with pytest.raises(NotAcknowledgedError):
        await first.accept(state.Request("k1", "s", {}, {}, 60, ordered=False), None, 100, start=True)
    follower.signal(signal.SIGCONT)
    claim = await second.claim("token")
    assert (claim.request.kickoff_id, claim.losses) == ("k1", 0)


async def test_leases_are_renewed_while_acceptances_wait_for_a_replica(redis, follower):
    """Over connections of their own: here there is one of each."""
    own = settings(redis, "Replicated")
    client, waiting = (redis_client.connect(own, connections=1) for _ in range(2))
    durability = Durability(waiting, own)
    queue = Queue(client, own, durability)
    await durability.wait()
    follower.signal(signal.SIGSTOP)
    accepting = asyncio.create_task(queue.accept(state.Request("k1", "s", {}, {}, 60, ordered=False), None, 100))

    async def there():
        return redis.client().exists(keys.run(PREFIX, "k1"))

    await wait_until(there, "it waits")
    await queue.watch([])
    assert not accepting.done()
    with pytest.raises(NotAcknowledgedError):
        await accepting
    await client.aclose()
    await waiting.aclose()


async def test_a_script_that_the_server_has_forgotten_is_told_again(redis, follower, client):
    queue = Queue(client, settings(redis, "Replicated"))
    redis.client().script_flush()
    accepted = await queue.accept(state.Request("k1", "s", {}, {}, 60, ordered=False), None, 100)
    assert accepted.what == "accepted"


async def test_the_wait_has_a_write_before_it_also_after_everything_was_flushed(redis, follower, client):
    durability = Durability(client, settings(redis, "Replicated"))
    await durability.wait()
    redis.client().flushall()
    follower.signal(signal.SIGSTOP)
    with pytest.raises(NotAcknowledgedError):
        await durability.wait()


async def test_a_full_redis_still_acknowledges_what_makes_room(redis, follower, client):
    durability = Durability(client, settings(redis, "Replicated"))
    await durability.wait()
    redis.client().config_set("maxmemory", "1mb")
    await durability.wait()
    redis.client().config_set("maxmemory", "0")
