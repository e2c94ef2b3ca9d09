"""What every child does first, forked or spawned: break its ties to the zygote, then come to the server by itself."""

import contextlib
import ctypes  # noqa: F401 - loaded before any limit on memory is set
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from crew_runtime.worker import connection, processes, randomness
from crew_runtime.worker.channel import Channel

CONNECT_DEADLINE = 5.0


@dataclass(frozen=True)
class Task:
    """What the zygote made a child for."""

    role: str
    """`slot`, `prober` or `trial`."""
    token: str
    """Shown to the server once."""
    pipe: socket.socket
    """To the zygote."""


def isolate(parent: int) -> None:
    """Own session and group, dead with the zygote, default signals, parent of its own orphans."""
    os.setsid()
    processes.die_with_parent(parent)
    # A tool's daemon stays below its slot, so that it can be found and ends with it.
    processes.adopt_orphans()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    randomness.renew({})


def connect(path: str, task: Task) -> Channel:
    """Say hello to the server. Raises ServerGoneError."""
    return Channel(connection.dial(path, CONNECT_DEADLINE), task.role, task.token)


def tell_zygote(task: Task) -> None:
    """Warm: the zygote takes the memory of now as what this child started with."""
    # The zygote may be gone, and then this process is about to be.
    with contextlib.suppress(OSError):
        task.pipe.send(b"r")


def run_and_exit(body: Callable[[], int]) -> None:
    """Run a child's life and end the process, without the handlers and threads that it has from the zygote."""
    code = 1
    try:
        code = body()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - the last frame of a process: nothing above it would report this
        sys.excepthook(*sys.exc_info())
    finally:
        leave(code)


def leave(code: int) -> None:
    """End at once. Threads of the user's code could otherwise keep the process for ever."""
    for stream in (sys.stdout, sys.stderr):
        # A full or closed log pipe must not keep the process.
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
