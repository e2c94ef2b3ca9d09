"""The worker half in the crew's own interpreter: `start` becomes this. With the argument `child`: a spawned child.

Ours is imported first, then its folder goes to the very end of the path: nothing of the crew's is hidden by ours, and a
`queue.py` or `redis.py` of the crew's hides nothing of ours. A `crew_runtime` that the crew has installed is passed by:
the one here is of the same build as the server half beside it. Nothing is done on import, for `multiprocessing` imports
this file again in the processes that it spawns.
"""

import os
import sys
import tempfile
from types import ModuleType


def _writable(folder: str) -> bool:
    """By trying: permissions do not tell of a read-only file system."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _choose_home() -> None:
    """CrewAI writes below HOME on import. The image's own is kept where it can be written."""
    state = os.environ.get("CREWOPS_STATE", "")
    if state and not _writable(os.path.expanduser("~")):
        os.environ["HOME"] = state


def _import_ours(lib: str) -> ModuleType:
    """The worker half and its Redis client, with all of the standard library that they need. Not yet what needs CrewAI:
    that is imported only when telemetry is off and the server knows that we are on our way."""
    sys.path.insert(0, lib)
    try:
        import crew_runtime.redis_client
        from crew_runtime.worker import main
    finally:
        sys.path.remove(lib)
    sys.path.append(lib)
    assert crew_runtime.redis_client, "imported for what it brings"  # noqa: S101
    return main


def run() -> int:
    """The worker's exit code."""
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0] or os.curdir) == here:
        del sys.path[0]
    worker = _import_ours(os.path.join(here, "lib"))
    _choose_home()
    code: int = worker.main(sys.argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(run())
