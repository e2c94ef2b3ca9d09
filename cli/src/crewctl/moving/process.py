"""Runs the process that moves memories, and hands on what it tells."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from crew_runtime.contract import env, moving
from crew_runtime.contract.moving import Order, Report
from crewctl import interpreter
from crewctl.errors import CrewctlError
from crewctl.interpreter import Interpreter

TAIL: Final = 2000
"""Characters of what a process that ended without an answer had printed."""
LONGEST: Final = 1024 * 1024
"""Characters of one line."""


class MoveError(CrewctlError):
    """Memories were not moved; the message says why, and what to change."""


@contextlib.contextmanager
def started(python: Interpreter, order: Order, folder: Path) -> Iterator[Iterator[dict[str, Any]]]:
    """What it tells, line by line; it ends with the context. `folder`: where it works.

    Raises UsageError when something to lend is missing.
    """
    with tempfile.TemporaryDirectory(prefix="crewctl-memory-") as name:
        lent = interpreter.lend(python.lent, Path(name, "lent"))
        kept = {key: value for key, value in os.environ.items() if not key.startswith(env.PREFIX)}
        # What it leaves there when it is killed goes with our own folder.
        environ = interpreter.environment({**kept, "TMPDIR": name, "PYTHONWARNINGS": "ignore"}, lent)
        with tempfile.TemporaryFile() as log:
            # In a session of its own: after Ctrl-C it is we who end it.
            process = subprocess.Popen(
                [python.path, "-m", moving.MODULE], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                cwd=folder, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
            try:
                yield _told(process, order, log)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def report(event: dict[str, Any]) -> Report | None:
    """Of the last event; None: it is another one. Raises MoveError when nothing was moved."""
    if event["event"] == moving.FAILED:
        raise MoveError(str(event["message"]))
    return moving.report_from_dict(event["report"]) if event["event"] == moving.DONE else None


def _told(process: "subprocess.Popen[str]", order: Order, log: Any) -> Iterator[dict[str, Any]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("its standard input and output are ours")
    with contextlib.suppress(BrokenPipeError):  # it has ended, and the log says why
        process.stdin.write(json.dumps(moving.order_to_dict(order)))
        process.stdin.close()
    while line := process.stdout.readline(LONGEST):
        told = json.loads(line)
        yield told
        if told["event"] in (moving.DONE, moving.FAILED):
            return
    code = process.wait()
    log.seek(0)
    printed = log.read().decode(errors="replace").strip()[-TAIL:]
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    raise MoveError(f"the process that moves memories {how}; run the same again to go on. It had printed:\n{printed}")
