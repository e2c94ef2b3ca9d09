"""CrewAI's named locks, shared by all replicas: a lease in Redis with the holder's token, renewed while it is held.

Locks that CrewAI names after a file of this host (`sqlite:/home/...`, all of its own are such) guard that file and
nothing else: they stay a lock on this host. Through Redis a kickoff would pay for them and an outage would reach
`Crew()` itself (measured on crewai 1.15.30).
"""

import hashlib
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import portalocker

from crew_runtime.contract import keys
from crew_runtime.contract.scripts import Argument
from crew_runtime.errors import BackendError, LockLostError, LockTimeoutError
from crew_runtime.guard import ledger
from crew_runtime.guard.call import Guard
from crew_runtime.memory import scripts

LEASE = 15.0
"""Seconds after which the lock of a holder that died is free."""
RENEW_EVERY = LEASE / 3
RETRIED_WITHIN = 60.0
"""Seconds in which a release whose answer was lost is tried again: it is as soon as the connection has ended."""
WAIT = 120.0
"""Seconds; CrewAI's own default."""
FIRST_LOOK, LONGEST_LOOK = 0.005, 0.25
"""Seconds between two tries; doubled each time."""
_FILE = re.compile(r"[a-z_]+:/")


class RedisLocks:
    """The lock backend: `locks(name, timeout=...)` is a context manager that holds the lock."""

    def __init__(self, guard: Guard, prefix: str) -> None:
        self._guard = guard
        self.prefix = prefix

    @contextmanager
    def __call__(self, name: str, *, timeout: float = WAIT) -> Iterator[None]:
        """Hold the lock. Raises LockTimeoutError after `timeout` seconds, LockLostError at the end if it was lost."""
        if _FILE.match(name):
            with _of_this_host(name, timeout):
                yield
            return
        lease = self._take(name, timeout)
        try:
            yield
        finally:
            lease.release()

    def _take(self, name: str, timeout: float) -> "_Lease":
        key, token = keys.lock(self.prefix, name), secrets.token_hex(16)
        names, arguments = {"lock": key}, _lease(token)
        ends, pause = time.monotonic() + timeout, FIRST_LOOK
        while not self._guard.call("lock", lambda client: scripts.TAKE(client, names, arguments)):
            left = ends - time.monotonic()
            if left <= 0:
                raise LockTimeoutError(f"the lock {name!r} was held by another for {timeout:g} s")
            time.sleep(min(pause, left))
            pause = min(LONGEST_LOOK, pause * 2)
        return _Lease(self._guard, name, key, token, keys.released(self.prefix, token))


class _Lease:
    """A lock that is held, and the thread that keeps it so."""

    def __init__(self, guard: Guard, name: str, key: str, token: str, released: str) -> None:
        self._guard, self._name, self._key, self._token, self._released = guard, name, key, token, released
        self._lost = self._trouble = ""
        self._ended = threading.Event()
        threading.Thread(target=self._renew, name="crew-runtime-lease", daemon=True).start()

    def release(self) -> None:
        """Let go. Raises LockLostError when it was not ours any more, for others may have been at work meanwhile."""
        self._ended.set()
        names = {"lock": self._key, "released": self._released}
        arguments: dict[str, Argument] = {"token": self._token, "retried_within": int(RETRIED_WITHIN * 1000)}
        if not self._guard.call("lock", lambda client: scripts.RELEASE(client, names, arguments)):
            self._lost = self._trouble or "its lease ran out"
        if self._lost:
            error = LockLostError(f"the lock {self._name!r} was lost while it was held: {self._lost}")
            ledger.record(ledger.Failure("lock", error.kind, str(error)))
            raise error

    def _renew(self) -> None:
        names, arguments = {"lock": self._key}, _lease(self._token)
        while not self._ended.wait(RENEW_EVERY):
            try:
                if not self._guard.call("lock", lambda client: scripts.EXTEND(client, names, arguments)):
                    self._lost = "its lease ran out"
                    return
            except BackendError as error:
                # Recorded by the guard; the lease may outlive the outage, so go on. The release finds out.
                self._trouble = str(error)


def _lease(token: str) -> dict[str, Argument]:
    return {"token": token, "lease": int(LEASE * 1000)}


@contextmanager
def _of_this_host(name: str, timeout: float) -> Iterator[None]:
    # The same file as CrewAI's own default, so that its command line and we keep out of each other's way.
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    with portalocker.Lock(Path(tempfile.gettempdir()) / f"crewai:{digest}.lock", timeout=timeout):
        yield
