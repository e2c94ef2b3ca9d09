"""The zygote: it imports CrewAI, runs nothing, and forks.

In: frames of the server, signals, what children say in their pipes. Out: frames on phases and children. One thread and
one select loop; while it waits for anything at all, it can be pinged, told to kill and told to end.
"""

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crew_runtime.contract import PROTOCOL, frames
from crew_runtime.worker import connection, limits, processes
from crew_runtime.worker.children import Child, Children, Ended
from crew_runtime.worker.connection import Connection
from crew_runtime.worker.errors import ServerGoneError
from crew_runtime.worker.logs import Log

log = Log(__name__)

RECONNECT_DEADLINE = 60.0
"""Seconds that a server may be away; kubelet restarts a sidecar in less."""
BURIAL = 2.0
"""Seconds for killed children to be reaped."""
LONGEST_WAIT = 1.0
"""Seconds; a signal wakes the loop at once."""
EXIT_SIGTERM = 128 + signal.SIGTERM
EXIT_SERVER_GONE = 69
"""EX_UNAVAILABLE."""


@dataclass(frozen=True)
class Plan:
    """How children come to be."""

    make: Callable[[Children, str, str, list[Any]], Child]
    """(children, role, token, the zygote's own sockets) -> the child."""


class Exit(BaseException):
    """The zygote ends with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Zygote:
    """The loop. `start` connects; `until` and `serve` run it."""

    def __init__(self, socket_path: str, memory_budget: int, grace_period: float) -> None:
        self.children = Children(memory_budget)
        self._socket_path = socket_path
        self._grace_period = grace_period
        self._plan: Plan | None = None
        self._phase: dict[str, Any] = {"phase": "importing"}
        self._draining_since: float | None = None
        self._connection: Connection | None = None
        self._wakeup, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._pipes = [_Fd(self._wakeup), _Fd(wakeup_write)]
        self._terminated = False
        self._next_look = limits.WATCH_EVERY

    # -- what the start sequence says -----------------------------------------------------------------------------

    def start(self, patience: float) -> None:
        """Connect and say hello. Raises ServerGoneError."""
        processes.adopt_orphans()
        self.take_signals()
        self._connect(patience)

    def take_signals(self) -> None:
        """Handle signals here, again after any import: CrewAI takes over SIGTERM, and a user's module may too."""
        # PID 1 has no default actions: without a handler SIGTERM would be ignored.
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._pipes[1].fileno(), warn_on_full_buffer=False)

    def configure(self, memory_budget: int, grace_period: float) -> None:
        """What could only be read after the connection was there."""
        self.children.budget = memory_budget
        self._grace_period = grace_period

    def phase(self, phase: str, **fields: Any) -> None:
        """Tell the server how far we are; told again after a reconnect."""
        self._phase = {"phase": phase, **fields}
        log.info("phase", phase=phase, reason=fields.get("reason"))
        if self._connection is not None:
            self._connection.send(frames.PHASE, **self._phase)

    def finish(self, patience: float) -> None:
        """Hand over what was said and leave the server."""
        if self._connection is not None:
            self._connection.finish(patience)

    def await_child(self, one: Child, deadline: float) -> bytes | None:
        """Run the loop until a child has said all it has to say; None when it took longer and was killed."""
        ends_at = time.monotonic() + deadline
        while one.pid in self.children:
            if time.monotonic() > ends_at:
                self.children.kill(one.pid)
                return None
            self._turn()
        return bytes(one.said)

    def own_descriptors(self) -> list[Any]:
        """What a forked child must not keep."""
        mine = [] if self._connection is None or self._connection.closed else [self._connection]
        return [*self._pipes, *mine]

    def serve(self, plan: Plan) -> None:
        """Fork, kill, reap and watch until Exit is raised."""
        self._plan = plan
        while True:
            self._turn()

    # -- one turn of the loop -------------------------------------------------------------------------------------

    def _turn(self) -> None:
        if self._connection is None or self._connection.closed:
            self._server_went()
        self._wait()
        self._reap()
        if self._terminated:
            self._terminate()
        for one in self.children:
            if one.memory.exceeded():
                log.warning("killing a slot over its memory", child=one.pid, budget_mib=one.memory.budget >> 20)
                self.children.kill(one.pid, "oom")
        self._next_look = limits.next_look(self._next_look, grew=any(one.memory.grew for one in self.children))

    def _wait(self) -> None:
        assert self._connection is not None  # noqa: S101 - for the type checker; _turn has seen to it
        timeout = self._next_look if len(self.children) else LONGEST_WAIT
        with selectors.PollSelector() as selector:
            writing = selectors.EVENT_WRITE if self._connection.wants_to_write else 0
            selector.register(self._connection, selectors.EVENT_READ | writing)
            selector.register(self._wakeup, selectors.EVENT_READ)
            for one in self.children:
                if not one.silent:
                    selector.register(one, selectors.EVENT_READ)
            ready = selector.select(timeout)
        for key, events in ready:
            if isinstance(key.fileobj, Child):
                key.fileobj.listen()
            elif key.fileobj == self._wakeup:
                _drain(self._wakeup)
            else:
                if events & selectors.EVENT_WRITE:
                    self._connection.flush()
                if events & selectors.EVENT_READ:
                    for frame in self._connection.receive():
                        self._from_server(frame)

    def _from_server(self, frame: frames.Frame) -> None:
        match frame["t"]:
            case frames.PING:
                self._send(frames.PONG, n=frame.get("n"))
            case frames.FORK:
                self._fork(str(frame["token"]), str(frame["role"]))
            case frames.KILL:
                self.children.kill(int(frame["pid"]))
            case frames.EXIT:
                log.info("the server asks the worker to stop")
                self._end(0)

    def _fork(self, token: str, role: str) -> None:
        if self._plan is None or role not in ("slot", "prober"):
            log.warning("the server asked for a child that cannot be made", role=role, phase=self._phase["phase"])
            return
        one = self._plan.make(self.children, role, token, self.own_descriptors())
        self._send(frames.FORKED, token=token, pid=one.pid)

    def _reap(self) -> None:
        for ended in self.children.reap():
            if ended.child.role != "trial":
                self._tell_end(ended)

    def _tell_end(self, ended: Ended) -> None:
        one = ended.child
        self._send(
            frames.EXITED,
            pid=one.pid,
            token=one.token,
            code=ended.code,
            signal=ended.signal,
            maxrss=ended.maxrss,
            reason=one.reason,
        )

    def _send(self, type_: str, /, **fields: Any) -> None:
        if self._connection is not None:
            self._connection.send(type_, **fields)

    # -- the ends -------------------------------------------------------------------------------------------------

    def _on_signal(self, number: int, _: object) -> None:
        self._terminated = True

    def _terminate(self) -> None:
        """SIGTERM: the server decides when running kickoffs are done; it says `exit`, or the grace period ends."""
        if self._plan is None:
            log.info("terminated before the crew was ready")
            self._end(EXIT_SIGTERM)
        if self._draining_since is None:
            self._draining_since = time.monotonic()
            log.info("terminated: waiting for the server to say that kickoffs are done")
            self._send(frames.DRAINING)
        elif time.monotonic() - self._draining_since > self._grace_period:
            self._end(EXIT_SIGTERM)

    def _end(self, code: int) -> None:
        self.children.kill_all()
        for ended in self._bury(lambda: len(self.children) == 0):
            self._tell_end(ended)
        self.finish(1.0)
        raise Exit(code)

    def _bury(self, done: Callable[[], bool]) -> list[Ended]:
        """Reap what was killed, for as long as that takes but not for ever: a process may hang in the kernel."""
        ended: list[Ended] = []
        ends_at = time.monotonic() + BURIAL
        while not done() and time.monotonic() < ends_at:
            ended += self.children.reap()
            time.sleep(0.005)
        return ended

    def _server_went(self) -> None:
        """What runs has nobody to report to: end it, and wait for the next server."""
        if len(self.children):
            log.warning("the server is gone: killing all children", children=len(self.children))
        slots = [one for one in self.children if one.role != "trial"]
        for one in slots:
            self.children.kill(one.pid)
        # Not told to the next server, which knows nothing of the children that this one had asked for.
        self._bury(lambda: not any(one.pid in self.children for one in slots))
        if self._terminated:
            self._end(EXIT_SIGTERM)
        log.warning("waiting for the server", socket=self._socket_path)
        try:
            self._connect(RECONNECT_DEADLINE)
        except ServerGoneError as error:
            log.error("the server did not come back", detail=str(error))  # noqa: TRY400 - the text says it all
            self.children.kill_all()
            raise Exit(EXIT_SERVER_GONE) from error

    def _connect(self, patience: float) -> None:
        self._connection = Connection(connection.dial(self._socket_path, patience, lambda: self._terminated))
        self._connection.send(frames.HELLO, role="zygote", protocol=PROTOCOL, pid=os.getpid())
        self._connection.send(frames.PHASE, **self._phase)


class _Fd:
    """A descriptor with the methods of a socket that are used on what children inherit."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        os.close(self._number)


def _drain(descriptor: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(descriptor, 4096):
            pass
