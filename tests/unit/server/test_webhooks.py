"""Which receivers there may be, and how long a delivery waits."""

import asyncio
import contextlib
import socket
import threading
from types import SimpleNamespace

import httpcore
import pytest

from crew_runtime import resolver
from crew_server import redis_client
from crew_server.webhooks import receivers, sending
from crew_server.webhooks.delivery import AT_ONCE, LONGEST_PAUSE, MOST_TRIES, pause
from crew_server.webhooks.receivers import ReceiverError
from support import strangers
from support.waiting import eventually


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://example.com", "http:// or https://"),
        ("example.com/hook", "http:// or https://"),
        ("http:///hook", "names no host"),
        ("http://example.com:0/", "names no host"),
        ("http://example.com:99999/", "no URL"),
        ("http://[::1/", "no URL"),
        ("http://me:secret@example.com/", "no user and password"),
        (f"http://{'a' * 64}.com/", "no domain"),
        (f"http://{'ä' * 64}.com/", "no domain"),
        ("http://a..b/", "no domain"),
        ("http://a b/", "no domain"),
        ("http://example.com/a\nb", "control characters"),
        (f"http://example.com/{'a' * 2048}", "at most 2048"),
    ],
)
def test_what_is_no_receivers_url_is_refused_with_the_reason(url, problem):
    with pytest.raises(ReceiverError, match=problem):
        receivers.checked(url, ())


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://example.com/hook?x=1", "https://example.com/hook?x=1"),
        ("http://crew-events.tools.svc:8080/hook", "http://crew-events.tools.svc:8080/hook"),
        ("http://Bücher.example/straße?q=ü#part", "http://xn--bcher-kva.example/stra%C3%9Fe?q=%C3%BC"),
        ("http://example.com/a b/%C3%BC", "http://example.com/a%20b/%C3%BC"),
        ("http://[2606:2800:0220:1::1]:80/", "http://[2606:2800:220:1::1]:80/"),
    ],
)
def test_a_receivers_url_is_kept_in_the_form_in_which_it_can_be_sent(url, sent):
    assert receivers.checked(url, ()) == sent
    assert receivers.checked(sent, ()) == sent
    sent.encode("ascii")


def test_only_hosts_that_a_pattern_names_may_be_called_when_there_are_patterns():
    hosts = ("*.Example.com", "tools.svc")
    for host in ("a.example.com", "b.a.EXAMPLE.com", "tools.svc"):
        assert receivers.checked(f"http://{host}/", hosts)
    for host in ("example.com", "a.example.com.evil.org", "tools.svc.evil.org"):
        with pytest.raises(ReceiverError, match="does not allow"):
            receivers.checked(f"http://{host}/", hosts)


PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"]
PRIVATE = ["10.96.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12::1", "64:ff9b::0a60:0001", "2002:a60:1::1"]
INMOST = [
    "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "0.0.0.0", "::", "224.0.0.1", "fe80::1%eth0",
    "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "fd00:ec2::254",
    "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC + PRIVATE + INMOST)
@pytest.mark.parametrize("hosts", [(), ("*.example.com",)], ids=["any host", "a pattern of names"])
def test_only_public_addresses_are_reached_by_a_name_that_a_pattern_matches_or_that_nothing_names(address, hosts):
    assert receivers.refused(address, "evil.example.com", hosts) is (address not in PUBLIC)


@pytest.mark.parametrize("address", PRIVATE + INMOST)
def test_what_is_named_without_a_wildcard_is_reached_wherever_it_is(address):
    assert not receivers.refused(address, "tools.svc", ("tools.svc",))
    assert not receivers.refused(address, "a.example.com", ("*.example.com", address))


def test_a_pattern_of_addresses_opens_private_ones_and_never_the_metadata_service():
    hosts = ("*.tools.svc", "10.*", "169.254.*", "*")
    assert not receivers.refused("10.96.0.1", "a.tools.svc", hosts)
    assert receivers.refused("169.254.169.254", "a.tools.svc", hosts)
    assert receivers.refused("192.168.0.1", "a.tools.svc", ("*.tools.svc", "10.*"))


def test_an_address_of_the_pod_itself_is_none_of_the_others():
    assert receivers.refused("93.184.216.34", "a.example.com", ("*.example.com", "93.*"), own=True)
    assert sending.is_own("127.0.0.1")
    assert not sending.is_own("192.0.2.1")


def test_pauses_double_up_to_ten_minutes_and_last_for_hours_in_all():
    assert [pause(tries, None, 0.5) for tries in range(4)] == [1, 2, 4, 8]
    assert pause(25, None, 0.5) == LONGEST_PAUSE
    assert pause(0, None, 0.0) == 0.75
    assert 3 * 3600 < sum(pause(tries, None, 0.5) for tries in range(MOST_TRIES)) < 4 * 3600


def test_a_receiver_may_ask_for_more_patience_and_not_for_less():
    assert pause(0, 30, 0.5) == 30
    assert pause(5, 1, 0.5) == 32
    assert pause(0, 1e9, 0.5) == LONGEST_PAUSE


# Names that nobody answers for -----------------------------------------------------------------------------------


@pytest.fixture
def silent(monkeypatch):
    """Names that begin with `silent` are looked up until `release` is set; `asked` has those that are."""
    release, asked, real = threading.Event(), [], socket.getaddrinfo

    def lookup(host, *positional, **named):
        if not str(host).startswith("silent"):
            return real(host, *positional, **named)
        asked.append(host)
        release.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    yield SimpleNamespace(asked=asked, release=release)
    release.set()


@contextlib.asynccontextmanager
async def begun(calls, silent):
    """All of `calls` under way, each with a name that is being looked up; ended when left."""
    tasks = [asyncio.create_task(one) for one in calls]

    async def asked():
        return len(silent.asked) == len(tasks)

    try:
        await eventually(asked, "all of them are looked up")
        yield
    finally:
        silent.release.set()
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_hosts_that_nobody_looks_up_do_not_keep_redis_from_being_reached(silent):
    sender = sending.Sender(())
    known = {"HELLO": b"%1\r\n+proto\r\n:3\r\n", "PING": b"+PONG\r\n"}
    posts = [sender.post(f"http://silent-{number}.example/", {}, b"") for number in range(AT_ONCE)]
    async with begun(posts, silent), strangers.talking(strangers.echoing(known)) as peer:
        url = f"redis://localhost:{peer.port}/0"
        chosen = SimpleNamespace(
            redis_url=url, redis_ca_file=None, redis_password=None, redis_credentials=None, backend_deadline=20
        )
        client = redis_client.connect(chosen)
        async with redis_client.deadline(20):
            assert await client.ping()
        await client.aclose()
    await sender.close()


async def test_one_more_name_than_may_be_looked_up_is_tried_another_time(silent):
    # Not by a Sender, whose pool would let it wait for one of the others.
    backend = sending._Checked(())
    async with begun([backend.connect_tcp(f"silent-{one}", 80) for one in range(resolver.MOST)], silent):
        with pytest.raises(httpcore.ConnectError, match="silent-more cannot be resolved"):
            await backend.connect_tcp("silent-more", 80)
        assert "silent-more" not in silent.asked
