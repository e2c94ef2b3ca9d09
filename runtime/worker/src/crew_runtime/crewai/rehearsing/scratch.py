"""An area of Redis below the crew's own keys that a rehearsal writes to, and that is erased.

Its keys are noted as they are sent. A process that is killed leaves them behind, and a mark with the time; the next
rehearsal finds the mark and erases what lies below it.
"""

import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from crew_runtime.contract import durability, keys
from crew_runtime.crewai.state import registration
from crew_runtime.installation import Installation
from crew_runtime.memory import ladder
from crew_runtime.memory.plain import PlainSearch
from crew_runtime.redis_client import Client

LEFT_AFTER = 15 * 60.0
"""Seconds after which nobody is at work in an area any more."""
BATCH = 500
_ID = re.compile(rb"\r\n([0-9a-f-]{16,64})(?=\r\n)")
_RECORD, _TWIN = b"m:", b"twin:"
_SCAN = 1000


@contextmanager
def area(made: Installation) -> Iterator[None]:
    """All of CrewAI's state that is written within it goes there. The process keeps writing there until it ends.

    Raises BackendError when the backend cannot be asked; a failure to erase at the end leaves the mark.
    """
    settings, connections = made.settings, made.connections
    nonce = secrets.token_hex(8)
    inside = keys.rehearsal_prefix(settings.key_prefix, nonce)
    marks = keys.rehearsals(settings.key_prefix)
    guard = made.registered.guard
    guard.call("rehearsal", lambda client: _erase_left(client, settings.key_prefix, marks))
    guard.call("rehearsal", lambda client: client.zadd(marks, {nonce: time.time()}))
    noted = _Noted(keys.root(inside))
    _note(connections.redis, noted)
    # An index would be made for an area that lives for a second.
    ladder.choose = lambda store, _: PlainSearch(store)  # type: ignore[assignment]
    # Nobody is told that anything of it was kept.
    elsewhere = replace(settings, key_prefix=inside, durability=durability.BUFFERED)
    before = made.registered.storage
    registered = registration.register(elsewhere, connections)
    # Memories that were made before hold this one.
    before.__init__(elsewhere, registered.guard)  # type: ignore[misc]
    try:
        yield
    finally:
        guard.call("rehearsal", lambda client: _erase(client, noted.names()))
        guard.call("rehearsal", lambda client: client.zrem(marks, nonce))


class _Noted:
    """Every word below the root that was sent, and the ids that scripts make names of (`write.lua`)."""

    def __init__(self, root: str) -> None:
        self._root = root.encode()
        self._below = re.compile(re.escape(self._root) + rb"[^\r\n]+")
        self._lock = threading.Lock()
        self._names: set[bytes] = set()
        self._ids: set[bytes] = set()

    def sent(self, packed: bytes) -> None:
        if self._root in packed:
            with self._lock:
                self._names.update(self._below.findall(packed))
                self._ids.update(_ID.findall(packed))

    def names(self) -> list[bytes]:
        with self._lock:
            records = [name for name in self._names if name.endswith(_RECORD)]
            made = {one + id_ for name in records for one in (name, name[: -len(_RECORD)] + _TWIN) for id_ in self._ids}
            return sorted(self._names | made)


def _note(client: Client, noted: _Noted) -> None:
    pool = client.connection_pool
    known: type[Any] = pool.connection_class

    class Noting(known):  # type: ignore[misc]
        def send_packed_command(self, command: Any, *arguments: Any, **named: Any) -> Any:
            noted.sent(command if isinstance(command, bytes) else b"".join(command))
            return super().send_packed_command(command, *arguments, **named)

    pool.disconnect()
    pool.connection_class = Noting
    pool.reset()


def _erase(client: Client, names: list[bytes]) -> None:
    for begin in range(0, len(names), BATCH):
        client.unlink(*names[begin : begin + BATCH])


def _erase_left(client: Client, prefix: str, marks: str) -> None:
    """What processes that were killed left behind. Walks through all keys, and only then."""
    for nonce in client.zrangebyscore(marks, "-inf", time.time() - LEFT_AFTER):
        root = keys.root(keys.rehearsal_prefix(prefix, nonce.decode()))
        _erase(client, list(client.scan_iter(match=keys.beginning(root), count=_SCAN)))
        client.zrem(marks, nonce)
