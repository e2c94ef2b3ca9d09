"""Which receivers there may be, and how long a delivery waits."""

import pytest

from crew_server.webhooks import receivers
from crew_server.webhooks.delivery import LONGEST_PAUSE, MOST_TRIES, pause


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://example.com/hook?x=1", ""),
        ("http://crew-events.tools.svc:8080/hook", ""),
        ("ftp://example.com", "http:// or https://"),
        ("example.com/hook", "http:// or https://"),
        ("http:///hook", "names no host"),
        ("http://example.com:0/", "names no host"),
        ("http://example.com:99999/", "no URL"),
        ("http://[::1/", "no URL"),
        ("http://me:secret@example.com/", "no user and password"),
    ],
)
def test_a_receiver_has_a_url_of_http(url, problem):
    told = receivers.problem(url, ())
    assert bool(told) == bool(problem)
    assert problem in told


def test_only_hosts_that_a_pattern_names_may_be_called_when_there_are_patterns():
    hosts = ("*.Example.com", "tools.svc")
    for host in ("a.example.com", "b.a.EXAMPLE.com", "tools.svc"):
        assert not receivers.problem(f"http://{host}/", hosts)
    for host in ("example.com", "a.example.com.evil.org", "tools.svc.evil.org"):
        assert "does not allow" in receivers.problem(f"http://{host}/", hosts)


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("10.96.0.10", False),
        ("93.184.216.34", False),
        ("2606:2800:220:1::1", False),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:169.254.169.254", True),
        ("169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("fd00:ec2::254", True),
        ("0.0.0.0", True),
        ("224.0.0.1", True),
    ],
)
def test_addresses_of_the_pod_its_link_and_the_metadata_service_are_refused(address, refused):
    assert receivers.refused(address) is refused


def test_pauses_double_up_to_ten_minutes_and_last_for_hours_in_all():
    assert [pause(tries, None, 0.5) for tries in range(4)] == [1, 2, 4, 8]
    assert pause(25, None, 0.5) == LONGEST_PAUSE
    assert pause(0, None, 0.0) == 0.75
    assert 3 * 3600 < sum(pause(tries, None, 0.5) for tries in range(MOST_TRIES)) < 4 * 3600


def test_a_receiver_may_ask_for_more_patience_and_not_for_less():
    assert pause(0, 30, 0.5) == 30
    assert pause(5, 1, 0.5) == 32
    assert pause(0, 1e9, 0.5) == LONGEST_PAUSE
