"""What callers send fills neither the server's memory nor Redis, and nothing of it outlives its use."""

import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest

from support.receiver import receiver
from support.replicas import wait_until

ROOT = "cs:{test/crew}:"
MEGABYTE = 1024 * 1024


def _peak(replica):
    """Bytes that the server's process had at most."""
    status = Path(f"/proc/{replica.server.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def _forget_peak(replica):
    Path(f"/proc/{replica.server.pid}/clear_refs").write_text("5")
    return _peak(replica)


def _fill(redis, session, number, size):
    """Ended kickoffs as a server leaves them; through the API they would take a minute."""
    client = redis.client()
    for at in range(number):
        kickoff = f"{session}-{at}"
        client.hset(
            f"{ROOT}run:{kickoff}",
            mapping={
                "kickoff_id": kickoff, "session_id": session, "status": "completed", "created_at": 1000 + at,
                "inputs": json.dumps({"text": "x" * size}), "meta": "{}", "result": json.dumps({"output": "y"}),
            },
        )  # fmt: skip
        client.zadd(f"{ROOT}runs:{session}", {kickoff: 1000 + at})


async def test_a_session_of_250_megabytes_is_read_exported_and_erased_within_64(replica, redis):
    _fill(redis, "victim", 250, MEGABYTE)
    before = _forget_peak(replica)
    seen = await replica.api.get("/sessions/victim")
    assert seen.json()["kickoffs"] == 250
    length, tail = 0, b""
    async with replica.api.stream("GET", "/sessions/victim/export", timeout=100) as answer:
        assert answer.status_code == 200
        async for part in answer.aiter_raw():
            length, tail = length + len(part), (tail + part)[-20:]
    assert length > 250 * MEGABYTE
    assert tail.endswith(b"]}")
    gone = await replica.api.delete("/sessions/victim", params={"force": True}, timeout=100)
    assert (gone.status_code, gone.json()["kickoffs"]) == (200, 250)
    assert _peak(replica) - before < 64 * MEGABYTE
    assert (await replica.api.get("/sessions/victim")).status_code == 404


async def test_an_export_is_one_json_document_with_everything_in_it_in_order(replica, redis):
    _fill(redis, "ann", 3, 10)
    found = (await replica.api.get("/sessions/ann/export")).json()
    assert [one["kickoff_id"] for one in found["kickoffs"]] == ["ann-0", "ann-1", "ann-2"]
    assert (found["session_id"], found["records"], found["flow_states"]) == ("ann", [], [])
    assert (await replica.api.get("/sessions/nobody/export")).status_code == 404


async def test_a_number_that_is_none_neither_comes_in_nor_breaks_what_an_older_server_took(replica, redis):
    for body in (b'{"inputs": {"x": NaN}}', b'{"meta": {"x": [1, -Infinity]}}', b'{"inputs": {"x": 1e999}}'):
        headers = {"Content-Type": "application/json"}
        refused = await replica.api.post("/kickoff", content=body, headers=headers)
        assert (refused.status_code, refused.json()["reason"]) == (422, "InvalidField")
        assert "finite" in refused.json()["message"]
    _fill(redis, "old", 1, 10)
    redis.client().hset(f"{ROOT}run:old-0", "inputs", '{"x": NaN}')
    exported = await replica.api.get("/sessions/old/export")
    assert exported.json()["kickoffs"][0]["inputs"] == {"x": None}


async def test_kickoffs_beyond_their_budget_are_refused_in_words_and_memories_still_fit(make, redis):
    redis.client().config_set("maxmemory", "48mb")
    replica = await make()
    refused, taken = None, 0
    while refused is None:
        answer = await replica.api.post("/kickoff", json={"inputs": {"text": "x" * 1_000_000, "do": "echo"}})
        if answer.status_code == 200:
            taken += 1
        else:
            refused = answer
        assert taken < 40
    assert (refused.status_code, refused.json()["reason"]) == (503, "KickoffBytes")
    assert "spec.kickoffs.maxBytes" in refused.json()["message"]
    assert int(refused.headers["retry-after"]) > 0
    assert 8 <= taken <= 12
    for number in range(15):
        assert redis.client().set(f"a-memory:{number}", "y" * 1_000_000)
    assert (await replica.health.get("/readyz")).status_code == 200
    assert await replica.metric("crewops_kickoff_bytes_limit") == 12 * MEGABYTE

    async def counted():
        return taken * 1_000_000 < await replica.metric("crewops_kickoff_bytes") <= 12 * MEGABYTE

    await wait_until(counted, "the metric says so", 5)


@pytest.mark.parametrize("large", [False, True], ids=["nothing", "a key and a long session"])
async def test_what_is_counted_of_tiny_kickoffs_is_what_redis_takes(replica, redis, large):
    client, number, at_once = redis.client(), 500, asyncio.Semaphore(20)

    async def start(at):
        body = {"inputs": {"do": "echo"}}
        if large:
            body |= {"session_id": f"{at:0>256}", "idempotency_key": f"{at:0>200}"}
        async with at_once:
            answer = await replica.api.post("/kickoff", json=body)
            assert answer.status_code == 200, answer.text

    async def ended(wanted):
        async def look():
            return client.zcard(f"{ROOT}kickoffs:ends") == wanted and client.zcard(f"{ROOT}leases") == 0

        await wait_until(look, f"{wanted} have ended", 120)
        return client.info("memory")["used_memory"], int(client.get(f"{ROOT}kickoffs:total"))

    # First what is there once: connections, scripts, the streams of all.
    await asyncio.gather(*[start(at) for at in range(20)])
    used, counted = await ended(20)
    await asyncio.gather(*[start(at) for at in range(20, 20 + number)])
    more_used, more_counted = await ended(20 + number)
    assert more_used - used <= (more_counted - counted) * 1.3
    # Nor much more: it would refuse kickoffs for which there is room.
    assert more_counted - counted <= (more_used - used) * 1.5


async def test_what_expires_or_is_erased_makes_room_again(make, redis):
    limits = {"CREWOPS_KICKOFF_BYTES": "2500000", "CREWOPS_KICKOFF_RETENTION": "3"}
    replica = await make(**limits)
    body = {"inputs": {"text": "x" * 1_000_000}, "session_id": "ann"}
    kept = [(await replica.api.post("/kickoff?wait=10", json=body)).json()["kickoff_id"] for _ in range(2)]
    assert (await replica.api.post("/kickoff", json=body)).json()["reason"] == "KickoffBytes"
    assert (await replica.api.delete("/sessions/ann")).status_code == 200
    assert redis.client().get(f"{ROOT}kickoffs:total") == "0"
    again = (await replica.api.post("/kickoff?wait=10", json=body)).json()["kickoff_id"]

    async def swept():
        return redis.client().get(f"{ROOT}kickoffs:total") == "0"

    await wait_until(swept, "what expired counts no more", 10)
    for one in (*kept, again):
        assert (await replica.api.get(f"/status/{one}")).status_code == 404
    left = redis.client().keys(f"{ROOT}*")
    assert [one for one in left if "run:" in one or "ev:" in one or "hook" in one] == []
    assert redis.client().hlen(f"{ROOT}kickoffs:bytes") == 0


async def test_inputs_go_soon_after_the_end_and_the_rest_stays(replica, redis):
    kickoff = await replica.kickoff("ann", say="done", text="x" * 100_000)
    await replica.ended(kickoff)
    client = redis.client()
    due = float(client.zscore(f"{ROOT}kickoffs:inputs", kickoff)) / 1000
    now = client.time()[0]
    assert 3500 < due - now < 3700
    before = int(client.get(f"{ROOT}kickoffs:total"))
    client.zadd(f"{ROOT}kickoffs:inputs", {kickoff: 1})

    async def gone():
        return client.hget(f"{ROOT}run:{kickoff}", "inputs") is None

    await wait_until(gone, "the inputs are gone", 5)
    assert before - int(client.get(f"{ROOT}kickoffs:total")) > 100_000
    assert (await replica.status(kickoff))["result"]["output"] == "done"
    exported = (await replica.api.get("/sessions/ann/export")).json()["kickoffs"][0]
    assert (exported["inputs"], exported["result"]["output"]) == (None, "done")


async def test_what_is_counted_of_a_kickoff_that_asks_and_is_answered_comes_out_even(make, redis):
    replica = await make(CREWOPS_KICKOFF_RETENTION="2")
    client = redis.client()

    def beside_texts(kickoff):
        held = sum(len(one) for one in client.hvals(f"{ROOT}run:{kickoff}"))
        return int(client.hget(f"{ROOT}kickoffs:bytes", kickoff)) - held

    kickoff = await replica.kickoff(do="echo")
    await replica.ended(kickoff)
    plain = beside_texts(kickoff)
    kickoff = await replica.kickoff(do="ask")
    seen = await replica.reaches(kickoff, "pending_human_input")
    answer = {"execution_id": kickoff, "task_id": seen["task_id"], "is_approve": True}
    assert (await replica.api.post("/resume", json=answer)).status_code == 200
    await replica.ended(kickoff)
    assert abs(beside_texts(kickoff) - plain) < 500

    async def swept():
        return client.get(f"{ROOT}kickoffs:total") == "0"

    await wait_until(swept, "nothing is counted any more", 10)


async def test_events_of_one_kickoff_are_bounded_in_bytes(replica, redis):
    kickoff = await replica.kickoff(do="step", events=700, data="x" * 60_000)
    await replica.ended(kickoff, 60)

    async def told():
        return "event: end" in (await replica.api.get(f"/kickoff/{kickoff}/events")).text

    await wait_until(told, "the end is told")
    stream = redis.client().xrange(f"{ROOT}ev:{kickoff}")
    assert sum(len(fields["data"]) for _, fields in stream) < 5 * MEGABYTE
    assert len(stream) > 30


async def test_credentials_go_with_the_last_delivery(make, redis):
    with receiver() as hooks:
        replica = await make(CREWOPS_WEBHOOK_HOSTS="127.0.0.1")
        bearer = {"strategy": "bearer", "token": "TOPSECRET"}
        human = {"url": hooks.url("human"), "authentication": bearer}
        hooks.answers = [503]
        body = {"inputs": {"do": "ask"}, "humanInputWebhook": human, "crewWebhookUrl": hooks.url("crew")}
        kickoff = (await replica.api.post("/kickoff", json=body)).json()["kickoff_id"]
        seen = await replica.reaches(kickoff, "pending_human_input")

        async def told():
            return len(hooks.of("human")) == 2

        await wait_until(told, "the question is told, at the second try", 20)
        assert {one.headers["authorization"] for one in hooks.of("human")} == {"Bearer TOPSECRET"}
        answer = {"execution_id": kickoff, "task_id": seen["task_id"], "is_approve": True}
        await replica.api.post("/resume", json=answer)

        async def delivered():
            return (await replica.status(kickoff)).get("webhooks", {}).get("delivered") == 2

        await wait_until(delivered, "the end is delivered", 20)
        stored = redis.client().hget(f"{ROOT}run:{kickoff}", "hooks")
        assert "TOPSECRET" not in stored
        assert json.loads(stored)["human"] == {"url": hooks.url("human")}


@pytest.mark.parametrize("act", ["leave", "sleep"])
async def test_credentials_of_a_kickoff_that_never_asked_go_with_its_end(make, redis, act):
    replica = await make(CREWOPS_WEBHOOK_HOSTS="127.0.0.1")
    human = {"url": "http://127.0.0.1:1/", "authentication": {"strategy": "bearer", "token": "TOPSECRET"}}
    body = {"inputs": {"do": act}, "humanInputWebhook": human}
    kickoff = (await replica.api.post("/kickoff", json=body)).json()["kickoff_id"]
    if act == "sleep":
        await replica.started(kickoff)
        await replica.api.delete(f"/kickoff/{kickoff}")
    await replica.ended(kickoff)
    assert "TOPSECRET" not in redis.client().hget(f"{ROOT}run:{kickoff}", "hooks")


async def test_who_comes_back_after_the_end_is_told_not_to_come_again(replica, redis):
    kickoff = await replica.kickoff(do="step")
    await replica.ended(kickoff)
    text = (await replica.api.get(f"/kickoff/{kickoff}/events")).text
    last = re.findall(r"^id: (.*)$", text, re.MULTILINE)[-1]
    again = await replica.api.get(f"/kickoff/{kickoff}/events", headers={"Last-Event-ID": last})
    assert (again.status_code, again.text) == (204, "")
    before = re.findall(r"^id: (.*)$", text, re.MULTILINE)[-2]
    rest = await replica.api.get(f"/kickoff/{kickoff}/events", headers={"Last-Event-ID": before})
    assert rest.text.count("event: ") == rest.text.count("event: end") == 1
    redis.client().delete(f"{ROOT}ev:{kickoff}")
    assert (await replica.api.get(f"/kickoff/{kickoff}/events")).status_code == 204


async def test_who_follows_a_kickoff_whose_events_are_erased_is_let_go(replica, redis):
    kickoff = await replica.kickoff(do="sleep")
    await replica.started(kickoff)

    async def follow():
        return (await replica.api.get(f"/kickoff/{kickoff}/events", timeout=30)).text

    following = asyncio.create_task(follow())
    await asyncio.sleep(1)
    redis.client().hset(f"{ROOT}run:{kickoff}", "status", "cancelled")
    redis.client().delete(f"{ROOT}ev:{kickoff}")
    assert "event: end" not in await asyncio.wait_for(following, 20)


async def test_one_client_leaves_room_for_others_that_follow(replica):
    kickoff = await replica.kickoff(do="sleep")
    await replica.started(kickoff)
    async with asyncio.TaskGroup() as group, asyncio.timeout(60):
        opened, enough = [], asyncio.Event()

        async def follow():
            # Each with a pool of its own: one pool has 100 connections.
            async with (
                httpx.AsyncClient(base_url=replica.api.base_url, timeout=30) as client,
                client.stream("GET", f"/kickoff/{kickoff}/events") as answer,
            ):
                opened.append(answer.status_code)
                await enough.wait()

        for _ in range(100):
            group.create_task(follow())
        while len(opened) < 100:
            await asyncio.sleep(0.05)
        refused = await replica.api.get(f"/kickoff/{kickoff}/events")
        enough.set()
    assert set(opened) == {200}
    assert (refused.status_code, refused.json()["reason"]) == (503, "TooManyFollowers")
    assert "127.0.0.1" in refused.json()["message"]

    async def room():
        async with replica.api.stream("GET", f"/kickoff/{kickoff}/events") as answer:
            return answer.status_code == 200

    await wait_until(room, "there is room again")
