"""A session has one end, judged when somebody looks: what is said of it holds for what was written before as well."""

import dataclasses
import time

import pytest

from crew_runtime.contract.sessions import SWEEP
from crew_runtime.crewai.state.flows import FlowStates
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.sessions import binding
from support.memories import contents, direction, record
from support.waiting import wait_until

SCOPE = "/crew/concierge"
TTL = 60.0


@pytest.fixture
def mortal(settings, make_storage):
    """As a process with a time to live for sessions."""
    return lambda ttl=TTL: make_storage(dataclasses.replace(settings, session_ttl=ttl))


@pytest.fixture
def root(settings):
    return f"cs:{{{settings.key_prefix}}}:"


def remember(storage, session, *texts):
    with binding.bind(session):
        storage.save([record(text, SCOPE) for text in texts])


def remembered(storage, session):
    with binding.bind(session):
        return sorted(contents(storage.list_records()))


def test_no_record_expires_by_itself_when_the_time_to_live_is_taken_away(mortal, storage, time_passes):
    remember(mortal(), "1", "mine")
    time_passes(TTL + 1)
    assert remembered(storage, "1") == ["mine"]


def test_a_flows_state_that_is_written_without_a_time_to_live_stays(settings, server, root):
    connections = Connections(settings)
    guard = Guard(connections)
    with binding.bind("1"), server.client() as client:
        FlowStates(guard, settings.key_prefix, TTL).write("1", {"state": "{}"})
        assert 0 < client.pttl(f"{root}f:1") <= TTL * 1000
        FlowStates(guard, settings.key_prefix).write("1", {"state": "{}"})
        assert client.pttl(f"{root}f:1") == -1
    connections.close()


def test_what_an_older_version_let_expire_stays_from_the_start_of_a_newer_one_on(mortal, storage, server, root):
    remember(mortal(), "1", "mine", "too")
    with server.client() as client:
        for key in client.scan_iter(f"{root}*"):
            if key.decode().removeprefix(root).startswith(("m:", "s:", "session:")):
                client.expire(key, 60)
        for key in client.scan_iter(f"{root}m:*"):
            client.zadd(f"{root}mortal", {key.decode().removeprefix(f"{root}m:"): time.time() * 1000 + 60_000})
        storage.check()
        assert client.zcard(f"{root}mortal") == 0
        assert [key for key in client.scan_iter(f"{root}*") if client.pttl(key) > 0 and b"twin" not in key] == []
    assert remembered(storage, "1") == ["mine", "too"]


def test_what_an_older_version_writes_beside_a_newer_one_stays_its_sessions(mortal, server, root):
    newer = mortal(10 * TTL)
    remember(newer, "2", "other")
    with server.client() as client:
        remember(newer, "1", "mine")
        (mine,) = client.smembers(f"{root}s:1")
        for name in (f"m:{mine.decode()}", "s:1", "session:1"):
            client.expire(f"{root}{name}", 60)
        client.zadd(f"{root}mortal", {mine: time.time() * 1000 + 60_000})
        remember(mortal(10 * TTL), "3", "more")
        assert client.smembers(f"{root}s:1") == {mine}, "what erases the session finds its records by it"
        assert client.ttl(f"{root}m:{mine.decode()}") == -1
    assert remembered(newer, "1") == ["mine"]


def test_ids_of_what_an_older_version_let_expire_are_cleared(storage, server, root):
    with server.client() as client:
        for number in range(2_500):
            client.zadd(f"{root}mortal", {f"gone-{number}": 1})
            client.zadd(f"{root}ids", {f"gone-{number}": 1})
        storage.check()
        assert client.zcard(f"{root}ids") == 0
        assert client.exists(f"{root}mortal") == 0


def test_a_time_to_live_counts_from_when_it_is_said_for_sessions_that_were_idle_before(mortal, storage, time_passes):
    remember(storage, "1", "mine")
    time_passes(TTL + 1)
    switched_on = mortal()
    remember(switched_on, "2", "other")
    assert remembered(switched_on, "1") == ["mine"], "nobody loses at once what was idle before"
    time_passes(TTL + 1)
    assert remembered(switched_on, "1") == []


def test_a_session_that_was_idle_before_ends_without_being_used(mortal, storage, server, root, time_passes):
    remember(storage, "1", "mine")
    switched_on = mortal()
    remember(switched_on, "2", "other")
    time_passes(TTL + 1)
    remember(mortal(), "3", "more")
    with server.client() as client:
        assert client.zcard(f"{root}ids") == 1
        assert client.zrange(f"{root}sessions", 0, -1) == client.zrange(f"{root}idle", 0, -1) == [b"3"]


def test_a_longer_time_to_live_holds_for_what_was_written_with_a_shorter_one(mortal, time_passes):
    remember(mortal(), "1", "mine")
    longer = mortal(10 * TTL)
    remember(longer, "2", "other")
    time_passes(TTL + 1)
    assert remembered(longer, "1") == ["mine"]


def test_the_use_of_a_session_does_not_touch_its_records(mortal, server):
    remember(mortal(10 * TTL), "1", *(f"memory {number}" for number in range(900)))
    other = mortal(10 * TTL)
    with server.client() as client:
        client.config_resetstat()
        with binding.bind("1"):
            assert other.count() == 900 or other.search(direction("memory 1"))
        calls = {name: of["calls"] for name, of in client.info("commandstats").items()}
        written = sum(calls.get(f"cmdstat_{one}", 0) for one in ("hset", "pexpire", "xadd", "zadd", "incr", "persist"))
    assert written < 20


def test_a_large_session_that_ended_is_erased_in_steps_before_it_is_used_anew(mortal, server, root, time_passes):
    remember(mortal(), "1", *(f"memory {number}" for number in range(3 * SWEEP + 1)))
    time_passes(TTL + 1)
    again = mortal()
    assert remembered(again, "1") == []
    with server.client() as client:
        assert client.zcard(f"{root}ids") == 0
        assert list(client.scan_iter(f"{root}m:*")) == []
    remember(again, "1", "anew")
    assert remembered(again, "1") == ["anew"]


def test_sessions_that_ended_leave_nothing_behind_for_long(mortal, server, root, time_passes):
    first = mortal()
    for number in range(60):
        remember(first, f"guest {number}", *(f"{number} {what}" for what in range(10)))
    time_passes(TTL + 1)
    with server.client() as client:

        def swept():
            remember(mortal(), "who comes by", "mine")
            return client.zcard(f"{root}ids") <= 10

        wait_until(swept, "who comes by sweeps", timeout=30)
        names = {key.decode().removeprefix(root).partition(":")[0] for key in client.scan_iter(f"{root}*")}
        assert client.zcard(f"{root}sessions") == client.zcard(f"{root}idle") == 1
    assert names <= {"m", "ids", "idle", "log", "meta", "rev", "s", "session", "sessions", "twin"}
