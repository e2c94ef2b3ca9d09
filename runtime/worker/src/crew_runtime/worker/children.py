"""The zygote's table of children: made, watched, killed and reaped here and nowhere else.

Because only the zygote reaps, a pid cannot be used again under a kill.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from crew_runtime.worker import child, processes
from crew_runtime.worker.limits import Watched

PIPE_FD = 3
"""Where a spawned child finds its pipe to the zygote."""


@dataclass
class Child:
    """One process that the zygote made."""

    pid: int
    token: str
    role: str
    pipe: socket.socket
    memory: Watched
    reason: str | None = None
    """Why the zygote killed it, when it did so by itself."""
    said: bytearray = field(default_factory=bytearray)
    """What it wrote into its pipe; of a trial."""
    how: str = ""
    """How it ended, in words."""
    silent: bool = False
    """Its pipe has ended."""

    def fileno(self) -> int:
        """For select: readable when the child said something."""
        return self.pipe.fileno()

    def listen(self) -> None:
        """Take what it said since."""
        try:
            data = self.pipe.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.silent = not data
        if data and self.role != "trial" and self.memory.baseline is None:
            self.memory.start()
        self.said += data

    def hear_out(self) -> None:
        """Take its last words and close the pipe."""
        heard = -1
        while not self.silent and len(self.said) > heard:
            heard = len(self.said)
            self.listen()
        self.pipe.close()


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    child: Child
    code: int | None
    signal: str | None
    maxrss: int
    """Bytes."""


class Children:
    """All children, by pid."""

    def __init__(self, memory_budget: int) -> None:
        self.budget = memory_budget
        """Bytes that a child may take once it is ready."""
        self._table: dict[int, Child] = {}

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._table.values()))

    def __contains__(self, pid: object) -> bool:
        return pid in self._table

    def __len__(self) -> int:
        return len(self._table)

    def fork(self, role: str, token: str, body: Callable[[child.Task], int], inherited: list[Any]) -> Child:
        """A child that runs `body`, with the zygote's memory; `inherited` are the zygote's sockets, closed in it."""
        threads = threading.enumerate()
        if len(threads) != 1:
            # A lock held by another thread now would stay locked in the child for ever.
            raise AssertionError(f"the zygote must not fork with more than one thread: {[t.name for t in threads]}")
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            child.run_and_exit(
                lambda: self._in_child(parent, [*inherited, *self], body, child.Task(role, token, theirs))
            )
        theirs.close()
        return self._add(pid, token, role, ours)

    def spawn(self, role: str, token: str, **more: Any) -> Child:
        """A child in a fresh interpreter, for a zygote that must not fork; it learns its task over its pipe."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, *_main(), "child"]
        actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), PIPE_FD)]
        pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=actions)
        theirs.close()
        ours.sendall(json.dumps({"role": role, "token": token, "parent": os.getpid(), **more}).encode() + b"\n")
        return self._add(pid, token, role, ours)

    def kill(self, pid: int, reason: str | None = None) -> None:
        """SIGKILL to one of our children and all below it; other pids are none of our business."""
        if (one := self._table.get(pid)) is not None:
            one.reason = one.reason or reason
            processes.kill_tree(pid)

    def kill_all(self) -> None:
        """End every child."""
        for pid in list(self._table):
            self.kill(pid)

    def reap(self) -> list[Ended]:
        """Bury all that ended, and end what a buried child left behind."""
        ended: list[Ended] = []
        while (dead := _wait()) is not None:
            pid, status, maxrss = dead
            if (one := self._table.pop(pid, None)) is not None:
                one.hear_out()
                code = os.waitstatus_to_exitcode(status)
                name = signal.Signals(-code).name if code < 0 else None
                one.how = f"signal {name}" if name else f"exit code {code}"
                ended.append(Ended(one, code if code >= 0 else None, name, maxrss))
            self._end_strays()
        return ended

    def _end_strays(self) -> None:
        """What a dead slot had started is ours now, and has nothing to live for."""
        for pid in processes.children(os.getpid()):
            if pid not in self._table:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _add(self, pid: int, token: str, role: str, pipe: socket.socket) -> Child:
        pipe.setblocking(False)
        one = Child(pid, token, role, pipe, Watched(pid, self.budget))
        self._table[pid] = one
        return one

    @staticmethod
    def _in_child(parent: int, inherited: list[Any], body: Callable[[child.Task], int], task: child.Task) -> int:
        child.isolate(parent)
        for one in inherited:
            # A child that held the zygote's connection would hide the zygote's death from the server.
            (one.pipe if isinstance(one, Child) else one).close()
        return body(task)


def adopted_task() -> tuple[child.Task, int, dict[str, Any]]:
    """In a spawned child: what it was made for, the zygote's pid, and what else it was told."""
    pipe = socket.socket(fileno=PIPE_FD)
    os.set_inheritable(PIPE_FD, False)
    with pipe.makefile("rb", buffering=0) as lines:
        told = json.loads(lines.readline())
    return child.Task(told["role"], told["token"], pipe), int(told["parent"]), told


def _main() -> tuple[str, ...]:
    """How this process was started: as a module, or as the file that an injected worker is started by."""
    main = sys.modules["__main__"]
    if main.__spec__ is None and (file := getattr(main, "__file__", None)) is not None:
        return (file,)
    return ("-m", "crew_runtime.worker")


def _wait() -> tuple[int, int, int] | None:
    try:
        pid, status, usage = os.wait4(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status, usage.ru_maxrss * 1024) if pid else None
