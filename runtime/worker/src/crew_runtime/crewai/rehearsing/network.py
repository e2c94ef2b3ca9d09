"""The network of this process, closed but for the backend; with the list of who tried.

Sees what goes through Python's `socket`, as every HTTP client of CrewAI's does. Code that opens sockets in C by itself
(gRPC, LanceDB) is not seen.
"""

import os
import socket
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, cast
from urllib.parse import urlsplit

MOST_NOTED = 20
_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"})
_STDLIB = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib"))
_SITE = tuple(sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib"))


class NetworkClosedError(ConnectionRefusedError):
    """Refused by a rehearsal."""


class _Gate:
    """One a process: an audit hook cannot be taken out again."""

    def __init__(self) -> None:
        self.closed = False
        self.hooked = False
        self.host = ""
        self.port = 0
        self.addresses: frozenset[str] = frozenset()
        self.noted: list[str] = []
        self.lock = threading.Lock()

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.closed or event not in _EVENTS:
            return
        where = _target(event, arguments)
        if where is None or self._is_backend(*where):
            return
        with self.lock:
            if len(self.noted) < MOST_NOTED:
                self.noted.append(f"{where[0]}{f':{where[1]}' if where[1] else ''} ({_caller()})")
        raise NetworkClosedError(f"a rehearsal has no network: {where[0]}")

    def _is_backend(self, host: str, port: int) -> bool:
        if not self.host:
            return False
        if host == self.host:
            return port in (0, self.port)
        return port == self.port and host in self.addresses


_gate = _Gate()


@contextmanager
def closed(backend_url: str) -> Iterator[list[str]]:
    """Within it, whoever calls the network gets NetworkClosedError and is noted. `backend_url`: may be called; or ``.

    Unix sockets stay open.
    """
    parts = urlsplit(backend_url)
    before = (_gate.closed, _gate.host, _gate.port, _gate.addresses, _gate.noted)
    _gate.closed = False  # for the question below
    _gate.host, _gate.port = parts.hostname or "", parts.port or 6379
    _gate.addresses = _addresses(_gate.host, _gate.port)
    noted: list[str] = []
    _gate.noted = noted
    if not _gate.hooked:
        sys.addaudithook(_gate.hook)
        _gate.hooked = True
    _gate.closed = True
    try:
        yield noted
    finally:
        _gate.closed, _gate.host, _gate.port, _gate.addresses, _gate.noted = before


def was_refused(error: BaseException | None) -> bool:
    """Whether a refusal is the error or somewhere below it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, NetworkClosedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _addresses(host: str, port: int) -> frozenset[str]:
    if not host:
        return frozenset()
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError:  # the backend's own calls will say so
        return frozenset()


def _target(event: str, arguments: tuple[Any, ...]) -> tuple[str, int] | None:
    """(host, port) of what leaves the host by name or by address, else None."""
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
        host = host.decode("idna", "replace") if isinstance(host, bytes) else host
        if not host or _is_address(host):
            return None  # no question to anybody
        return str(host), 0
    address = arguments[1] if len(arguments) > 1 else None
    if not isinstance(address, tuple) or len(address) < 2:
        return None
    return str(address[0]), int(address[1])


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except OSError:
            continue
        return True
    return False


def _caller() -> str:
    """The nearest line of the user's own code, else the nearest installed package."""
    package, frame = "", cast("FrameType | None", sys._getframe(1))
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_SITE):
            package = package or str(frame.f_globals.get("__name__", "")).partition(".")[0]
        elif name != __file__ and not name.startswith((*_STDLIB, "<")):
            return f"{Path(name).name}:{frame.f_lineno}"
        frame = frame.f_back
    return package or "?"
