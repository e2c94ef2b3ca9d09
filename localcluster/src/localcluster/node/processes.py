"""A container's process: started in a session of its own, its output in a file, its end known at once."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CLUSTER = "CREWCTL_CLUSTER"
"""Variable in every process of a cluster: its id. By it they are found when the supervisor was killed."""
CONTAINER = "CREWCTL_CONTAINER"
"""Variable in every process of a container: its id. What it left behind is found by it."""


class StartError(Exception):
    """The command cannot be started; kubelet's `RunContainerError`."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    log: Path
    container: str
    """Id, unlike any other's."""


class Process:
    """One running command and all that it started."""

    def __init__(self, command: Command) -> None:
        """Start it. Raises StartError."""
        self._container = command.container
        command.log.parent.mkdir(parents=True, exist_ok=True)
        program = _program(command)
        env = {**command.env, CONTAINER: command.container}
        with command.log.open("ab") as log:
            try:
                self._popen = subprocess.Popen(
                    [program, *command.argv[1:]],
                    env=env,
                    cwd=command.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise StartError(f"exec: {command.argv[0]!r}: {error.strerror or error}") from error
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watch = os.pidfd_open(self._popen.pid)
        asyncio.get_running_loop().add_reader(self._watch, self._reap)

    @property
    def pid(self) -> int:
        """The main process; also its group and its session."""
        return self._popen.pid

    @property
    def code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        """Until the main process ends; the rest of the container is killed with it, as with a container's process 1."""
        return await asyncio.shield(self._ended)

    def signal(self, number: int) -> None:
        """Send a signal to the main process."""
        if self.code is None:
            self._popen.send_signal(number)

    def kill(self) -> None:
        """End everything in the container at once."""
        kill_group(self.pid)

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._watch)
        os.close(self._watch)
        code = self._popen.wait()
        kill_group(self.pid)
        for pid in marked(CONTAINER, self._container):
            kill(pid)
        if not self._ended.done():
            self._ended.set_result(code)


def _program(command: Command) -> str:
    if not command.argv:
        raise StartError("no command specified: the image has none, so the container needs one")
    name = command.argv[0]
    if "/" in name:
        return name
    for folder in command.env.get("PATH", "").split(os.pathsep):
        found = Path(folder, name)
        if found.is_file() and os.access(found, os.X_OK):
            return str(found)
    raise StartError(f'exec: "{name}": executable file not found in $PATH ({command.env.get("PATH", "")})')


def kill(pid: int) -> None:
    """SIGKILL, if it is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def kill_group(pid: int) -> None:
    """SIGKILL to a process group, if it is still there."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc tells of a process."""

    session: str
    started: str
    """Clock ticks after boot; with the pid it names a process for ever."""


def stat(pid: int | str) -> Stat | None:
    """A process that lives, or None."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else Stat(words[3], words[19])


def marked(name: str, value: str) -> list[int]:
    """Processes that have a variable with this value in their environment."""
    wanted = f"{name}={value}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                variables = (entry / "environ").read_bytes()
            except OSError:
                continue  # ended, or another user's
            if wanted in variables.split(b"\0"):
                found.append(int(entry.name))
    return found
