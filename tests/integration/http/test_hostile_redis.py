"""What answers at Redis' address, and what lies in Redis, may be anything: it costs no replica and no other kickoff."""

import asyncio
import contextlib
import json
import random
import re
from pathlib import Path

import pytest
import redis as redis_py

from support import strangers
from support.receiver import receiver
from support.replicas import wait_until

ROOT = "cs:{test/crew}:"
ANSWERS = [
    b"$abc\r\n",
    b"$-7\r\n",
    b"$4000000000\r\nxx",
    b"*" + b"1\r\n*" * 20_000 + b"0\r\n",
    b"*-5\r\n",
    b"*99999999999999999999\r\n",
    b":not-a-number\r\n",
    b",nan\r\n",
    b"%3\r\n+a\r\n",
    b"%1\r\n*1\r\n+a\r\n+b\r\n",
    b">2\r\n+message\r\n+x\r\n",
    b"#maybe\r\n",
    b"=15\r\ntxt:\xff\xfe\r\n",
    b"-" + b"E" * 100_000 + b"\r\n",
    b"-\r\n",
    b"\r\n",
    b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n",
    b"+PONG",
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    b"\x00\xff" * 5_000,
    b"$3\r\n\xff\xfe\xfd\r\n",
    b"",
]


class Peer:
    """Answers whatever it is sent with `answer`, and closes the connection when `closes`."""

    def __init__(self) -> None:
        self.answer, self.closes, self.asked = b"", False, 0
        self.answers: list[bytes] = []
        """Given in turn, if there are any."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(1 << 16):
                self.asked += 1
                writer.write(self.answers[self.asked % len(self.answers)] if self.answers else self.answer)
                await writer.drain()
                if self.closes:
                    break
        writer.close()


@pytest.fixture
async def peer():
    one = Peer()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    yield one
    server.close()


@pytest.mark.parametrize("protocol", ["", "?protocol=2"])
async def test_whatever_answers_at_redis_address_the_server_lives_and_says_so(make, peer, protocol):
    replica = await make(
        redis_url=f"redis://127.0.0.1:{peer.port}/0{protocol}", start=False, CREWOPS_BACKEND_DEADLINE="0.2"
    )
    replica.start_server()
    await replica.listening()
    chance = random.Random(20)
    noise = [bytes(chance.choices(b"$*:+-%~>,#=(_!\r\n0123456789abc\xff", k=chance.randint(1, 60))) for _ in range(60)]
    for number, answer in enumerate(ANSWERS + noise):
        peer.answer, peer.closes = answer, bool(number % 2)
        for path in ("/status/some-kickoff", "/sessions"):
            # On a connection of its own: uvicorn closes one after a 500.
            seen = await replica.api.get(path, headers={"Connection": "close"})
            assert seen.status_code in (404, 500, 503), answer[:60]
        assert replica.server.poll() is None, f"{answer[:60]!r}\n{replica.log('server')[-2000:]}"
    # And each background task meets many of them.
    peer.answers, peer.asked = ANSWERS + noise, 0

    async def asked():
        return peer.asked >= 30

    await wait_until(asked, "the background tasks ask", 60)
    assert replica.server.poll() is None, replica.log("server")[-2000:]
    assert (await replica.health.get("/livez")).status_code == 200
    peer.answers, peer.answer = [], b"$abc\r\n"
    await replica.ready(wanted=False)
    report = await replica.report()
    assert report["backend"]["ready"] is False
    assert len(report["backend"]["message"]) < 1000
    assert report["backend"]["message"].isprintable()


@pytest.mark.parametrize("protocol", ["", "?protocol=2"])
@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"$4000000000\r\n", b"x" * 65536),
        (b"*4000000000\r\n", b":1\r\n" * 16384),
        (b"*4000000000\r\n", b"-\r\n" * 16384),
        (b"*4000000000\r\n", b"*16384\r\n" + b"*0\r\n" * 16384),
        (b"*4000000000\r\n", b"$60000\r\n" + b"x" * 60000 + b"\r\n"),
        (b"+", b"x" * 65536),
    ],
    ids=["text", "numbers", "errors", "lists", "texts", "line"],
)
async def test_a_redis_that_pours_does_not_fill_the_servers_container(make, head, piece, protocol):
    async with strangers.talking(strangers.pouring(head, piece, 1 << 20)) as peer:
        replica = await make(redis_url=f"redis://127.0.0.1:{peer.port}/0{protocol}", start=False)
        replica.start_server()
        await replica.listening()

        async def ask():
            return (await replica.api.get("/status/some-kickoff", headers={"Connection": "close"})).status_code

        assert set(await asyncio.gather(*(ask() for _ in range(8)))) == {503}
        await replica.ready(wanted=False)
        assert replica.server.poll() is None
        status = Path(f"/proc/{replica.server.pid}/status").read_text()
        assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) < 224 * 1024
        assert (await replica.report())["backend"]["ready"] is False


async def test_what_is_as_large_as_a_kickoff_may_be_is_read_as_before(replica, redis):
    text = "x" * 16 * 1024 * 1024
    fields = {"kickoff_id": "large", "session_id": "s", "status": "completed", "created_at": 1, "inputs": "{}"}
    redis.client().hset(f"{ROOT}run:large", mapping={**fields, "meta": text, "result": f'{{"output": "{text}"}}'})
    assert len((await replica.api.get("/status/large", timeout=20)).json()["result"]["output"]) == len(text)


async def test_a_server_whose_redis_answered_garbage_is_well_again_when_redis_is_back(make, redis, peer):
    """A server of the user may stand in front of several; its address then answers as whichever is there."""
    to = {"port": peer.port}

    async def serve(reader, writer):
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", to["port"])

        async def pump(source, target):
            with contextlib.suppress(OSError):
                while data := await source.read(1 << 16):
                    target.write(data)
                    await target.drain()
            target.close()

        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))

    front = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = front.sockets[0].getsockname()[1]
    replica = await make(redis_url=redis.url.replace(str(redis.port), str(port)), start=False)
    peer.answer, peer.closes = b"$abc\r\n", True
    replica.start_server()
    await replica.listening()
    replica.start_worker()
    await replica.ready(wanted=False, reason="MemoryError")
    to["port"] = redis.port
    await replica.ready(seconds=20)
    assert (await replica.ended(await replica.kickoff(say="well")))["result"]["output"] == "well"
    front.close()


async def test_what_cannot_be_read_is_put_aside_and_told_and_the_rest_goes_on(make, redis):
    with receiver() as hooks:
        client = redis.client()
        # In the way of all: each of these is before what the replica is asked for.
        client.xadd(f"{ROOT}queue", {"id": "no-hash"})
        client.set(f"{ROOT}run:no-hash", "a string")
        client.xadd(f"{ROOT}queue", {"nothing": "of-a-kickoff"})
        entry = client.xadd(f"{ROOT}queue", {"id": "half"})
        client.hset(f"{ROOT}run:half", mapping={"status": "running", "kickoff_id": "half", "entry": entry})
        entry = client.xadd(f"{ROOT}queue", {"id": "empty"})
        claimable = {"status": "running", "kickoff_id": "empty", "entry": entry, "stream": f"{ROOT}queue"}
        client.hset(f"{ROOT}run:empty", mapping=claimable)
        client.zadd(f"{ROOT}waiting", {"half": 1, "no-hash": 1, "empty": 1})
        client.zadd(f"{ROOT}leases", {"no-hash": 1})
        client.zadd(f"{ROOT}pending", {"no-hash": 1})
        client.xadd(f"{ROOT}ends", {"what": "no id"})
        client.rpush(f"{ROOT}hook:x1:crew", "garbage", "", " 1 2 3", b"\xff\xfe 1 2 3", "1-0 end x {}")
        client.set(f"{ROOT}hook:x2:crew", "a string")
        client.zadd(f"{ROOT}hooks", {"x1:crew": 1, "x2:crew": 1, "no-colon": 1})
        client.rpush(f"{ROOT}hook:no-colon", "garbage")

        replica = await make(CREWOPS_WEBHOOK_HOSTS="127.0.0.1")
        body = {"inputs": {"say": "served"}, "session_id": "ann", "crewWebhookUrl": hooks.url("crew")}
        kickoff = (await replica.api.post("/kickoff", json=body)).json()["kickoff_id"]
        assert (await replica.ended(kickoff))["result"]["output"] == "served"

        async def delivered():
            return hooks.of("crew")

        await wait_until(delivered, "the webhook behind the bad ones is delivered", 20)
        for one in ("half", "empty"):
            assert client.hmget(f"{ROOT}run:{one}", "status", "reason") == ["error", "Unreadable"]
            assert client.ttl(f"{ROOT}run:{one}") > 0

        async def dead():
            with redis_py.Redis.from_url(redis.admin_url) as raw:
                found = [fields for _, fields in raw.xrange(f"{ROOT}dead")]
            names, texts = {one[b"name"] for one in found}, {one[b"raw"] for one in found}
            return {b"no-hash", b"half", b"empty", b"x1:crew", b"x2:crew", b"no-colon"} <= names and {
                b"garbage", b"\xff\xfe 1 2 3", b"1-0 end x {}"
            } <= texts  # fmt: skip

        await wait_until(dead, "all of it is put aside", 10)

        async def told():
            return await replica.metric("crewops_dead_letters") == client.xlen(f"{ROOT}dead")

        await wait_until(told, "the metric counts them", 10)
        assert 0 < client.ttl(f"{ROOT}dead") <= 7 * 24 * 3600
        assert client.zrange(f"{ROOT}hooks", 0, -1) == []
        assert client.zcard(f"{ROOT}leases") == client.zcard(f"{ROOT}waiting") == client.zcard(f"{ROOT}pending") == 0
        assert "DeadLetter" in {one["kind"] for one in (await replica.report())["failures"]}
        assert await replica.metric("crewops_background_failures_total") == 0


async def test_a_webhook_that_cannot_be_read_is_counted_and_what_is_put_aside_keeps_no_credentials(make, redis):
    client = redis.client()
    known = json.dumps({"crew": {"url": "http://127.0.0.1:1/", "authentication": {"token": "s3"}}})
    ended = {"kickoff_id": "ended", "status": "completed", "hooks": known}
    client.hset(f"{ROOT}run:ended", mapping=ended)
    client.hset(f"{ROOT}hook:ended:crew", "is", "no list")
    client.zadd(f"{ROOT}hooks", {"ended:crew": 1})
    aside = {"whole": known, "odd": '{"crew": "s3"}', "cut": known[:-9], "waiting": known}
    for one, hooks in aside.items():
        entry = client.xadd(f"{ROOT}queue", {"id": one})
        fields = {"status": "running", "kickoff_id": one, "entry": entry, "hooks": hooks, "attempt": "many"}
        client.hset(f"{ROOT}run:{one}", mapping={**fields, "stream": f"{ROOT}queue"})
        client.zadd(f"{ROOT}waiting", {one: 1})
    client.rpush(f"{ROOT}hook:waiting:crew", "1-0 step 1 {}")
    replica = await make()

    async def put_aside():
        return all(client.hget(f"{ROOT}run:{one}", "status") == "error" for one in aside)

    async def counted():
        return client.hget(f"{ROOT}run:ended", "hooks_failed") == "1"

    await wait_until(put_aside, "they are put aside", 20)
    await wait_until(counted, "the webhook is counted as failed", 20)
    assert "could not be read" in client.hget(f"{ROOT}run:ended", "hooks_error")
    for one in ("ended", "whole", "odd", "cut"):
        assert "s3" not in (client.hget(f"{ROOT}run:{one}", "hooks") or ""), one
    assert "s3" in client.hget(f"{ROOT}run:waiting", "hooks"), "what waits is still to be delivered"
    assert replica.server.poll() is None


async def test_bad_events_and_bad_records_cost_those_who_ask_for_them_and_nobody_else(replica, redis):
    kickoff = await replica.kickoff(do="step")
    await replica.ended(kickoff)
    client, stream = redis.client(), f"{ROOT}ev:{kickoff}"
    good = client.xrange(stream)
    client.delete(stream)
    client.xadd(stream, {"type": "x", "attempt": "1", "data": "no JSON"}, id="1-1")
    client.xadd(stream, {"type": "x", "attempt": "many", "data": "{}"}, id="1-2")
    client.xadd(stream, {"nothing": "told"}, id="1-3")
    for entry, fields in good:
        client.xadd(stream, fields, id=entry)
    text = (await replica.api.get(f"/kickoff/{kickoff}/events")).text
    assert [line for line in text.splitlines() if line.startswith("event: ")][-1] == "event: end"
    client.hset(f"{ROOT}run:bad", mapping={"status": "completed", "kickoff_id": "bad", "result": "{"})
    answer = await replica.api.get("/status/bad")
    assert (answer.status_code, answer.json()["reason"]) == (500, "Unreadable")
    assert replica.server.poll() is None


async def test_a_full_redis_is_no_reason_to_put_anything_aside(make, redis):
    """A script that is refused for want of memory has read nothing that was wrong."""
    replica = await make()
    kickoff = await replica.kickoff(do="sleep")
    await replica.started(kickoff)
    client = redis.client()
    client.config_set("maxmemory", "1")
    replica.server.kill()
    await asyncio.sleep(1)
    other = await make("r2", idle=True, start=False)
    other.start_server()
    await other.listening()
    await asyncio.sleep(9)
    assert client.zrange(f"{ROOT}leases", 0, -1) == [kickoff]
    client.config_set("maxmemory", "0")
    other.start_worker()
    assert (await other.reaches(kickoff, "running"))["status"] == "running"

    async def again():
        return (await other.status(kickoff))["attempt"] == 2

    await wait_until(again, "it runs again on the other replica", 25)
    assert client.exists(f"{ROOT}dead") == 0
