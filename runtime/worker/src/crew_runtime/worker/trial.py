"""The trial: a child loads the user's module and finds out how the zygote may fork.

A process with threads must not fork: in the child, locks stay locked and pools have no workers, and the first kickoff
hangs for ever. A user's module may start threads while it is imported; so a child imports it first.
"""

import json
import os
import socket
import sys
import sysconfig
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crew_runtime import installation
from crew_runtime.crewai import bus, canned, load
from crew_runtime.errors import BackendError
from crew_runtime.worker import processes
from crew_runtime.worker.logs import Log
from crew_runtime.worker.settings import WorkerSettings

log = Log(__name__)

DEADLINE = 300.0
"""Seconds for the user's module to load; a model may be read from disk meanwhile."""


@dataclass(frozen=True)
class Trial:
    """What a trial child found."""

    error: str = ""
    """Why the worker cannot start with this crew, or ``."""
    reason: str = "EntrypointBroken"
    """Of the error."""
    detail: str = ""
    unsafe: str = ""
    """Why a process that loaded this must not fork, or ``."""
    learned: tuple[str, ...] = ()
    """Modules that came with the user's and with a first kickoff, without the user's own, in the order of import."""
    loaded: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the report."""


def of_entrypoint(settings: WorkerSettings) -> Trial:
    """Load the user's crew, then run the canned kickoff."""
    before = set(sys.modules)
    try:
        loaded = load.load(settings.entrypoint, settings.definition)
    except load.EntrypointError as error:
        reason = "DefinitionBroken" if settings.definition else "EntrypointBroken"
        return Trial(error=error.message, reason=reason, detail=error.detail)
    unsafe = must_not_fork()
    try:
        facts = describe(loaded)
        if mismatch := embedder_mismatch(loaded):
            if settings.fail_closed:
                return Trial(error=mismatch, reason="EmbedderMismatch")
            log.error("wrong embedder", detail=mismatch)
            facts["state"] = [_with_detail(one, mismatch) for one in facts["state"]]
    except BackendError as error:
        return Trial(error=f"the backend failed while the crew was tried: {error}", reason="BackendUnavailable")
    canned.kickoff(memory=loaded.uses_memory)
    learned = tuple(_third_party([name for name in sys.modules if name not in before], loaded.source))
    return Trial(unsafe=unsafe, learned=learned, loaded=facts)


def of_modules(names: Sequence[str]) -> Trial:
    """Import the learned modules without the user's; `learned` is then what is safe to import, or worth a try."""
    for name in names:
        import_all([name])
        if unsafe := must_not_fork():
            package = name.partition(".")[0]
            return Trial(unsafe=unsafe, learned=tuple(one for one in names if one.partition(".")[0] != package))
    return Trial(learned=tuple(names))


def describe(loaded: load.Loaded) -> dict[str, Any]:
    """What the report says of a crew and of where its state lies, now that it is loaded. Raises BackendError."""
    made = installation.installed()
    shared = {} if made is None else {**made.facts(), "state": [asdict(one) for one in made.state(loaded.crew)]}
    return {
        **shared,
        "entrypoint": loaded.source,
        "kind": loaded.kind,
        "crew_inputs": list(loaded.inputs),
        "tasks": None if loaded.crew is None else len(loaded.crew.tasks),
        "uses_memory": loaded.uses_memory,
        "embedder": loaded.embedder,
    }


def embedder_mismatch(loaded: load.Loaded) -> str:
    """What to say when the memories that are stored were made with another embedder, else ``. Raises BackendError."""
    made = installation.installed()
    return made.registered.storage.embedder_mismatch(loaded.embedder) if made and loaded.embedder else ""


def must_not_fork() -> str:
    """Why this process must not fork, or ``. Threads of C libraries (OpenBLAS, which handles a fork) are not seen."""
    others = sorted(one.name for one in threading.enumerate() if one is not threading.main_thread())
    if others:
        return f"threads run after the import: {', '.join(others)}"
    if bus.started():
        return "CrewAI's event bus was started by the import"
    if left := processes.children(os.getpid()):
        return f"the import started {len(left)} child processes"
    return ""


def import_all(names: Iterable[str]) -> None:
    """Import what can be imported; some modules only exist as a side effect of others."""
    for name in names:
        try:
            __import__(name)
        except Exception:  # noqa: BLE001, S112 - without it a slot imports it by itself, later
            continue


def tell(pipe: socket.socket, trial: Trial) -> int:
    """Hand the findings to the zygote. The answer is the exit code."""
    pipe.setblocking(True)
    pipe.sendall(json.dumps(asdict(trial), default=str).encode())
    return 0


def read(said: bytes) -> Trial | None:
    """The findings, or None when the child did not live to tell."""
    try:
        told = json.loads(said)
    except ValueError:
        return None
    return Trial(**{**told, "learned": tuple(told["learned"])})


def _with_detail(state: dict[str, Any], detail: str) -> dict[str, Any]:
    return {**state, "detail": detail} if state["kind"] == "memory" else state


def _third_party(names: Iterable[str], source: str) -> list[str]:
    """Modules out of the installed packages, without the package of the entrypoint itself."""
    paths = sysconfig.get_paths()
    installed = tuple(str(Path(paths[key])) + os.sep for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    own = source.partition(":")[0].partition(".")[0]
    kept = []
    for name in names:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and file.startswith(installed) and name.partition(".")[0] not in (own, "crew_runtime"):
            kept.append(name)
    return kept
