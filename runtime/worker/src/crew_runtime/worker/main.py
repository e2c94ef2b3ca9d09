"""The start sequence, step by step: connect, import, try, decide how to fork, serve.

CrewAI is imported here and not at the top: only after telemetry is off, HOME is proven writable and the server knows
that we are on our way, so that a failure of any of them is told and not merely logged.
"""

import contextlib
import gc
import json
import os
import platform
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crew_runtime
from crew_runtime.contract import env
from crew_runtime.contract import report as reports
from crew_runtime.contract.replica_reasons import ReplicaReason
from crew_runtime.worker import child, children, definition, logs, settings, start
from crew_runtime.worker.errors import ServerGoneError, StartError
from crew_runtime.worker.zygote import EXIT_SERVER_GONE, Exit, Plan, Zygote

if TYPE_CHECKING:
    from crew_runtime.crewai.loading.load import Loaded
    from crew_runtime.worker.trial import Trial

log = logs.Log(__name__)

CONNECT_DEADLINE = 60.0
MAX_MESSAGE = 100_000
"""Characters of why it cannot start: an exception's text may be any length, and the server takes frames.MAX_NEWS."""
EXIT_FAILED = 78
"""EX_CONFIG: starting again without a change will not help."""
TERMINATION_LOG = Path("/dev/termination-log")
"""Kubernetes shows its content with the container's last state."""
MAX_GUILTY = 4
"""Packages that may be found to start threads when imported, before the zygote imports none of the learned ones."""
PAGES_DEADLINE = 10.0
"""Seconds for a kickoff that touches nothing."""
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
            told = StartError(
                ReplicaReason.START_FAILED, f"the worker failed to start: {error!r}", traceback.format_exc()
            )
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
        self._last: children.Child
        self.report = report

    def run(self) -> Plan:
        """Raises StartError."""
        start.prepare()
        definition.keep(os.environ)
        told = settings.read(os.environ)
        self._zygote.configure(told.slot_memory, told.grace_period)
        self._zygote.phase("importing", report=reports.to_dict(self.report))
        with _collector_at_rest():
            installed = start.install()
            _import_what_children_run()
        from crew_runtime import redis_client

        self._learn(
            entrypoint=told.entrypoint or told.definition,
            crewai_version=installed.crewai_version,
            redis_py_version=redis_client.LIBRARY_VERSION,
        )
        self._warm_up()
        self._zygote.take_signals()
        self._zygote.phase("loading", report=reports.to_dict(self.report))
        pages = self._begin_pages()
        found = self._trial("entrypoint", told)
        if found.error:
            raise StartError(found.reason, found.error, found.detail)
        from crew_runtime.crewai.embedders import warmup

        warm_up = (*filter(None, [told.warm_up]), *map(warmup.shown, found.embedders))
        self._learn(**_typed(found.loaded), processes=told.processes, warm_up=warm_up)
        plan = self._decide(found, told, pages)
        self._zygote.take_signals()
        gc.collect()
        # What is frozen is not walked by the collector, so slots do not copy these pages by counting references.
        gc.freeze()
        return plan

    def _warm_up(self) -> None:
        from crew_runtime.crewai.kickoffs import warming

        if why := warming.warm_up():
            log.warning("CrewAI was not warmed up: first kickoffs are slower", detail=why)

    def _decide(self, found: "Trial", told: settings.WorkerSettings, pages: children.Child | None) -> Plan:
        from crew_runtime.worker import forking, randomness, trial

        warm = _Warm(told, embedders=found.embedders)
        if may_not := _own_threads():
            return self._spawning(f"threads run after importing CrewAI: {may_not}", warm)
        warm = replace(warm, pages=self._pages(pages))
        held = forking.held()
        if not found.unsafe:
            from crew_runtime.crewai.loading import load

            loaded = load.load(told.entrypoint, told.definition)
            warm = replace(warm, loaded=loaded, seeds=randomness.fixed(found.seeds))
            why = trial.must_not_fork(held)
            if not why:
                trial.import_all(self._safe_modules(found.learned, told))
                why = trial.must_not_fork(held)
            if why:
                return self._spawning(f"in the trial nothing was left, but here: {why}", warm)
            self._learn(
                fork_mode=reports.PRELOAD, fork_reason="the import leaves nothing that a fork would break or share"
            )
            return Plan(_forking(warm))
        trial.import_all(self._safe_modules(found.learned, told))
        if why := trial.must_not_fork(held):
            return self._spawning(why, warm)
        self._learn(fork_mode=reports.FORK, fork_reason=found.unsafe)
        return Plan(_forking(warm))

    def _begin_pages(self) -> children.Child | None:
        """A child that finds out what a kickoff writes to, beside the trial; None where nothing may be forked."""
        from crew_runtime.worker import trial

        if _own_threads():
            return None

        def body(task: child.Task) -> int:
            return trial.tell(task.pipe, trial.of_pages())

        return self._zygote.children.fork("trial", "pages", body, self._zygote.own_descriptors())

    def _pages(self, begun: children.Child | None) -> Any:
        """What it found; nothing where that cannot be found out."""
        said = None if begun is None else self._zygote.await_child(begun, PAGES_DEADLINE)
        try:
            return json.loads(said or b"[]")
        except ValueError:
            return ()

    def _safe_modules(self, learned: Sequence[str], told: settings.WorkerSettings) -> Sequence[str]:
        """Those of the learned modules that start no thread either; what is left out, each slot imports by itself."""
        learned = [name for name in learned if name not in sys.modules]
        for _ in range(MAX_GUILTY if learned else 0):
            again = self._trial("modules", told, learned)
            if not again.unsafe:
                return again.learned
            learned = again.learned
        return ()

    def _spawning(self, why: str, warm: "_Warm") -> Plan:
        self._learn(fork_mode=reports.SPAWN, fork_reason=why)
        embedders = list(warm.embedders)
        return Plan(lambda made, role, token, _: made.spawn(role, token, embedders=embedders))

    def _trial(self, what: str, told: settings.WorkerSettings, names: Sequence[str] = ()) -> "Trial":
        from crew_runtime.worker import trial

        def body(task: child.Task) -> int:
            found = trial.of_modules(names) if what == "modules" else trial.of_entrypoint(told, partial(_tell, task))
            return _tell(task, found)

        said = self._child(what, body, trial.DEADLINE)
        if said is None:
            raise StartError(ReplicaReason.ENTRYPOINT_BROKEN, f"the crew was not loaded after {trial.DEADLINE:g} s")
        found = trial.read(said)
        if found is None:
            how = self._last.how
            raise StartError(
                ReplicaReason.ENTRYPOINT_BROKEN, f"the process that loaded the crew ended by {how} without a word"
            )
        return found

    def _child(self, what: str, body: Callable[[child.Task], int], deadline: float) -> bytes | None:
        """What a child said that ran `body`, or, where nothing may be forked, what its name says."""
        made = self._zygote.children
        if _own_threads():
            self._last = made.spawn("trial", what)
        else:
            self._last = made.fork("trial", what, body, self._zygote.own_descriptors())
        return self._zygote.await_child(self._last, deadline)

    def _learn(self, **fields: Any) -> None:
        known = {one: getattr(self.report, one) for one in self.report.__dataclass_fields__}
        self.report = reports.WorkerReport(**{**known, **fields})


@dataclass(frozen=True)
class _Warm:
    """What a child needs to be ready for a kickoff at once."""

    told: settings.WorkerSettings
    embedders: Sequence[str] = ()
    pages: Any = ()
    seeds: Mapping[str, Any] = field(default_factory=dict)
    loaded: "Loaded | None" = None
    """None: each child loads the user's module by itself."""


def _import_what_children_run() -> None:
    """Once, before the forks: in each child it took 10 ms of CPU and 3,000 page faults."""
    from crew_runtime.worker import prober, slot  # noqa: F401


def _forking(warm: _Warm) -> Any:
    def make(made: children.Children, role: str, token: str, inherited: list[Any]) -> children.Child:
        return made.fork(role, token, lambda task: _live(task, warm), inherited)

    return make


def _live(task: child.Task, warm: _Warm) -> int:
    """The life of a slot or prober."""
    from crew_runtime.crewai.loading import load
    from crew_runtime.worker import prober, randomness, slot

    told, loaded = warm.told, warm.loaded
    channel = child.connect(told.socket, task)
    if loaded is None:
        loaded = load.load(told.entrypoint, told.definition)
    else:
        randomness.renew(warm.seeds)
    if task.role == "prober":
        return prober.serve(channel, task, loaded)
    ready = loaded.prepared() if loaded.kept(reuses=told.reuses) else loaded
    return slot.Slot(channel, task, ready, told, lambda: _prepare(warm, ready)).serve()


def _prepare(warm: _Warm, loaded: "Loaded") -> None:
    """What makes the first kickoff of a process as fast as a second one would be."""
    from crew_runtime.crewai.embedders import warmup
    from crew_runtime.worker import pages, warm_up

    pages.take(warm.pages)
    warmup.warm(warm.embedders, loaded.make().target if loaded.shared else None)
    if warm.told.warm_up:
        try:
            warm_up.call(warm.told.warm_up)
        except warm_up.WarmUpError as error:
            # It worked in the trial: the kickoff will load by itself what is missing.
            log.warning("the warm-up failed", detail=error.message)


def _spawned_child() -> int:
    task, parent, more = children.adopted_task()
    child.isolate(parent)

    def body() -> int:
        from crew_runtime.crewai.kickoffs import warming

        start.prepare()
        told = settings.read(os.environ)
        with _collector_at_rest():
            start.install()
        if task.role != "trial":
            warming.warm_up()
            return _live(task, _Warm(told, embedders=more.get("embedders", ())))
        from crew_runtime.worker import trial

        return _tell(task, trial.of_entrypoint(told, partial(_tell, task)))

    child.run_and_exit(body)
    return 1


def _failed(zygote: Zygote, report: reports.WorkerReport, error: StartError) -> int:
    log.error("the worker cannot start", reason=error.reason, detail=error.full)
    message = error.full[:MAX_MESSAGE]
    zygote.phase("failed", reason=error.reason, message=message, report=reports.to_dict(report))
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


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    """An import makes hundreds of thousands of objects that stay; collecting among them takes a tenth of its time.

    Nor does the collector walk them later: in each forked child it would copy their pages by counting references.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if on:
            gc.enable()


def _own_threads() -> str:
    return ", ".join(sorted(one.name for one in threading.enumerate() if one is not threading.main_thread()))


def _tell(task: child.Task, found: "Trial") -> int:
    from crew_runtime.worker import trial

    return trial.tell(task.pipe, asdict(found))


def _typed(loaded: Any) -> dict[str, Any]:
    """The report's fields out of a trial's JSON."""
    return {
        **loaded,
        "crew_inputs": tuple(loaded.get("crew_inputs", ())),
        "rehearsal_left_out": tuple(loaded.get("rehearsal_left_out", ())),
        "state": tuple(reports.StateKind(**one) for one in loaded.get("state", ())),
    }
