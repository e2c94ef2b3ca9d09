"""The guard: what is tried again, what is not asked, what is told."""

import contextlib
import inspect
import socket
import threading
import time

import pytest
import redis

from crew_runtime import redis_client
from crew_runtime.errors import BackendError, BackendUnavailableError, NotAcknowledgedError
from crew_runtime.guard import ledger
from crew_runtime.guard.breaker import FIRST_PAUSE, LONGEST_PAUSE, Breaker
from crew_runtime.guard.call import TRY_SECONDS, Guard, try_seconds
from crew_runtime.redis_client import Connections
from crew_runtime.sessions import areas, binding
from crew_runtime.settings import Settings


@pytest.fixture
def told():
    found = []
    unsubscribe = ledger.subscribe(found.append)
    yield found
    unsubscribe()


@pytest.fixture
def guard():
    return Guard(Connections(Settings("redis://127.0.0.1:1/0", "a/b")))


class Calls:
    """Fails as told, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.count = 0

    def __call__(self, client):
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_an_idempotent_call_is_tried_once_more_when_its_connection_was_cut(guard, told):
    calls = Calls(redis.ConnectionError("cut"))
    assert guard.call("save", calls) == "answer"
    assert told == []


def test_it_is_not_tried_a_third_time(guard, told):
    calls = Calls(*[redis.ConnectionError("cut")] * 3)
    with pytest.raises(BackendUnavailableError):
        guard.call("save", calls)
    assert calls.count == 2
    assert [(one.op, one.kind) for one in told] == [("save", "Refused")]


@pytest.mark.parametrize(
    ("error", "idempotent"), [(redis.ConnectionError("cut"), False), (redis.TimeoutError("late"), True)]
)
def test_what_may_have_run_is_not_run_twice(guard, told, error, idempotent):
    calls = Calls(error)
    with pytest.raises(BackendUnavailableError):
        guard.call("push", calls, idempotent=idempotent)
    assert calls.count == 1
    assert len(told) == 1


def test_after_a_timeout_nothing_is_asked(guard):
    calls = Calls(redis.TimeoutError("late"))
    with pytest.raises(BackendUnavailableError, match="did not answer in time"):
        guard.call("search", calls)
    with pytest.raises(BackendUnavailableError, match="not asked, because Redis hangs"):
        guard.call("search", calls)
    assert calls.count == 1


class Late:
    """A Redis whose every answer takes so many seconds."""

    def __init__(self, seconds):
        self.seconds = seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=self._listener.accept()[:1], daemon=True).start()

    def _serve(self, peer):
        with contextlib.suppress(OSError), peer:
            while asked := peer.recv(1 << 16):
                time.sleep(self.seconds)
                peer.sendall(b"+PONG\r\n" if b"PING" in asked else b"+OK\r\n")


@pytest.fixture
def late():
    made = Late(2 * TRY_SECONDS)
    yield made
    made.close()


def test_what_is_far_away_and_answers_within_the_deadline_is_asked_again_after_a_hang(late):
    connections = Connections(Settings(f"redis://127.0.0.1:{late.port}/0", "a/b", backend_deadline=8.0))
    guard = Guard(connections)
    assert guard.call("search", lambda client: client.ping())
    with pytest.raises(BackendUnavailableError):
        guard.call("search", Calls(redis.TimeoutError("late")))
    guard.begin()
    assert guard.call("search", lambda client: client.ping()), "its trial had time for the way"
    connections.close()


def test_a_trial_is_short_where_a_call_is():
    assert [try_seconds(deadline) for deadline in (0.05, 0.4, 2.0, 8.0)] == [0.2, 0.2, 0.5, 2.0]


def test_pauses_double_up_to_a_limit_and_end_with_an_answer():
    now = [0.0]
    breaker = Breaker(lambda: now[0], 2.0)
    assert not breaker.is_open
    pauses = []
    for _ in range(5):
        breaker.opened("late")
        assert not breaker.may_try()
        begun = now[0]
        while not breaker.may_try():
            now[0] += 0.01
        pauses.append(now[0] - begun)
        assert not breaker.may_try(), "one caller tries at a time"
    assert pauses == pytest.approx([FIRST_PAUSE, 1.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE], abs=0.02)
    breaker.closed()
    assert (breaker.is_open, breaker.why) == (False, "")


def test_every_error_of_redis_py_becomes_ours():
    """A new release cannot let one slip by."""
    for name, kind in inspect.getmembers(redis.exceptions, inspect.isclass):
        if issubclass(kind, redis.RedisError):
            with pytest.raises(BackendError), redis_client.mapped("op"):
                raise kind.__new__(kind, name)


def test_a_password_is_in_no_message():
    assert redis_client.address(Settings("redis://user:secret@host:7000/0", "a/b")) == "host:7000"


class TestBinding:
    def test_nested_sessions_end_in_order(self):
        assert binding.current("Session") is areas.CREW
        with binding.bind("1"):
            with binding.bind("2"):
                assert binding.session() == "2"
            assert binding.session() == "1"
            assert binding.current("Crew") is areas.CREW
        assert binding.session() is None

    def test_threads_of_a_whole_process_belong_to_the_session(self):
        import threading

        seen = []
        for whole in (True, False):
            with binding.bind("1", whole_process=whole):
                thread = threading.Thread(target=lambda: seen.append(binding.session()))
                thread.start()
                thread.join()
        assert seen == ["1", None]

    def test_a_proof_is_a_proof_whatever_the_isolation(self):
        with binding.bind_proof():
            assert binding.current("Crew") is areas.PROOF


class Waits:
    """A durability whose last write waited for a second, of which Redis knew nothing."""

    waited = 1.0


def test_what_waits_for_a_disk_or_a_replica_is_no_slow_answer(told):
    guard = Guard(Connections(Settings("redis://127.0.0.1:1/0", "a/b", backend_deadline=0.5)), Waits())
    guard.call("save", lambda _: time.sleep(0.6))
    assert guard.call("save", lambda _: "asked") == "asked"
    assert told == []


def test_a_write_that_was_not_acknowledged_is_told_and_not_sent_again(guard, told):
    calls = Calls(NotAcknowledgedError("not on a replica"))
    with pytest.raises(NotAcknowledgedError):
        guard.call("save", calls)
    assert calls.count == 1
    assert [(one.op, one.kind) for one in told] == [("save", "NotAcknowledged")]
