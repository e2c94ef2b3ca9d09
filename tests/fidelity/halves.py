"""The two halves of a case: bare, a fresh process for each kickoff; and ours, over HTTP to a real server and worker."""

import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crew_runtime.contract import env
from fidelity.model import Case, Kickoff, Step
from fidelity.services import Services
from support.interpreters import crew_python
from support.replicas import Replica

FOLDER = Path(__file__).parent
PENDING = "pending_human_input"
ENDED = ("completed", "error", "timeout", "cancelled")
START = 120.0
"""Seconds for a worker to be ready, on a machine that does other things."""
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "TZ")

Seen = list[list[list[dict[str, Any]]]]
"""Of each step, of each round, of each kickoff: what was seen. A round's last entry is its notes."""


def environment(case: Case, step: Step, home: Path, services: Services, notes: Path) -> dict[str, str]:
    """The same on both sides: nothing of the caller's but what any process needs."""
    return {
        **{key: os.environ[key] for key in KEPT if key in os.environ},
        "HOME": str(home),
        "PYTHONPATH": str(FOLDER / "crews"),
        "PYTHONUNBUFFERED": "1",
        # CrewAI's own phone-home; the crews' telemetry is theirs.
        "CREWAI_DISABLE_TELEMETRY": "true",
        **services.environ(notes),
        **case.environ,
        **step.environ,
    }


class Notes:
    """A file that the crews append lines to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def new(self) -> dict[str, Any]:
        """What was noted since the last time, sorted: kickoffs at once write in any order."""
        text = self.path.read_text() if self.path.exists() else ""
        lines, self._read = text[self._read :].splitlines(), len(text)
        return {"notes": sorted(lines)}


@contextlib.contextmanager
def folder(case: Case) -> Iterator[Path]:
    """Empty but for the case's files."""
    with tempfile.TemporaryDirectory(prefix="fidelity-", ignore_cleanup_errors=True) as made:
        place(case, Path(made))
        yield Path(made)


def place(case: Case, where: Path) -> None:
    """Write the case's files."""
    for name, text in case.files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


async def bare(case: Case, services: Services) -> Seen:
    """One round of each step, each kickoff in a process of its own."""
    seen: Seen = []
    with contextlib.ExitStack() as stack:
        homes: dict[str, Path] = {}

        def home_of(kickoff: Kickoff) -> Path:
            if kickoff.session is None:
                return stack.enter_context(folder(case))
            if kickoff.session not in homes:
                homes[kickoff.session] = stack.enter_context(folder(case))
            return homes[kickoff.session]

        notes = Notes(stack.enter_context(folder(case)) / "notes.jsonl")
        for step in case.steps:
            alike = step.alike and not case.distinct
            chosen = step.kickoffs[:1] if alike else step.kickoffs
            kickoffs = [_bare_kickoff(case, step, one, home_of(one), services, notes.path) for one in chosen]
            results = await asyncio.gather(*kickoffs)
            told = notes.new()["notes"]
            times = len(step.kickoffs) if alike else 1
            seen.append([[*results * times, {"notes": sorted(told * times)}]])
    return seen


async def _bare_kickoff(
    case: Case, step: Step, kickoff: Kickoff, home: Path, services: Services, notes: Path
) -> dict[str, Any]:
    asked = {"inputs": dict(kickoff.inputs), "session": kickoff.session, "turn": kickoff.turn}
    with tempfile.NamedTemporaryFile(suffix=".json") as result, (home / "bare.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            crew_python(), str(FOLDER / "bare.py"), case.entrypoint, json.dumps(asked), result.name,
            stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
            cwd=home, env=environment(case, step, home, services, notes), start_new_session=True,
        )  # fmt: skip
        try:
            await asyncio.wait_for(
                process.communicate("".join(f"{one}\n" for one in kickoff.answers).encode()), case.timeout
            )
        except TimeoutError:
            return {"status": "timeout"}
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        text = Path(result.name).read_text()
        if not text:
            return {"status": "died", "exit": process.returncode, "log": (home / "bare.log").read_text()[-2000:]}
        return dict(json.loads(text))


async def ours(case: Case, services: Services, redis_url: str) -> Seen:
    """All rounds of all steps, over HTTP."""
    seen: Seen = []
    with folder(case) as where:
        notes = Notes(where / "notes.jsonl")
        running: Replica | None = None
        try:
            for number, step in enumerate(case.steps):
                if running is None or step.environ != case.steps[number - 1].environ:
                    if running is not None:
                        await running.close()
                    running = await _start(case, step, services, redis_url, notes.path)
                    notes.new()  # of the start: a crew is made then to see whether it can be
                rounds = []
                for _ in range(step.rounds):
                    kickoffs = [_our_kickoff(running, case, one) for one in step.kickoffs]
                    results = await asyncio.gather(*kickoffs)
                    await asyncio.sleep(case.settles)
                    rounds.append([*results, notes.new()])
                seen.append(rounds)
        finally:
            if running is not None:
                await running.close()
    return seen


async def _start(case: Case, step: Step, services: Services, redis_url: str, notes: Path) -> Replica:
    replica = Replica(redis_url, worker=(crew_python(), "-m", "crew_runtime.worker"))
    ours = {key: value for key, value in replica.environ.items() if key.startswith(env.PREFIX)}
    replica.environ = {
        **environment(case, step, replica.folder, services, notes),
        **ours,
        env.NAME: case.name,
        env.ENTRYPOINT: case.entrypoint,
        env.CONCURRENCY: str(max(len(one.kickoffs) for one in case.steps)),
        env.KICKOFF_TIMEOUT: str(case.timeout),
        **case.settings,
        env.BACKEND_DEADLINE: "10",  # of a machine that is busy with other cases
    }
    place(case, replica.folder)
    try:
        replica.start_server()
        await replica.listening()
        replica.start_worker()
        await replica.ready(seconds=START)
    except BaseException:
        await replica.close()
        raise
    return replica


async def _our_kickoff(replica: Replica, case: Case, kickoff: Kickoff) -> dict[str, Any]:
    body = {"inputs": dict(kickoff.inputs)} | ({"session_id": kickoff.session} if kickoff.session else {})
    answer = await replica.api.post("/kickoff", json=body)
    if answer.status_code != 200:
        return {"status": "refused", "code": answer.status_code, "said": answer.text}
    kickoff_id, answers = answer.json()["kickoff_id"], list(kickoff.answers)
    end = time.monotonic() + case.timeout + 10
    asked: set[str] = set()
    while time.monotonic() < end:
        seen = await replica.status(kickoff_id)
        if seen["status"] in ENDED:
            return observe(seen)
        if seen["status"] == PENDING and seen["task_id"] not in asked:
            asked.add(seen["task_id"])
            if not answers:
                return {"status": "asks", "message": seen["message"]}
            await _resume(replica, seen, answers.pop(0))
        await asyncio.sleep(0.05)
    return {"status": "never ended", "seen": seen}


async def _resume(replica: Replica, seen: Mapping[str, Any], said: str) -> None:
    body = {
        "execution_id": seen["kickoff_id"],
        "task_id": seen["task_id"],
        "human_feedback": said,
        "is_approve": not said,
    }
    answer = await replica.api.post("/resume", json=body)
    assert answer.status_code == 200, answer.text


def observe(status: Mapping[str, Any]) -> dict[str, Any]:
    """Of the final status, what a bare kickoff shows as well. An error may come with the crew's result."""
    seen: dict[str, Any] = {"status": status["status"]}
    if status["status"] != "completed":
        seen["error"] = {"text": status.get("error"), "reason": status.get("reason")}
    result = status.get("result")
    if result is None:
        return seen
    return seen | {
        "output": result["output"],
        "json": result.get("json"),
        "tasks": [{key: one[key] for key in ("name", "output", "agent")} for one in result.get("tasks") or ()],
        "usage": result.get("usage"),
    }
