"""Ports for what tests start: each test process has a block of its own, so that suites run side by side.

A port that the kernel hands out and that is closed again is anybody's: another process' outgoing connection may get it
before a server has started on it. These lie below the range that Linux hands out (32768 and up), and no two processes
share a block.
"""

import itertools
import socket
from collections.abc import Iterator
from functools import cache

_FIRST, _LAST, _SIZE = 12000, 32000, 400


def free_port() -> int:
    """A TCP port at 127.0.0.1 that nobody listens on, and that no other test process will be given."""
    for _ in range(_SIZE):
        port = next(_ours())
        with socket.socket() as one:
            # as servers do: a port whose last connections are in TIME_WAIT is free to listen on
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"none of this process' {_SIZE} ports is free")


@cache
def _ours() -> Iterator[int]:
    """This process' ports, round and round."""
    first, lock = _block()
    _held.append(lock)
    return itertools.cycle(range(first + 1, first + _SIZE))


_held: list[socket.socket] = []
"""The kernel frees a block with the process that holds its first port."""


def _block() -> tuple[int, socket.socket]:
    for first in range(_FIRST, _LAST, _SIZE):
        lock = socket.socket(type=socket.SOCK_DGRAM)
        try:
            lock.bind(("127.0.0.1", first))
        except OSError:
            lock.close()
            continue
        return first, lock
    raise RuntimeError("every block of test ports is taken: end the test runs that nobody waits for")
