"""What pours at Redis' address, or answers what is none of its protocol, fails a call and does not fill the process."""

import asyncio
import sys
import traceback

import pytest

from crew_runtime import redis_client
from crew_runtime.errors import BackendError
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.settings import Settings
from support import strangers

ASKS = """
import resource, sys
from crew_runtime import redis_client
from crew_runtime.errors import BackendError
from crew_runtime.settings import Settings
client = redis_client.connect(Settings(sys.argv[1], "a/b"))
try:
    with redis_client.mapped("search"):
        redis_client.command(client, ["GET", "x"])
except BackendError as error:
    print(error.kind, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, error)
"""
"""In a process of its own, which has next to nothing before."""


@pytest.mark.parametrize("protocol", ["", "?protocol=3"])
@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"$4000000000\r\n", b"x" * 65536),
        (b"*4000000000\r\n", b":1\r\n" * 16384),
        (b"*4000000000\r\n", b"$60000\r\n" + b"x" * 60000 + b"\r\n"),
        (b"+", b"x" * 65536),
    ],
    ids=["text", "numbers", "texts", "line"],
)
async def test_a_redis_that_pours_fails_the_call_and_does_not_fill_the_process(head, piece, protocol):
    async with strangers.talking(strangers.pouring(head, piece, 1 << 14)) as peer:
        url = f"redis://127.0.0.1:{peer.port}/0{protocol}"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", ASKS, url, stdout=asyncio.subprocess.PIPE)
        told, _ = await asyncio.wait_for(process.communicate(), 60)
        kind, peak, message = told.decode().split(" ", 2)
    assert (kind, peer.asked) == ("Error", 1), "it is not tried again"
    assert "more than" in message
    assert int(peak) < 700


@pytest.mark.parametrize("protocol", ["", "?protocol=3"])
@pytest.mark.parametrize("echo", [strangers.REPEATED, "cannot do {0} {1}"])
async def test_a_peer_that_repeats_the_greeting_does_not_make_the_password_known(protocol, echo, failures):
    async with strangers.talking(strangers.echoing(echo=echo)) as peer:
        connections = Connections(Settings(f"redis://:hunter2@127.0.0.1:{peer.port}/0{protocol}", "a/b"))
        with pytest.raises(BackendError, match=r"HELLO|AUTH") as caught:
            await asyncio.to_thread(Guard(connections).call, "search", lambda client: client.get("x"))
        connections.close()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)), "of the log either"
    assert "hunter2" not in str(failures)


@pytest.mark.parametrize(
    "answer",
    [b"$abc\r\n", b"*" + b"1\r\n*" * 20_000, b"$" + b"9" * 5000 + b"\r\n", b"\x00\xff\r\n", b"*1\r\n:x\r\n"],
    ids=["word", "nested", "absurd", "noise", "number"],
)
async def test_what_is_no_answer_of_redis_is_a_failure_of_the_backend(answer, failures):
    async with strangers.talking(strangers.saying(answer, stay=5)) as peer:
        connections = Connections(Settings(f"redis://127.0.0.1:{peer.port}/0", "a/b"))
        with pytest.raises(BackendError, match="none of its protocol") as caught:
            await asyncio.to_thread(Guard(connections).call, "search", lambda client: client.get("x"))
        connections.close()
    assert [(one.op, one.kind) for one in failures] == [("search", "Error")]
    assert not any(word in str(caught.value) for word in ("abc", "999", "xff")), "not a word of it"


def test_answers_that_are_large_and_many_are_read_as_before(settings, server):
    connections = Connections(settings)
    client, key = connections.redis, f"cs:{{{settings.key_prefix}}}:flow:large"
    client.hset(key, mapping={"state": "x" * 100_000_000})
    for _ in range(3):
        assert len(redis_client.command(client, ["HGET", key, "state"])) == 100_000_000
    pipeline = client.pipeline(transaction=False)
    for _ in range(4):
        pipeline.hget(key, "state")
    assert [len(one) for one in pipeline.execute()] == [100_000_000] * 4
    client.delete(key)
    client.hset(key, mapping={f"{at}\r\n": at for at in range(100_000)})
    assert len(client.hgetall(key)) == 100_000
    client.delete(key)
    connections.close()
