"""The half of the runtime that lives in the crew's interpreter: it moves CrewAI's state to the shared backend.

Standard library and redis-py, with the user's own crewai; only `crew_runtime.crewai` imports that. As a library, with
no server of ours and without Kubernetes: `install()` once in a process or before its fork, and `session()` around each
piece of work (docs/library.md). `history()` is for a crew's own code, here and there. All import what they need when
called: whoever wants `contract` gets nothing else.
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

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


def history(turns: int = 10) -> list[dict[str, Any]]:
    """What was said in the session that this work belongs to, before it: the messages of its last turns, oldest first.

    A turn begins with what a person said (type `human`); the messages behind it belong to it, whoever wrote them. A
    kickoff's own turn is added at its end, so it is not among them. They are there when `spec.history.messages.enabled`
    is set, or LangChain's `RedisChatMessageHistory` writes them (docs/history.md).

    Args:
        turns: How many at most; the last 1,000 messages are looked at.

    Returns:
        `{"type": "human", "data": {"content": "...", "id": ..., ...}}` for each, which LangChain's `messages_from_dict`
        takes as it is; `content` is a text or a list of blocks. What LangChain could not read is left out. Empty
        outside any session, and when nothing was said.

    Raises:
        BackendError: Redis cannot be asked. As with memory, the kickoff is then degraded or failed, whatever the crew
            does about it.
        RuntimeError: There is a session, but `install()` was not called.
    """
    from crew_runtime import installation
    from crew_runtime.memory.messages import Messages
    from crew_runtime.sessions import binding

    session_id = binding.session()
    if session_id is None:
        return []
    installed = installation.installed()
    if installed is None:
        raise RuntimeError("call crew_runtime.install() before crew_runtime.history(): nobody said where Redis is")
    settings = installed.settings
    return Messages(installed.registered.guard, settings.key_prefix, settings.session_ttl).last(session_id, turns)
