"""Clean or die: whether a kickoff left its slot as it found it. Anything in doubt costs a fork of 5 ms, no more."""

import os
import threading
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path

from crew_runtime.worker import processes

MAX_KICKOFFS = 100
MAX_GROWTH = 64 * 1024 * 1024
"""Bytes: CrewAI alone takes 0.1 to 0.2 MB a kickoff."""
FIRST_GROWTH = 0.5
"""Of the slot's memory budget: what the first kickoff may load for all that follow, such as an embedder's model."""
MAX_NEW_SOCKETS = 32
"""Clients keep connections for the next kickoff, which is what re-use is for; more than that is a leak."""
OWN_THREADS = "crewops-"
"""Threads of the runtime begin with this name."""


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    cwd: str
    environ: Mapping[str, str]
    files: Set[str]
    """Open descriptors other than sockets, as `number target`."""
    sockets: int
    memory: int
    """Bytes."""
    children: int
    threads: Set[threading.Thread]


def footprint() -> Footprint:
    """What this process holds now."""
    opened = processes.descriptors()
    files = frozenset(f"{number} {target}" for number, target in opened.items() if not target.startswith("socket:"))
    return Footprint(
        cwd=_cwd(),
        environ=dict(os.environ),
        files=files,
        sockets=len(opened) - len(files),
        memory=processes.anonymous(),
        children=len(processes.children(os.getpid())),
        threads=frozenset(threading.enumerate()),
    )


def settled(before: Footprint, after: Footprint, budget: int) -> Footprint:
    """What later kickoffs are held to, once the first has loaded what it loads lazily. `budget`: bytes, of the slot."""
    return replace(before, memory=max(before.memory, min(after.memory, before.memory + int(budget * FIRST_GROWTH))))


def unclean(before: Footprint, after: Footprint, known: Set[threading.Thread], kickoffs: int) -> str:
    """Why a slot must not be used again, or ``."""
    strangers = [one.name for one in after.threads - before.threads - known if not one.name.startswith(OWN_THREADS)]
    new_files = sorted(after.files - before.files)
    changed = sorted(name for name, value in _changes(before.environ, after.environ) if value)
    verdicts = (
        (after.children > 0, f"{after.children} child processes were left behind"),
        (bool(strangers), f"threads were left behind: {', '.join(strangers[:5])}"),
        (after.cwd != before.cwd, f"the working directory was changed to {after.cwd}"),
        (bool(changed), f"environment variables were changed: {', '.join(changed[:5])}"),
        (bool(new_files), f"files were left open: {', '.join(new_files[:5])}"),
        (after.sockets > before.sockets + MAX_NEW_SOCKETS, f"{after.sockets - before.sockets} sockets were left open"),
        (after.memory > before.memory + MAX_GROWTH, f"memory grew by {(after.memory - before.memory) >> 20} MiB"),
        (kickoffs >= MAX_KICKOFFS, f"it has had {kickoffs} kickoffs"),
    )
    return next((why for wrong, why in verdicts if wrong), "")


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, bool]]:
    return [(name, before.get(name) != after.get(name)) for name in before.keys() | after.keys()]


def _cwd() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "(deleted)"
