"""Writes Events. One that cannot be written is logged and no more: an Event is news, not state."""

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from crew_operator import events
from crew_operator.errors import OperatorError
from crew_operator.events import Note
from crew_operator.kube_client import KubeClient

log = logging.getLogger(__name__)

_REMEMBERED: Final = 2000
"""Reasons of crews whose messages are counted; the API server forgets Events after an hour."""
_MESSAGES: Final = 10
"""Of one reason of one crew that have an Event of their own; all further ones share one, as kubectl knows it from
Kubernetes' own controllers."""

_Key = tuple[str, str, bool]
_COMBINED: Final = ""


@dataclass
class _Said:
    """What was said of one reason: message -> (first time, count)."""

    messages: dict[str, tuple[float, int]] = field(default_factory=dict)

    def count(self, message: str, now: float) -> tuple[float, int, bool]:
        """First time, count, and whether it shares its Event."""
        combined = message not in self.messages and len(self.messages) >= _MESSAGES
        key = _COMBINED if combined else message
        first, count = self.messages.get(key, (now, 0))
        self.messages[key] = (first, count + 1)
        return first, count + 1, combined


class Recorder:
    """Counts what was said before."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube
        self._said: OrderedDict[_Key, _Said] = OrderedDict()

    async def say(self, owner: Mapping[str, Any], notes: Sequence[Note], now: float) -> None:
        """Write an Event for each. `now` in Unix seconds."""
        for note in notes:
            first, count, combined = self._of(owner, note).count(note.message, now)
            log.info(
                "event", extra={"reason": note.reason, "warning": note.warning, "text": note.message, "count": count}
            )
            try:
                await self._kube.apply(events.event(owner, note, first, now, count, combined=combined))
            except OperatorError as error:
                log.warning("an Event could not be written", extra={"error": str(error)})

    def _of(self, owner: Mapping[str, Any], note: Note) -> _Said:
        key = (str(owner["metadata"].get("uid")), note.reason, note.warning)
        said = self._said.pop(key, None) or _Said()
        self._said[key] = said
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        return said
