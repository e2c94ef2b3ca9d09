"""The zygote's connection to the server: frames in, frames out, never blocking the loop.

A server that stops reading fills the socket; what then is to be sent waits here, up to a bound, so that the zygote goes
on reaping, watching memory and noticing that the connection ended.
"""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crew_runtime.contract import frames
from crew_runtime.worker.errors import ServerGoneError

RETRY_EVERY = 0.1
"""Seconds between two tries to connect; the server needs 0.2 s to listen."""
MAX_WAITING = 4 * 1024 * 1024
"""Bytes that may wait for a server that does not read; a zygote's frame has 100, its report 10,000."""


def dial(path: str, patience: float, give_up: Callable[[], bool] = lambda: False) -> socket.socket:
    """Connect to the server's socket, waiting for it to appear.

    Raises ServerGoneError after `patience` seconds, or as soon as `give_up()` is true.
    """
    deadline = time.monotonic() + patience
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(path)
        except OSError as error:
            sock.close()
            if give_up() or time.monotonic() >= deadline:
                hint = "" if Path(path).parent.is_dir() else " (its folder does not exist: mount the shared volume)"
                raise ServerGoneError(f"no server listens on {path} after {patience:g} s: {error}{hint}") from error
            time.sleep(RETRY_EVERY)
        else:
            return sock


class Connection:
    """A non-blocking stream of frames; `closed` once the peer ended it or cannot be followed."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._decoder = frames.Decoder()
        self._waiting = bytearray()
        self.closed = False

    def fileno(self) -> int:
        """For select."""
        return self._sock.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait for the socket to take them."""
        return bool(self._waiting) and not self.closed

    def send(self, type_: str, /, **fields: Any) -> None:
        """Send now what the socket takes and keep the rest."""
        if self.closed:
            return
        self._waiting += frames.encode(type_, **fields)
        self.flush()
        if len(self._waiting) > MAX_WAITING:
            self.close()

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        try:
            while self._waiting:
                del self._waiting[: self._sock.send(self._waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def receive(self) -> list[frames.Frame]:
        """The frames that have arrived; `closed` is set when the peer is gone or sent what is no frame."""
        try:
            data = self._sock.recv(1 << 16)
            if data:
                return list(self._decoder.feed(data))
        except BlockingIOError:
            return []
        except (OSError, frames.FrameError):
            pass
        self.close()
        return []

    def finish(self, patience: float) -> None:
        """Hand over what waits, for at most `patience` seconds, and close."""
        if not self.closed:
            self._sock.settimeout(patience)
            try:
                self._sock.sendall(self._waiting)
                self._sock.shutdown(socket.SHUT_WR)
                while self._sock.recv(1 << 16):
                    pass
            except OSError:
                # The server may be gone or stuck: there is nobody left to tell.
                pass
        self.close()

    def close(self) -> None:
        """Drop the connection."""
        self.closed = True
        self._waiting.clear()
        self._sock.close()
