"""What a verification uses and throws away: a Redis, and a disk for each process."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from crew_programs import redis_binary
from crew_programs.errors import ProgramError
from crewctl.errors import UsageError

START_SECONDS = 20.0
POLL = 0.02
LARGE = 8 * 1024 * 1024
"""Bytes; larger files are models and data, which a crew reads: linked and not copied."""
MOST_FILES = 20_000
LEFT_OUT = frozenset({"__pycache__", "node_modules", ".git", ".tox", ".mypy_cache", ".ruff_cache", ".pytest_cache"})


@dataclass(frozen=True)
class Redis:
    """A server that runs."""

    url: str
    password: str = field(repr=False)


@contextmanager
def redis(folder: Path) -> Iterator[Redis]:
    """A server on a free port of this machine, without a disk; killed at the end. Raises ProgramError.

    Without the search module: what is shared does not depend on how it is searched, and the module would be fetched.
    """
    binary = redis_binary.find_redis(with_search=False)
    folder.mkdir()
    port, password = _free_port(), secrets.token_hex(16)
    config = folder / "redis.conf"
    config.touch(mode=0o600)  # not on the command line, which every user of the machine can read
    config.write_text(
        f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\ndir {folder}\n'
        "maxmemory 256mb\nmaxmemory-policy noeviction\n"
    )
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen([binary.path, config], stdout=log, stderr=log, start_new_session=True)
    try:
        _await(process, port, folder / "redis.log")
        yield Redis(f"redis://127.0.0.1:{port}/0", password)
    finally:
        process.kill()
        process.wait()


def disk(project: Path, folder: Path) -> Path:
    """A copy of the project's folder under its own name, as the process' working directory. Raises UsageError.

    Two pods share no disk: with a copy each, a file that the crew writes beside its code stays as local as it is.
    """
    made = folder / "disk" / (project.name or "project")
    copied = 0

    def copy(source: str, target: str) -> str:
        nonlocal copied
        copied += 1
        if copied > MOST_FILES:
            raise UsageError(f"{project} holds over {MOST_FILES} files: name the folder of the crew's project alone")
        if Path(source).stat().st_size > LARGE:
            Path(target).symlink_to(Path(source).resolve())
            return target
        return shutil.copy2(source, target)

    try:
        # Links are followed: one to a neighbour of the project would lead nowhere from here.
        shutil.copytree(project, made, ignore=_left_out, copy_function=copy)
    except OSError as error:
        raise UsageError(f"{project} cannot be copied: {error}") from error
    return made


def _left_out(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in LEFT_OUT or _is_of_no_use(Path(folder, name))}


def _is_of_no_use(path: Path) -> bool:
    """An environment, a link to nowhere, or a socket."""
    return (path / "pyvenv.cfg").exists() or not (path.is_file() or path.is_dir())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < ends:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                if process.poll() is None:
                    return
        except OSError:
            time.sleep(POLL)
    said = log.read_text(errors="replace").strip()[-500:]
    raise ProgramError(f"the throw-away Redis did not start{os.linesep + said if said else ''}")
