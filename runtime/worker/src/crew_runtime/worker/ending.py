"""The end of a process that ran a kickoff, in the order in which its interpreter would end it, but with a deadline.

Libraries send what they have gathered when the process ends: a span or log of the kickoff's last second is in no other
place. So threads are waited for and `atexit` runs; what takes longer than the deadline is lost, as with any kill.
"""

import atexit
import threading
import time
from collections.abc import Callable

from crew_runtime.worker import child
from crew_runtime.worker.logs import Log

log = Log(__name__)

DEADLINE = 10.0
"""Seconds for both; exporters of OpenTelemetry give up after as many."""
QUICK_DEADLINE = 2.0
"""Of a kickoff that was stopped: its threads may be what had to be stopped, and are not waited for."""
REACTS_WITHIN = 0.25
"""Seconds in which a kickoff that reacts to being stopped has left the user's code; the server kills after 0.5."""

_ending = threading.Lock()


def end_unless(reacted: Callable[[], bool]) -> None:
    """End quickly from another thread, unless the main one does so itself: what is stopped may hold it for good."""

    def wait_and_end() -> None:
        time.sleep(REACTS_WITHIN)
        if not reacted():
            end(0, quick=True)

    threading.Thread(target=wait_and_end, name="crewops-stop", daemon=True).start()


def end(code: int, *, quick: bool) -> None:
    """End this process; does not return."""
    _ending.acquire()
    deadline = QUICK_DEADLINE if quick else DEADLINE
    threading.Thread(target=_cut_off, args=(deadline, code), name="crewops-end", daemon=True).start()
    try:
        if not quick:
            # As Py_FinalizeEx does, and multiprocessing in its children.
            threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException as error:  # noqa: BLE001 - a handler of the user's may raise anything; Python ignores it too
        log.warning("an exit handler failed", error=repr(error))
    child.leave(code)


def _cut_off(seconds: float, code: int) -> None:
    time.sleep(seconds)
    log.warning("threads or exit handlers took too long at the end of a kickoff's process", seconds=seconds)
    child.leave(code)
