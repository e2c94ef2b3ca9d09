"""The start sequence, step by step: connect, import, try, decide how to fork, serve.

CrewAI is imported here and not at the top: only after telemetry is off, HOME is proven writable and the server knows
that we are on our way, so that a failure of any of them is told and not merely logged.
"""

import gc
import json
import os
import platform
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crew_runtime
from crew_runtime.contract import env
from crew_runtime.contract import report as reports
from crew_runtime.worker import child, children, definition, logs, settings, start
from crew_runtime.worker.errors import ServerGoneError, StartError
from crew_runtime.worker.zygote import EXIT_SERVER_GONE, Exit, Plan, Zygote

if TYPE_CHECKING:
    from crew_runtime.crewai.load import Loaded
    from crew_runtime.worker.trial import Trial

log = logs.Log(__name__)

CONNECT_DEADLINE = 60.0
EXIT_FAILED = 78
"""EX_CONFIG: starting again without a change will not help."""
TERMINATION_LOG = Path("/dev/termination-log")
"""Kubernetes shows its content with the container's last state."""
MAX_GUILTY = 4
"""Packages that may be found to start threads when imported, before the zygote imports none of the learned ones."""
MAX_TERMINATION = 4000
"""Bytes; Kubernetes keeps 4096."""


def main(arguments: Sequence[str]) -> int:
    """Run until told to end. The answer is the exit code."""
    logs.configure(os.environ)
    if list(arguments) == ["child"]:
        return _spawned_child()
    if arguments:
        log.error("crew_runtime.worker takes no arguments: it is configured by CREWOPS_* variables")
        return 64
    return _zygote()


def _zygote() -> int:
    zygote = Zygote(settings.socket_path(os.environ), memory_budget=0, grace_period=30.0)
    report = reports.WorkerReport(
        runtime_version=crew_runtime.__version__, python_version=platform.python_version(), interpreter=_interpreter()
    )
    try:
        zygote.start(CONNECT_DEADLINE)
        starter = _Starter(zygote, report)
        try:
            plan = starter.run()
        except StartError as error:
            return _failed(zygote, starter.report, error)
        except Exception as error:  # noqa: BLE001 - a bug of ours has to be told to the server too
            told = StartError("StartFailed", f"the worker failed to start: {error!r}", traceback.format_exc())
            return _failed(zygote, starter.report, told)
        zygote.phase("ready", report=reports.to_dict(starter.report))
        zygote.serve(plan)
    except ServerGoneError as error:
        log.error("cannot reach the server", detail=str(error))  # noqa: TRY400 - the text says it all
        return EXIT_SERVER_GONE
    except Exit as end:
        child.leave(end.code)
    return 0


class _Starter:
    """From a connected zygote to a plan of how its children come to be."""

    def __init__(self, zygote: Zygote, report: reports.WorkerReport) -> None:
        self._zygote = zygote
        self.report = report

    def run(self) -> Plan:
        """Raises StartError."""
        start.prepare()
        definition.keep(os.environ)
        told = settings.read(os.environ)
        self._zygote.configure(told.slot_memory, told.grace_period)
        self._zygote.phase("importing", report=reports.to_dict(self.report))
        installed = start.install()
        from crew_runtime import redis_client

        self._learn(
            entrypoint=told.entrypoint or told.definition,
            crewai_version=installed.crewai_version,
            redis_py_version=redis_client.LIBRARY_VERSION,
        )
        self._zygote.take_signals()
        self._zygote.phase("loading", report=reports.to_dict(self.report))
        found = self._trial("entrypoint", told)
        if found.error:
            raise StartError(found.reason, found.error, found.detail)
        self._learn(**_typed(found.loaded))
        plan = self._decide(found, told)
        self._zygote.take_signals()
        gc.collect()
        # What is frozen is not walked by the collector, so slots do not copy these pages by counting references.
        gc.freeze()
        return plan

    def _decide(self, found: "Trial", told: settings.WorkerSettings) -> Plan:
        from crew_runtime.worker import trial

        if may_not := _own_threads():
            return self._spawning(f"threads run after importing CrewAI: {may_not}")
        if not found.unsafe:
            from crew_runtime.crewai import load

            loaded = load.load(told.entrypoint, told.definition)
            trial.import_all(found.learned)
            if why := trial.must_not_fork():
                return self._spawning(f"in the trial no thread was left, but here: {why}")
            self._learn(fork_mode="A", fork_reason="nothing that the crew imports starts a thread")
            return Plan(_forking(told, loaded))
        trial.import_all(self._safe_modules(found.learned, told))
        if why := trial.must_not_fork():
            return self._spawning(why)
        self._learn(fork_mode="B", fork_reason=found.unsafe)
        return Plan(_forking(told, None))

    def _safe_modules(self, learned: Sequence[str], told: settings.WorkerSettings) -> Sequence[str]:
        """Those of the learned modules that start no thread either; what is left out, each slot imports by itself."""
        for _ in range(MAX_GUILTY):
            again = self._trial("modules", told, learned)
            if not again.unsafe:
                return again.learned
            learned = again.learned
        return ()

    def _spawning(self, why: str) -> Plan:
        self._learn(fork_mode="C", fork_reason=why)
        return Plan(lambda made, role, token, _: made.spawn(role, token))

    def _trial(self, what: str, told: settings.WorkerSettings, names: Sequence[str] = ()) -> "Trial":
        from crew_runtime.worker import trial

        def body(task: child.Task) -> int:
            return trial.tell(task.pipe, trial.of_modules(names) if what == "modules" else trial.of_entrypoint(told))

        made = self._zygote.children
        if _own_threads():
            one = made.spawn("trial", what)
        else:
            one = made.fork("trial", what, body, self._zygote.own_descriptors())
        said = self._zygote.await_child(one, trial.DEADLINE)
        if said is None:
            raise StartError("EntrypointBroken", f"the crew was not loaded after {trial.DEADLINE:g} s")
        found = trial.read(said)
        if found is None:
            raise StartError("EntrypointBroken", f"the process that loaded the crew ended by {one.how} without a word")
        return found

    def _learn(self, **fields: Any) -> None:
        known = {one: getattr(self.report, one) for one in self.report.__dataclass_fields__}
        self.report = reports.WorkerReport(**{**known, **fields})


def _forking(told: settings.WorkerSettings, loaded: "Loaded | None") -> Any:
    def make(made: children.Children, role: str, token: str, inherited: list[Any]) -> children.Child:
        return made.fork(role, token, lambda task: _live(task, told, loaded), inherited)

    return make


def _live(task: child.Task, told: settings.WorkerSettings, loaded: "Loaded | None") -> int:
    """The life of a slot or prober."""
    from crew_runtime.crewai import load
    from crew_runtime.worker import prober, slot

    channel = child.connect(told.socket, task)
    if loaded is None:
        loaded = load.load(told.entrypoint, told.definition)
    if task.role == "prober":
        return prober.serve(channel, task, loaded)
    return slot.Slot(channel, task, loaded, told).serve()


def _spawned_child() -> int:
    task, parent = children.adopted_task()
    child.isolate(parent)

    def body() -> int:
        start.prepare()
        told = settings.read(os.environ)
        start.install()
        if task.role != "trial":
            return _live(task, told, None)
        from crew_runtime.worker import trial

        return trial.tell(task.pipe, trial.of_entrypoint(told))

    child.run_and_exit(body)
    return 1


def _failed(zygote: Zygote, report: reports.WorkerReport, error: StartError) -> int:
    log.error("the worker cannot start", reason=error.reason, detail=error.full)
    zygote.phase("failed", reason=error.reason, message=error.full, report=reports.to_dict(report))
    zygote.finish(2.0)
    write_termination(TERMINATION_LOG, error)
    return EXIT_FAILED


def write_termination(path: Path, error: StartError) -> None:
    """Leave reason and message where Kubernetes looks, if it does."""
    if not path.exists():
        return
    try:
        path.write_bytes(_termination(error.reason, error.full))
    except OSError as failed:
        log.warning("cannot write the termination message", path=str(path), detail=str(failed))


def _termination(reason: str, message: str) -> bytes:
    """The longest beginning of the message that fits, as JSON."""
    while True:
        told = json.dumps({"reason": reason, "message": message}, ensure_ascii=False).encode(errors="replace")
        if len(told) <= MAX_TERMINATION:
            return told
        message = message[: len(message) - max(1, (len(told) - MAX_TERMINATION) // 4)]


def _interpreter() -> str:
    found_by = os.environ.get(env.INTERPRETER, "")
    return f"{sys.executable} (by {found_by})" if found_by else sys.executable


def _own_threads() -> str:
    return ", ".join(sorted(one.name for one in threading.enumerate() if one is not threading.main_thread()))


def _typed(loaded: Any) -> dict[str, Any]:
    """The report's fields out of a trial's JSON."""
    return {
        **loaded,
        "crew_inputs": tuple(loaded.get("crew_inputs", ())),
        "state": tuple(reports.StateKind(**one) for one in loaded.get("state", ())),
    }
