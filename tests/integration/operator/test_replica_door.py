"""Whatever answers in a replica's place is a failed look: bounded, in time, and told in our words."""

import asyncio
import gzip
import itertools
import json
import random
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crew_operator import replica_client
from crew_operator.status.observed import Failure
from crew_operator.status.replies import Step
from crew_runtime import contract
from crew_runtime.contract import report as reports
from crew_runtime.contract.report import BackendHealth, Report
from support import strangers

IP = f"127.{random.randint(32, 250)}.{random.randint(1, 250)}.9"


def http(body, *headers, status="200 OK"):
    told = [f"HTTP/1.1 {status}".encode(), b"Content-Length: %d" % len(body), b"Connection: close", *headers]
    return b"\r\n".join(told) + b"\r\n\r\n" + body


async def ask(talk, action=None):
    async with (
        strangers.talking(talk, IP, contract.HEALTH_PORT),
        replica_client.connect() as client,
    ):
        return await (client.proof(IP, action, "nonce") if action else client.report(IP))


def refused(found):
    assert isinstance(found, Failure)
    assert found.message.isprintable()
    assert len(found.message) < 200
    return found.message


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(http)))
def test_any_bytes_are_a_failed_look(reply):
    refused(asyncio.run(ask(strangers.saying(reply))))


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (http(b"[" * 100_000), "not JSON"),
        (http(b'{"a":' * 40_000), "not JSON"),
        (http(b"nonsense"), "not JSON"),
        (http(b"9" * 10_000), "not JSON"),
        (http(b"[]"), "not what a replica says"),
        (http(b'{"replica": "a", "backend": {"checked_at": "x"}}'), "checked_at"),
        (http(b"x", status="302 Found"), "HTTP status 302"),
        (http(b"secret-internal", status="500 secret-internal"), "HTTP status 500"),
        (http(gzip.compress(b" " * 400_000_000, 1), b"Content-Encoding: gzip"), "compressed"),
        (b"SSH-2.0-secret-internal\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", "too early"),
    ],
    ids=range(11),
)
async def test_what_is_no_report_is_told_without_a_word_of_it(reply, why):
    message = refused(await ask(strangers.saying(reply)))
    assert why in message
    assert "internal" not in message


async def test_an_answer_without_an_end_is_neither_waited_for_nor_kept():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    tracemalloc.start()
    try:
        found = await ask(strangers.pouring(head, b" " * 65536, 20_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "longer than 256 KiB" in refused(found)
    assert peak < 4_000_000


async def test_an_answer_that_drips_ends_at_the_deadline_of_the_whole_call():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    begun = time.monotonic()
    found = await ask(strangers.dripping(head, itertools.repeat(b" "), 0.2))
    assert "no whole answer within 2 s" in refused(found)
    assert time.monotonic() - begun < replica_client.REPORT_DEADLINE + 1


async def test_headers_without_an_end_are_refused():
    refused(await ask(strangers.pouring(b"HTTP/1.1 200 OK\r\n", b"X-Y: " + b"z" * 60000 + b"\r\n", 1000)))


async def test_answers_that_announce_another_one_for_ever_are_not_kept():
    early = b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n"
    tracemalloc.start()
    try:
        found = await ask(strangers.pouring(b"", early * 3000, 100_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "no whole answer within 2 s" in refused(found)
    assert peak < 3_000_000


async def test_an_answer_to_a_proof_is_read_by_the_same_rules():
    good = http(b'{"ok": true, "found": true, "error": null}')
    assert await ask(strangers.saying(good), "read") == Step(ok=True, found=True)
    assert await ask(strangers.saying(http(b"", status="503 Busy")), "read") is None
    said = await ask(strangers.saying(http(json.dumps({"ok": False, "error": "\x1b[2Jno"}).encode())), "read")
    assert said == Step(ok=False, error="[2Jno")
    for reply in (http(b'{"ok": 1}'), http(b" " * 20_000), http(b"[" * 10_000), b"x"):
        step = await ask(strangers.saying(reply), "read")
        assert not step.ok
        assert step.error


async def test_times_of_a_replica_whose_clock_is_wrong_are_told_in_ours():
    an_hour_behind = time.time() - 3600
    told = Report("a", time=an_hour_behind, backend=BackendHealth(ready=True, checked_at=an_hour_behind - 1))
    found = await ask(strangers.saying(http(json.dumps(reports.to_dict(told)).encode())))
    assert found.backend.checked_at == pytest.approx(time.time() - 1, abs=2)


async def test_nobody_there_is_no_connection():
    async with replica_client.connect() as client:
        assert refused(await client.report(IP)) == "no connection: refused, or no route"


async def test_the_request_asks_for_no_compression():
    heard = bytearray()

    async def talk(reader, writer):
        heard.extend(await reader.read(4096))
        writer.write(http(b"{}"))

    await ask(talk)
    assert b"accept-encoding: identity\r\n" in bytes(heard).lower()
