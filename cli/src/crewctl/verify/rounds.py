"""Runs the processes of a verification and collects their answers.

First the two that write, then the two that read: one of each pair with the runtime, one as CrewAI is without it. Each
has a disk of its own.
"""

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from crew_runtime.contract import env, rehearsal
from crew_runtime.contract.rehearsal import Answer
from crewctl import interpreter
from crewctl.interpreter import Interpreter
from crewctl.verify import scratch
from crewctl.verify.facts import Outcome, Pair
from crewctl.verify.project import Project

SETTLE_SECONDS = 5.0
TAIL = 2000
"""Characters of what a process that ended without an answer had printed."""
_WANTS_A_KEY = re.compile(r"api[ _-]?key|credential|_KEY\b|access[ _-]token", re.IGNORECASE)


@dataclass(frozen=True)
class Wish:
    """What the command line asked for."""

    project: Project
    python: Interpreter
    embedder: str = rehearsal.AUTO
    seconds: float = 300.0
    """For each process; importing CrewAI takes some of them."""
    strict: bool = False
    """Whether a kickoff that was not seen to work is a failure."""


Tell = Callable[[str], None]


def run(wish: Wish, tell: Tell) -> Outcome:
    """Both rounds. Raises ProgramError when there is no Redis."""
    with tempfile.TemporaryDirectory(prefix="crewctl-verify-") as name:
        work = Path(name)
        lent = interpreter.lend(wish.python.lent, work / "lent")
        with scratch.redis(work / "redis") as redis:
            stage = _Stage(wish, work, redis, lent)
            tell("process A remembers a nonce, with the runtime and without it")
            shared, alone = stage.round(rehearsal.WRITE)
            if shared.reason and _wants_a_key(shared):
                tell("the crew cannot be built without an API key: again, with placeholders")
                stage.placeholders = True
                shared, alone = stage.round(rehearsal.WRITE)
            if shared.reason:
                return Outcome(Pair(shared), Pair(alone), stage.placeholders)
            tell("process B, on another disk, looks for it")
            shared_read, alone_read = stage.round(rehearsal.READ)
    return Outcome(Pair(shared, shared_read), Pair(alone, alone_read), stage.placeholders)


class _Stage:
    def __init__(self, wish: Wish, work: Path, redis: scratch.Redis, lent: Path | None) -> None:
        self._wish = wish
        self._work = work
        self._redis = redis
        self._lent = lent
        self._nonce = secrets.token_hex(8)
        self._count = 0
        self._running: set[int] = set()
        self.placeholders = False

    def round(self, step: str) -> tuple[Answer, Answer]:
        """(with the runtime, without it)."""
        self._count += 1
        with ThreadPoolExecutor(2) as both:
            asked = [both.submit(self._one, step, with_runtime) for with_runtime in (True, False)]
            try:
                shared, alone = (one.result() for one in asked)
            except BaseException:  # Ctrl-C above all: the processes are in sessions of their own and do not see it
                for pid in tuple(self._running):
                    _kill(pid)
                raise
        return shared, alone

    def _one(self, step: str, with_runtime: bool) -> Answer:
        own = self._work / f"{self._count}-{step}-{'with' if with_runtime else 'without'}"
        for name in ("state", "tmp"):
            (own / name).mkdir(parents=True)
        workdir = scratch.disk(self._wish.project.folder, own)
        said, log = own / "answer.json", own / "log"
        argv = [str(self._wish.python.path), "-m", rehearsal.MODULE, step, self._nonce, str(said)]
        argv += ["--embedder", self._wish.embedder]
        argv += [] if with_runtime else ["--without-runtime"]
        argv += ["--placeholder-keys"] if self.placeholders else []
        with log.open("wb") as file:
            process = subprocess.Popen(
                argv, cwd=workdir, env=self._environment(own, workdir), stdin=subprocess.DEVNULL, stdout=file,
                stderr=file, start_new_session=True,
            )  # fmt: skip
        self._running.add(process.pid)
        how = _ended(process, self._wish.seconds)
        self._running.discard(process.pid)
        try:
            return rehearsal.from_dict(json.loads(said.read_text()))
        except (OSError, ValueError):
            printed = log.read_text(errors="replace").strip()[-TAIL:]
            return Answer("NoAnswer", f"the process {how}", printed)

    def _environment(self, own: Path, workdir: Path) -> dict[str, str]:
        project = self._wish.project
        kept = {key: value for key, value in os.environ.items() if not key.startswith(env.PREFIX)}
        ours = {
            env.REDIS_URL: self._redis.url,
            env.REDIS_PASSWORD: self._redis.password,
            env.KEY_PREFIX: "crewctl/verify",
            env.ENTRYPOINT: project.entrypoint,
            env.DEFINITION: str(workdir / project.definition) if project.definition else "",
            # An absolute path wins over the user's data folder in which CrewAI would put it.
            "CREWAI_STORAGE_DIR": str(own / "state"),
            "TMPDIR": str(own / "tmp"),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
        }
        return interpreter.environment({**kept, **ours}, self._lent)


def _ended(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Wait for its end, and end what it left. The answer is how it ended."""
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        return f"did not end within {seconds:g} s and was killed"
    finally:
        _kill(process.pid)
        process.wait(SETTLE_SECONDS)
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _wants_a_key(answer: Answer) -> bool:
    return bool(_WANTS_A_KEY.search(f"{answer.message}\n{answer.detail}"))
