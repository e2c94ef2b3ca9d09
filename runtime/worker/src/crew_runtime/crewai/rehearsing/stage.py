"""`rehearse`: kicks off a crew or flow in a process that is thrown away, and says whether a kickoff can work."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from crewai.events.event_bus import crewai_event_bus

from crew_runtime import installation
from crew_runtime.contract.replica_reasons import MemoryFailure
from crew_runtime.crewai.human_input import reviews
from crew_runtime.crewai.kickoffs import kickoff
from crew_runtime.crewai.loading import inputs
from crew_runtime.crewai.loading.load import Loaded, Made
from crew_runtime.crewai.rehearsing import embedders, judging, llms, quiet, scratch
from crew_runtime.crewai.rehearsing import network as network_gate
from crew_runtime.crewai.rehearsing.judging import Finding
from crew_runtime.crewai.rehearsing.left_out import LeftOut
from crew_runtime.crewai.state import unseen
from crew_runtime.guard import ledger
from crew_runtime.sessions import binding

SESSION = "crewops-rehearsal"
SECONDS = 20.0
FLUSH_SECONDS = 2.0
_NOT_THE_BACKENDS = (MemoryFailure.EMBEDDER, MemoryFailure.LLM)


Overdue = Callable[[Finding], object]
"""Reports the finding and ends the process; called from a thread of its own."""


def rehearse(
    loaded: Loaded,
    made: Made,
    *,
    text: str = llms.TEXT,
    seconds: float = SECONDS,
    overdue: Overdue | None = None,
    keep: bool = False,
    fail_closed: bool = True,
    stand_in: bool = True,
    network: bool = False,
) -> Finding:
    """Kick `made` off once, as a kickoff does. This process cannot serve afterwards: CrewAI's classes are changed.

    Everything else that is to be known of `made` has to be asked before: its callbacks are taken out.

    Args:
        loaded: As `load` gave it.
        made: What its `make` gave.
        text: What the stand-in for the LLM answers.
        seconds: After which the question stays open, and `overdue` is called.
        overdue: None: the caller sees to it that this process ends.
        keep: Write to the installed store and leave what was written, for `crewctl verify`; else to a scratch area that
            is erased. Without an installation state goes where CrewAI puts it.
        fail_closed: A memory that fails by itself fails the kickoff.
        stand_in: Replace embedders too; False when the caller has done so.
        network: Leave it open, for an embedder of the crew's own.

    Raises:
        BackendError: The backend failed, which is not the crew's fault.
    """
    begun, before = time.monotonic(), set(sys.modules)
    given = llms.install(text)
    if stand_in:
        embedders.install()
    skipped = bool(getattr(made.target, "before_kickoff_callbacks", ()))
    installed = installation.installed()
    where: AbstractContextManager[None] = nullcontext() if keep or installed is None else scratch.area(installed)
    backend = installed.settings.redis_url if installed else ""
    gate: AbstractContextManager[list[str]] = nullcontext([]) if network else network_gate.closed(backend)
    failed: list[ledger.Failure] = []
    unsubscribe = ledger.subscribe(failed.append)
    unseen.listen()
    tried: list[str] = []
    left = LeftOut()
    try:
        with where, gate as tried:
            if installed is not None and not keep:
                quiet.stores(made.target, installed.registered.storage, left)
            with _within(seconds, overdue, left):
                finding = _judged(loaded, made, given, skipped, left)
    finally:
        unsubscribe()
    if not finding.error and not finding.note:
        finding = _of_memory(failed, fail_closed, open_question=bool(tried) or skipped)
    imported = tuple(name for name in sys.modules if name not in before)
    return replace(
        finding,
        left_out=left.words(),
        network=tuple(tried),
        imported=imported,
        answers=given.answers,
        seconds=time.monotonic() - begun,
    )


def _judged(loaded: Loaded, made: Made, asked: llms.Given, skipped: bool, left: LeftOut) -> Finding:
    try:
        with binding.bind(SESSION, whole_process=True):
            quiet.process(left)
            try:
                _kickoff(loaded, made, asked.text, left)
            finally:
                crewai_event_bus.flush(FLUSH_SECONDS)
    except SystemExit as error:
        return Finding(error=f"the kickoff called sys.exit({error.code!r})", detail=judging.user_lines(error))
    except Exception as error:  # noqa: BLE001 - a crew may raise anything: it is what we are here to find
        return judging.of_error(error, asked.answers, skipped_inputs=skipped)
    return Finding()


def _kickoff(loaded: Loaded, made: Made, text: str, left: LeftOut) -> None:
    target, given = made.target, {}
    if made.is_flow:
        quiet.flow(target, left)
        # A conversation takes a turn by it; any other flow's state may have such a field, or not.
        if kickoff.is_conversational(target):
            given["message"] = text
    else:
        reviews.check(target)  # what could never be put away while a person thinks
        given = dict.fromkeys(inputs.missing(inputs.asked_for(target), made.defaults), text)
        quiet.crew(target, left)
    kickoff.run(replace(loaded, make=lambda: made), given, SESSION)


def _of_memory(failed: list[ledger.Failure], fail_closed: bool, *, open_question: bool) -> Finding:
    """A memory that fails by itself: its embedder or LLM cannot be made.

    `open_question`: the network that it wanted was refused, or a callback that may have prepared it was left out.
    """
    own = [one for one in failed if one.kind in _NOT_THE_BACKENDS]
    if not own:
        return Finding()
    said = f"the crew's memory fails: {own[0].error}"
    return Finding(error=said) if fail_closed and not open_question else Finding(note=said)


@contextlib.contextmanager
def _within(seconds: float, overdue: Overdue | None, left: LeftOut) -> Iterator[None]:
    """No exception ends a kickoff for certain: its threads are waited for. So it is the process that ends."""
    if overdue is None:
        yield
        return

    def end() -> None:
        overdue(Finding(note=f"the kickoff had not ended after {seconds:g} s", left_out=left.words()))

    watch = threading.Timer(seconds, end)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()
