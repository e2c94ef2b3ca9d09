"""The half of the runtime that lives in the crew's interpreter: it moves CrewAI's state to the shared backend.

Standard library and redis-py, with the user's own crewai; only `crew_runtime.crewai` imports that. As a library, with
no server of ours and without Kubernetes: `install()` once in a process or before its fork, and `session()` around each
piece of work (docs/library.md). Both import what they need when called: whoever wants `contract` gets nothing else.
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crew_runtime.installation import Installation
    from crew_runtime.settings import Settings

__version__ = "0.1.0"


def install(settings: "Settings | None" = None) -> "Installation":
    """Keep CrewAI's state on the shared backend from here on; by default the one that the CREWOPS_* variables name.

    To be called before the crew's code is imported. Raises what `installation.install` raises.
    """
    from crew_runtime import installation

    return installation.install(settings)


def session(session_id: str) -> AbstractContextManager[None]:
    """Let what runs in this `with` block belong to a session, the threads included that CrewAI starts for it.

    Outside of any, memories are those that all sessions share. Raises ValueError when there is no id.
    """
    from crew_runtime.sessions import binding

    if not session_id:
        raise ValueError("a session needs an id; leave the block out to use what all sessions share")
    return binding.bind(session_id)
