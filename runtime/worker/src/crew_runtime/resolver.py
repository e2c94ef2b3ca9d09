"""Looks names up without letting those that nobody answers for keep others from being looked up.

For the operator and the server half, whose names are others' choice. asyncio's own way has a few threads for all names,
that of Redis among them. Standard library only, as the contract.

A lookup blocks a thread until the name server answers or libc gives up, tens of seconds later, whoever still waits for
it. Hence each name has one lookup at a time, each owner a few, and all together have a bound; while that is reached, a
name that was found before keeps its last address.
"""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final

MOST: Final = 64
"""Lookups at once; each is a thread that waits."""
EACH: Final = 4
"""Of one owner, unless it is told otherwise."""
_REMEMBERED: Final = 1024
"""Names whose last addresses are kept."""

Addresses = tuple[str, ...]
Lookup = Callable[[str], Sequence[Any]]


class BusyError(OSError):
    """Too many names wait for a name server that does not answer."""


def system(host: str) -> Sequence[Any]:
    """As libc does it. Raises OSError, and UnicodeError for what cannot be a name."""
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)


class Resolver:
    """Name -> addresses."""

    def __init__(self, lookup: Lookup = system, *, each: int = EACH) -> None:
        self._lookup = lookup
        self._each = each
        self._lock = threading.Lock()
        self._running: dict[str, Future[Addresses]] = {}
        self._owners: Counter[str] = Counter()
        self._known: OrderedDict[str, Addresses] = OrderedDict()

    async def addresses(self, host: str, owner: str) -> Addresses:
        """All that it has. `owner`: whose wish it is. Raises OSError and UnicodeError; the caller sets the deadline."""
        with contextlib.suppress(ValueError):
            return (str(ipaddress.ip_address(host)),)
        found = self._begin(host, owner)
        return found if isinstance(found, tuple) else await asyncio.wrap_future(found)

    def _begin(self, host: str, owner: str) -> Future[Addresses] | Addresses:
        with self._lock:
            if host in self._running:
                return self._running[host]
            if len(self._running) >= MOST or self._owners[owner] >= self._each:
                if host in self._known:
                    return self._known[host]
                raise BusyError("too many names are being looked up that no name server answers for")
            future: Future[Addresses] = Future()
            future.set_running_or_notify_cancel()  # who stops waiting does not cancel it for the others
            self._running[host] = future
            self._owners[owner] += 1
        threading.Thread(target=self._run, args=(host, owner, future), name="resolver", daemon=True).start()
        return future

    def _run(self, host: str, owner: str, future: "Future[Addresses]") -> None:
        try:
            found = tuple(dict.fromkeys(str(one[4][0]) for one in self._lookup(host)))
        except Exception as error:  # noqa: BLE001 - it is the waiting one's
            self._end(host, owner, None)
            future.set_exception(error)
        else:
            self._end(host, owner, found)
            future.set_result(found)

    def _end(self, host: str, owner: str, found: Addresses | None) -> None:
        with self._lock:
            del self._running[host]
            self._owners[owner] -= 1
            if self._owners[owner] <= 0:
                del self._owners[owner]
            if found is not None:
                self._known[host] = found
                self._known.move_to_end(host)
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
