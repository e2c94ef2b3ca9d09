"""The messages of a session, as a crew's own code and its texts get them.

Written by the server half, and by whoever uses LangChain's class on the same list.
"""

from typing import Any, Final

from crew_runtime.contract import keys, messages
from crew_runtime.contract.scripts import Argument
from crew_runtime.guard.call import Guard
from crew_runtime.memory import scripts

STEP: Final = 50
"""Messages that are read at once."""
MOST: Final = 1_000
"""Messages that are looked at, whatever number of turns is asked for."""


class Messages:
    """Those of one crew."""

    def __init__(self, guard: Guard, prefix: str, session_ttl: float | None = None) -> None:
        self._guard = guard
        self._prefix = prefix
        self._ttl_ms = int((session_ttl or 0) * 1000)

    def last(self, session_id: str, turns: int) -> list[dict[str, Any]]:
        """Those of the last turns, the oldest first; a turn begins with what a person said.

        Without what LangChain could not read either. Raises BackendError.
        """
        found: list[dict[str, Any]] = []
        place, looked_at, wanted = 0, 0, turns
        while wanted > 0 and looked_at < MOST:
            place, elements = self._read(session_id, place)
            looked_at += len(elements)
            for element in elements:
                message = messages.read(element)
                if message is None:
                    continue
                found.append(message)
                wanted -= messages.is_human(message)
                if wanted == 0:
                    break
            if not place:
                break
        return found[::-1]

    def _read(self, session_id: str, place: int) -> tuple[int, list[bytes]]:
        """The next of them, the newest first, and where to go on; 0: they are all."""
        names = {"messages": keys.messages(self._prefix, session_id)}
        arguments: dict[str, Argument] = {
            "place": place,
            "most": STEP,
            "most_each": messages.MOST_ELEMENT,
            "most_bytes": messages.MOST_PAGE,
            "session_ttl": self._ttl_ms,
        }
        _, following, *elements = self._guard.call(
            "messages", lambda client: scripts.MESSAGES(client, names, arguments)
        )
        return int(following), elements
