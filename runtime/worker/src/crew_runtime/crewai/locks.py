"""CrewAI's named locks, held in Redis for all replicas of a crew: a lease with a token, renewed while it is held."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from crew_runtime.contract import keys
from crew_runtime.errors import BackendError, BackendUnavailableError
from crew_runtime.guard.call import Guard

LEASE = 15.0
"""Seconds after which the lock of a holder that died is free."""
PAUSE = 0.05
"""Between two tries for a lock that somebody holds."""

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"


def backend(guard: Guard, prefix: str) -> Callable[..., AbstractContextManager[None]]:
    """What CrewAI's `set_lock_backend` wants: `f(name, *, timeout)` -> context manager."""

    @contextmanager
    def lock(name: str, *, timeout: float = 120.0) -> Iterator[None]:
        key, token = keys.lock(prefix, name), secrets.token_hex(8)
        _acquire(guard, key, token, name, timeout)
        done = threading.Event()
        renewal = threading.Thread(target=_renew, args=(guard, key, token, done), name="crewops-lock", daemon=True)
        renewal.start()
        try:
            yield
        finally:
            done.set()
            renewal.join()
            guard.call("lock", lambda client: client.eval(_RELEASE, 1, key, token))

    return lock


def _acquire(guard: Guard, key: str, token: str, name: str, timeout: float) -> None:
    end = time.monotonic() + timeout
    lease = int(LEASE * 1000)
    while not guard.call("lock", lambda client: client.set(key, token, nx=True, px=lease)):
        if time.monotonic() >= end:
            raise BackendUnavailableError(f"the lock {name!r} was not free within {timeout:g} s", "Timeout")
        time.sleep(PAUSE)


def _renew(guard: Guard, key: str, token: str, done: threading.Event) -> None:
    while not done.wait(LEASE / 3):
        try:
            guard.call("lock", lambda client: client.eval(_RENEW, 1, key, token, str(int(LEASE * 1000))))
        except BackendError:
            continue  # recorded; the next try comes before the lease ends
