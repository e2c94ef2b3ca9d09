"""`python -m crew_runtime.worker` and `-m crew_server` without their imports, which take most of a start's CPU time.

A fork server has imported what the module imports, and nothing else has run in it; for each process it forks one that
takes the environment, the folder and the log it is given and runs the module. All that it does at its start is done
anew: only the libraries are there already, and were imported with the variables of the server. A test of what happens
before or during these imports has to start an interpreter.

The client's half is for any interpreter; the server's, below, runs in the one that has the module's libraries.
"""

import contextlib
import gc
import importlib
import json
import os
import random
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

WORKER, SERVER = "crew_runtime.worker", "crew_server"
_LIBRARIES = {
    WORKER: (
        "crewai",
        "crew_runtime.crewai.kickoffs.canned",
        "crew_runtime.crewai.proofs.memory",
        "crew_runtime.crewai.state.registration",
        "crew_runtime.crewai.kickoffs.warming",
        "crew_runtime.installation",
        "crew_runtime.worker.main",
    ),
    SERVER: ("crew_server.app", "crew_server.settings"),
}
"""What is imported before a fork: libraries, and of ours what does nothing at import."""
_MAX_REQUEST = 1 << 17


class Forked:
    """A process of the server's, with what tests use of a `subprocess.Popen`."""

    def __init__(self, report: int) -> None:
        self._report = report
        self._said = b""
        self.returncode: int | None = None
        while b"\n" not in self._said:
            self._read()
        self.pid = int(self._said.split()[0])

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        while self.returncode is None and select.select([self._report], [], [], 0)[0]:
            self._read()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The same when it has ended. Raises subprocess.TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            select.select([self._report], [], [], left)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing happens when it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def _read(self) -> None:
        got = os.read(self._report, 100)
        self._said += got
        if not got or self._said.count(b"\n") == 2:
            os.close(self._report)
            if not got:
                raise RuntimeError("the fork server has ended")
            self.returncode = int(self._said.split()[1])


Process = subprocess.Popen[bytes] | Forked


class ForkServer:
    """One for each interpreter and module; it ends with the process that started it."""

    def __init__(self, python: str, module: str) -> None:
        ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        home = tempfile.mkdtemp(prefix="forkserver-")
        environ = {"PATH": os.environ["PATH"], "HOME": home, "CREWAI_STORAGE_DIR": f"{home}/crewai"}
        self._ours = ours
        with theirs:
            command = [python, str(Path(__file__)), str(theirs.fileno()), module]
            # A session of its own: what a terminal sends to the tests' group, they pass on themselves.
            self._process = subprocess.Popen(
                command, env=environ, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
            )

    def start(self, environ: Mapping[str, str], cwd: Path, log: int, *, own_session: bool = False) -> Forked:
        """A process that runs the module.

        `log`: the descriptor of its stdout and stderr. `own_session`: it leads a session and a group.
        """
        request = json.dumps({"environ": dict(environ), "cwd": str(cwd), "own_session": own_session}).encode()
        assert len(request) < _MAX_REQUEST, "more environment than a request holds"
        report, theirs = os.pipe()
        socket.send_fds(self._ours, [request], [log, theirs])
        os.close(theirs)
        return Forked(report)


@dataclass(frozen=True)
class Forkable:
    """What may be run that way: the module by that interpreter."""

    python: str
    module: str

    def start(self, environ: Mapping[str, str], cwd: Path, log: int, *, own_session: bool = False) -> Forked:
        """See `ForkServer.start`; the server is started when first asked for."""
        return _server(self.python, self.module).start(environ, cwd, log, own_session=own_session)


@cache
def _server(python: str, module: str) -> ForkServer:
    """This test process'."""
    return ForkServer(python, module)


# -- the server


class _Ended(BaseException):
    """The tests are gone."""


def _serve(control: socket.socket) -> None:
    """Returns in each forked process, when it is to run; raises _Ended in the server."""
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    reports: dict[int, int] = {}
    while True:
        ready, *_ = select.select([control, woken], [], [])
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 1000)
        _bury(reports)
        if control not in ready:
            continue
        request, descriptors, *_ = socket.recv_fds(control, _MAX_REQUEST, 2)
        if not request:
            raise _Ended
        log, report = descriptors
        pid = os.fork()
        if pid:
            os.close(log)
            os.write(report, b"%d\n" % pid)
            reports[pid] = report
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for one in (woken, wake, report, *reports.values()):
            os.close(one)
        control.close()
        _become(json.loads(request), log)
        return


def _bury(reports: dict[int, int]) -> None:
    for pid in list(reports):
        if (found := os.waitpid(pid, os.WNOHANG))[0]:
            report = reports.pop(pid)
            with contextlib.suppress(BrokenPipeError):
                os.write(report, b"%d\n" % os.waitstatus_to_exitcode(found[1]))
            os.close(report)


def _become(request: Mapping[str, object], log: int) -> None:
    """What an interpreter that starts with these would have."""
    environ = request["environ"]
    assert isinstance(environ, dict)
    os.chdir(str(request["cwd"]))
    if request["own_session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(environ)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=bool(environ.get("PYTHONUNBUFFERED")))
    sys.dont_write_bytecode = bool(environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:] = [str(Path.cwd()), *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep)), *sys.path]
    sys.path_importer_cache.clear()
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(list(os.urandom(32)))


def _import_libraries(module: str) -> None:
    from crew_runtime import telemetry

    telemetry.turn_off_unattended(os.environ)
    gc.disable()  # an import makes objects that stay
    for name in _LIBRARIES[module]:
        importlib.import_module(name)
    gc.enable()
    gc.collect()
    gc.freeze()  # what a fork collects it need not walk through, nor copy


def main() -> None:
    """`forkserver.py DESCRIPTOR MODULE`."""
    _, descriptor, module = sys.argv
    del sys.path[0]  # the folder of this file
    _import_libraries(module)
    try:
        _serve(socket.socket(fileno=int(descriptor)))
    except _Ended:
        shutil.rmtree(os.environ["HOME"], ignore_errors=True)
        os._exit(0)
    del sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
