"""Whatever answers in Redis' place is a state of Redis: bounded, in time, and told in our words."""

import asyncio
import itertools
import shutil
import ssl
import subprocess
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crew_operator import redis_client
from crew_operator.redis_client import Target
from crew_operator.status import identity
from crew_operator.status.identity import Servers
from crew_operator.status.observed import RedisLook, RedisState
from crew_runtime import resolver
from crew_runtime.contract import keys
from support import least_rights, replicas, strangers
from support.replica_fixtures import PASSWORD, RedisProcess

PONG = b"+PONG\r\n"


@pytest.fixture
def redis(tmp_path):
    process = RedisProcess(tmp_path)
    process.start()
    yield process
    process.close()


async def look(talk, url="redis://127.0.0.1:{}"):
    async with strangers.talking(talk) as peer:
        return await redis_client.look(Target("lobby/concierge", url=url.format(peer.port)))


def told(found):
    """What a user would read of it."""
    assert isinstance(found, RedisLook)
    assert found.state is not RedisState.OK
    assert found.message
    assert found.message.isprintable()
    assert len(found.message) < 400
    return found.message


WORDS = st.sampled_from(
    [PONG, b"+OK\r\n", b"$-1\r\n", b":1\r\n", b"*1\r\n", b"$5\r\nhello\r\n", b"-ERR no\r\n", b"$abc\r\n", b"\r\n", b"-"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(WORDS, st.binary(max_size=300)), max_size=8))
def test_any_bytes_are_a_state_of_redis(pieces):
    found = asyncio.run(look(strangers.saying(*pieces)))
    if found.state is not RedisState.OK:
        told(found)


@pytest.mark.parametrize(
    "reply",
    [
        b"$abc\r\n",
        b"*1\r\n" * 4000,
        b"$4000000000\r\n" + b"x" * 100,
        b"$" + b"9" * 5000 + b"\r\n",
        b"-" + b"x" * 100_000,
        b"+" + b"y" * 100_000,
        PONG + b"$-1\r\n+OK\r\n*1\r\n" + b"*1\r\n" * 4000,
        b"HTTP/1.1 400 Bad Request\r\nServer: secret-internal/1.2\r\n\r\n",
        b"220 mail.internal ESMTP\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"-ERR unknown command, this is POP3 at mail.internal\r\n",
        b"\x16\x03\x01\x00\xa5",
    ],
    ids=range(12),
)
async def test_what_is_no_redis_is_an_error_and_not_a_word_of_it_is_shown(reply):
    found = await look(strangers.saying(reply))
    assert found.state is RedisState.ERROR
    message = told(found)
    assert not any(word in message for word in ("internal", "HTTP", "SSH", "xxx", "yyy", "POP3", "ESMTP", "220"))


ALMOST = {"AUTH": b"+OK\r\n", "PING": PONG}


@pytest.mark.parametrize("user", ["", "crew"])
@pytest.mark.parametrize("known", [{}, {"PING": PONG}, ALMOST, {**ALMOST, "GET": b"$-1\r\n"}])
@pytest.mark.parametrize("echo", [strangers.REPEATED, "cannot do {0} {1} after AUTH hunter2", "AUTH hunter2 {0}"])
async def test_a_peer_that_repeats_what_it_was_asked_does_not_make_the_password_known(user, known, echo):
    found = await look(strangers.echoing(known, echo), f"redis://{user}:hunter2@127.0.0.1:{{}}")
    assert "hunter2" not in told(found)


async def test_an_announced_length_is_not_waited_for_nor_kept():
    tracemalloc.start()
    try:
        begun = time.monotonic()
        found = await look(strangers.pouring(b"$4000000000\r\n", b"x" * 65536, 20_000))
        took, peak = time.monotonic() - begun, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.state is RedisState.ERROR
    assert took < redis_client.DEADLINE
    assert peak < 2_000_000


async def test_an_answer_that_drips_ends_at_the_deadline_of_the_whole_look():
    begun = time.monotonic()
    found = await look(strangers.dripping(b"+", itertools.repeat(b"x"), 0.2))
    assert found.state is RedisState.WEDGED
    assert time.monotonic() - begun < redis_client.DEADLINE + 1


async def test_a_peer_that_hangs_up_or_says_nothing_or_is_not_there_is_told_apart():
    assert (await look(strangers.saying())).state is RedisState.UNREACHABLE
    assert (await look(strangers.saying(stay=5))).state is RedisState.WEDGED
    port = replicas.free_port()
    gone = await redis_client.look(Target("p", url=f"redis://127.0.0.1:{port}"))
    assert (gone.state, gone.message) == (RedisState.UNREACHABLE, "the connection to Redis was refused")


@pytest.mark.parametrize(
    "url", ["redis://u:hunter2/x@h", "redis://h?foo=1", "redis://h?db=x", "redis://h:1:2", "ftp://h"]
)
async def test_a_url_that_cannot_be_used_is_a_state_without_a_piece_of_it(url):
    found = await redis_client.look(Target("p", url=url))
    assert found.state is RedisState.ERROR
    assert "hunter2" not in told(found)


async def test_tls_is_told_apart_from_its_absence():
    found = await look(strangers.saying(b"-ERR no TLS here\r\n"), "rediss://127.0.0.1:{}")
    assert found.state is RedisState.UNREACHABLE
    assert "TLS" in told(found)
    broken = await redis_client.look(Target("p", url="rediss://127.0.0.1:1", ca="no PEM"))
    assert broken.state in (RedisState.ERROR, RedisState.UNREACHABLE)


@pytest.mark.parametrize("uptime", ["no number", "1e400", "-5", "9" * 30, "\u0663"])
async def test_an_info_that_makes_no_sense_is_no_info(uptime):
    info = f"# Server\r\nrun_id:\x1b[31m\r\nuptime_in_seconds:{uptime}\r\n".encode()
    reply = PONG + b"$-1\r\n+OK\r\n" + b"$%d\r\n%b\r\n" % (len(info), info)
    found = await look(strangers.saying(reply))
    assert (found.state, found.run_id, found.up_since) == (RedisState.OK, "", 0.0)


async def test_errors_of_redis_are_quoted_and_their_control_characters_are_not():
    found = await look(strangers.saying(PONG + b"$-1\r\n-ERR \x1b[2Jboo " + b"z" * 900 + b"\r\n"))
    assert found.state is RedisState.ERROR
    assert told(found).startswith("Redis answered: ERR [2Jboo zzz")


# A real one ----------------------------------------------------------------------------------------------------------


async def test_a_real_redis_is_ok_and_keeps_the_name_of_its_data_over_a_restart(redis):
    target = Target("lobby/concierge", url=redis.url)
    first, again = await redis_client.look(target), await redis_client.look(target)
    assert first.state is RedisState.OK, first.message
    assert (first.run_id, first.data_id) == (again.run_id, again.data_id)
    assert len(first.run_id) == 40
    assert abs(first.up_since - time.time()) < 60
    redis.kill()
    redis.start()
    after = await redis_client.look(target)
    assert after.run_id != first.run_id
    assert after.data_id == first.data_id
    redis.client().flushall()
    assert (await redis_client.look(target)).data_id != first.data_id


async def test_a_user_who_may_not_ask_for_info_is_no_failed_login(redis):
    redis.client().execute_command("ACL", "SETUSER", "crew", "on", ">pw", "~*", "+@all", "-@dangerous")
    found = await redis_client.look(Target("lobby/concierge", url=f"redis://crew:pw@127.0.0.1:{redis.port}"))
    assert (found.state, found.run_id) == (RedisState.OK, "")
    assert found.data_id


async def test_a_user_who_may_only_write_has_no_name_for_the_data(redis):
    redis.client().execute_command("ACL", "SETUSER", "crew", "on", ">pw", "~*", "+set", "+ping")
    found = await redis_client.look(Target("lobby/concierge", url=f"redis://crew:pw@127.0.0.1:{redis.port}"))
    assert (found.state, found.data_id) == (RedisState.OK, "")


async def test_wrong_password_another_database_and_a_full_server_are_told(redis):
    wrong = await redis_client.look(Target("p", url=f"redis://:{PASSWORD}x@127.0.0.1:{redis.port}"))
    assert wrong.state is RedisState.AUTH_FAILED
    assert PASSWORD not in wrong.message
    assert (await redis_client.look(Target("p", url=f"redis://127.0.0.1:{redis.port}"))).state is RedisState.AUTH_FAILED
    second = await redis_client.look(Target("p", url=f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/2"))
    assert second.state is RedisState.OK
    redis.client().select(2)
    beyond = await redis_client.look(Target("p", url=f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/99"))
    assert (beyond.state, "DB index" in beyond.message) == (RedisState.ERROR, True)
    redis.client().config_set("maxmemory", "1")
    full = await redis_client.look(Target("p", url=redis.url))
    assert full.state is RedisState.OUT_OF_MEMORY


async def test_how_full_it_is(redis):
    assert (await redis_client.look(Target("p", url=redis.url))).fullness == 0, "without maxmemory it is never full"
    used = redis.client().info("memory")["used_memory"]
    redis.client().config_set("maxmemory", str(used * 2))
    assert 0.4 < (await redis_client.look(Target("p", url=redis.url))).fullness < 0.8


async def test_the_write_is_the_health_key_and_goes_by_itself(redis):
    await redis_client.look(Target("lobby/concierge", url=redis.url))
    assert 0 < redis.client().ttl(keys.health("lobby/concierge", "operator")) <= 86400


async def test_two_servers_of_one_data_set_that_take_turns_are_told_once(redis, tmp_path):
    """Behind a balancer, as it opens each connection to the other one."""
    folder = tmp_path / "second"
    folder.mkdir()
    second = RedisProcess(folder)
    second.start()
    try:
        second.client().config_set("masteruser", least_rights.ADMIN)
        second.client().config_set("masterauth", PASSWORD)
        second.client().config_set("replica-read-only", "no")
        second.client().replicaof("127.0.0.1", redis.port)
        turn = itertools.cycle([redis.port, second.port])
        servers, told = Servers(), []
        async with strangers.talking(_to(turn)) as balancer:
            target = Target("lobby/concierge", url=f"redis://:{PASSWORD}@127.0.0.1:{balancer.port}")
            first = await redis_client.look(target)
            replicas.wait_for(lambda: second.client().get(_HEALTH) == first.data_id, "it is copied", 10)
            next(turn)
            for _ in range(12):
                servers, another = identity.follow(servers, await redis_client.look(target))
                told.append(another)
        assert sum(told) == 1
        assert (servers.several, servers.apart) == (True, False)
    finally:
        second.close()


_HEALTH = keys.health("lobby/concierge", "operator")


def _to(ports):
    async def talk(reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", next(ports))
        tasks = [asyncio.create_task(_copy(reader, back)), asyncio.create_task(_copy(there, writer))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in tasks:
                one.cancel()
            back.close()

    return talk


async def _copy(reader, writer):
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl for a certificate")
async def test_a_real_redis_behind_tls_is_verified_as_replicas_do(redis, tmp_path):
    """TLS ends at a relay before it: not every redis-server is built with it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=store"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    server = await asyncio.start_server(_to(itertools.repeat(redis.port)), "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    url, ca = f"rediss://:{PASSWORD}@127.0.0.1:{port}/0", certificate.read_text()
    try:
        verified = await redis_client.look(Target("p", url=url, ca=ca))
        assert (verified.state, len(verified.run_id)) == (RedisState.OK, 40), verified.message
        unknown = await redis_client.look(Target("p", url=url))
        assert unknown.state is RedisState.UNREACHABLE
        assert "self-signed certificate" in told(unknown)
        other_name = await redis_client.look(Target("p", url=url.replace("127.0.0.1", "localhost"), ca=ca))
        assert other_name.state is RedisState.UNREACHABLE
        assert "cannot be verified" in told(other_name)
        anyhow = await redis_client.look(Target("p", url=f"{url}?ssl_cert_reqs=none"))
        assert anyhow.state is RedisState.OK, anyhow.message
        broken = await redis_client.look(Target("p", url=url, ca="no PEM"))
        assert (broken.state, "caFrom" in told(broken)) == (RedisState.ERROR, True)
    finally:
        server.close()


# Names ---------------------------------------------------------------------------------------------------------------


async def test_names_that_nobody_answers_for_do_not_keep_others_from_being_looked_up(monkeypatch, redis):
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def lookup(host):
        if host.startswith("silent"):
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result(30)
            raise OSError("no answer")
        return resolver.system("127.0.0.1")

    monkeypatch.setattr(redis_client, "_resolver", resolver.Resolver(lookup))
    silent = [
        redis_client.look(Target("p", url=f"redis://silent-{number}.example:6379"), f"tenant-{number % 8}")
        for number in range(100)
    ]
    url = redis.url.replace("127.0.0.1", "store.example")
    tasks = [asyncio.create_task(one) for one in silent]
    await asyncio.sleep(0.1)
    well = await redis_client.look(Target("p", url=url), "neighbour")
    assert well.state is RedisState.OK, well.message
    assert {one.state for one in await asyncio.gather(*tasks)} == {RedisState.UNREACHABLE}
    release.set()
