"""The trial: a child loads the user's module and finds out how the zygote may fork, and whether the crew can run.

What an import leaves behind, a fork breaks or shares (`forking`); so a child that is thrown away imports first.
"""

import json
import os
import socket
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crew_runtime import installation
from crew_runtime.contract import report as reports
from crew_runtime.contract.replica_reasons import ReplicaReason
from crew_runtime.crewai.embedders import warmup
from crew_runtime.crewai.kickoffs import bus, canned
from crew_runtime.crewai.loading import load
from crew_runtime.crewai.rehearsing import stage
from crew_runtime.crewai.rehearsing.judging import Finding
from crew_runtime.errors import BackendError
from crew_runtime.worker import forking, pages, randomness, warm_up
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
    reason: str = ReplicaReason.ENTRYPOINT_BROKEN
    """Of the error."""
    detail: str = ""
    unsafe: str = ""
    """Why a process that loaded this must not fork, or ``."""
    learned: tuple[str, ...] = ()
    """Modules that came with the user's and with a first kickoff, without the user's own, in the order of import."""
    seeds: Mapping[str, str] = field(default_factory=dict)
    """`randomness.digests` after the import."""
    embedders: tuple[str, ...] = ()
    """For `embedder_warmup.warm`."""
    loaded: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the report."""


def of_entrypoint(settings: WorkerSettings, report: Callable[["Trial"], object]) -> Trial:
    """Load the user's crew, rehearse a kickoff of it, and find out all that this process can tell of it.

    `report`: takes the findings when the rehearsal does not end; the process ends then.
    """
    before, held, generators = set(sys.modules), forking.held(), randomness.generators()
    try:
        loaded = load.load(settings.entrypoint, settings.definition)
        unsafe = must_not_fork(held) or randomness.made_since(generators)
        seeds = randomness.digests()
        made = loaded.make()
    except load.EntrypointError as error:
        reason = ReplicaReason.DEFINITION_BROKEN if settings.definition else ReplicaReason.ENTRYPOINT_BROKEN
        return Trial(error=error.message, reason=reason, detail=error.detail)
    try:
        facts = describe(loaded, made, settings.inputs, remembers=settings.history_turns > 0)
        if mismatch := embedder_mismatch(facts["embedder"]):
            if settings.fail_closed:
                return Trial(error=mismatch, reason=ReplicaReason.EMBEDDER_MISMATCH)
            log.error("wrong embedder", detail=mismatch)
            facts["state"] = [_with_detail(one, mismatch) for one in facts["state"]]
    except BackendError as error:
        return Trial(
            error=f"the backend failed while the crew was tried: {error}", reason=ReplicaReason.BACKEND_UNAVAILABLE
        )
    if settings.warm_up:
        try:
            warm_up.call(settings.warm_up)
        except warm_up.WarmUpError as error:
            return Trial(error=error.message, reason=ReplicaReason.WARM_UP_BROKEN, detail=error.detail)
    embedders = warmup.local(made.target, kept=loaded.kept(reuses=settings.reuses))

    def found(finding: Finding) -> Trial:
        learned = tuple(_third_party([name for name in tuple(sys.modules) if name not in before], loaded.source))
        told = {**facts, **_of_rehearsal(finding)}
        return Trial(unsafe=unsafe, learned=learned, seeds=seeds, embedders=embedders, loaded=told)

    def overdue(finding: Finding) -> None:
        log.warning("rehearsal left open", detail=finding.note)
        report(found(finding))
        os._exit(0)

    # Last: nothing else can be asked of the crew afterwards.
    try:
        finding = _rehearsed(loaded, made, settings, overdue)
    except BackendError as error:
        return Trial(
            error=f"the backend failed while the crew was rehearsed: {error}", reason=ReplicaReason.BACKEND_UNAVAILABLE
        )
    if finding.error:
        return Trial(error=finding.error, reason=ReplicaReason.KICKOFF_BROKEN, detail=finding.detail)
    if finding.note:
        log.warning("rehearsal left open", detail=finding.note)
    log.info(
        "rehearsed",
        seconds=round(finding.seconds, 3),
        answers=finding.answers,
        network=list(finding.network),
        left_out=list(finding.left_out),
    )
    return found(finding)


def _rehearsed(
    loaded: load.Loaded, made: load.Made, settings: WorkerSettings, overdue: Callable[[Finding], object]
) -> Finding:
    """What a rehearsal found. Raises BackendError."""
    try:
        return stage.rehearse(loaded, made, fail_closed=settings.fail_closed, overdue=overdue)
    except BackendError:
        raise
    except Exception as error:  # noqa: BLE001 - a rehearsal that does not fit this CrewAI says nothing of the crew
        return Finding(note=f"it cannot be rehearsed with this CrewAI: {error!r}")


def _of_rehearsal(finding: Finding) -> dict[str, Any]:
    """The report's fields."""
    is_open = finding.note or finding.left_out
    return {
        "rehearsal": reports.OPEN if is_open else reports.PASSED,
        "rehearsal_note": finding.note,
        "rehearsal_left_out": list(finding.left_out),
    }


def of_modules(names: Sequence[str]) -> Trial:
    """Import the learned modules without the user's; `learned` is then what is safe to import, or worth a try."""
    held, generators = forking.held(), randomness.generators()
    for name in names:
        import_all([name])
        if unsafe := must_not_fork(held):
            package = name.partition(".")[0]
            return Trial(unsafe=unsafe, learned=tuple(one for one in names if one.partition(".")[0] != package))
    # Looking for them takes too long to be done after each.
    return Trial(learned=() if randomness.made_since(generators) else tuple(names))


def of_pages() -> pages.Ranges:
    """The pages that a kickoff writes to; before the user's code is imported, which would notice it."""
    canned.kickoff(memory=True)
    return pages.own()


def describe(
    loaded: load.Loaded, made: load.Made, declared: Sequence[str] | None = None, *, remembers: bool = False
) -> dict[str, Any]:
    """What the report says of a crew and of where its state lies, now that it was made. Raises BackendError."""
    installed = installation.installed()
    state = [] if installed is None else [asdict(one) for one in installed.state(made.target)]
    facts = load.describe(made, declared, remembers=remembers)
    return {
        **({} if installed is None else {**installed.facts(), "state": state}),
        "entrypoint": loaded.source,
        "kind": facts.kind,
        "crew_inputs": list(facts.inputs),
        "inputs_always": facts.inputs_always,
        "tasks": facts.tasks,
        "uses_memory": facts.uses_memory,
        "embedder": facts.embedder,
    }


def embedder_mismatch(embedder: str) -> str:
    """What to say when the memories that are stored were made with another embedder, else ``. Raises BackendError."""
    made = installation.installed()
    return made.registered.storage.embedder_mismatch(embedder) if made and embedder else ""


def must_not_fork(before: forking.Held) -> str:
    """Why this process must not fork after what it did since `before`, or ``."""
    if bus.started():
        return "CrewAI's event bus was started by the import"
    return forking.unsafe(before, forking.settled(before))


def import_all(names: Iterable[str]) -> None:
    """Import what can be imported; some modules only exist as a side effect of others."""
    for name in names:
        try:
            __import__(name)
        except Exception:  # noqa: BLE001, S112 - without it a slot imports it by itself, later
            continue


def tell(pipe: socket.socket, found: Any) -> int:
    """Hand findings, in JSON's types, to the zygote. The answer is the exit code."""
    pipe.setblocking(True)
    pipe.sendall(json.dumps(found, default=str).encode())
    return 0


def read(said: bytes) -> Trial | None:
    """The findings, or None when the child did not live to tell."""
    try:
        told = json.loads(said)
    except ValueError:
        return None
    return Trial(**{**told, "learned": tuple(told["learned"]), "embedders": tuple(told["embedders"])})


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
