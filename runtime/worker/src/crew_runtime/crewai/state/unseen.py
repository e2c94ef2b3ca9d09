"""Failures of a crew's memory that never reach the backend, told to the guard's ledger: the embedder, the analysis LLM.

CrewAI says the first in an event and goes on without the memory; the second it says in its log alone, and files the raw
text at "/" with importance 0.5, as if that had been the answer (1.15.30). Both would end as a normal kickoff.
"""

import collections
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.memory_events import MemoryQueryFailedEvent, MemoryRetrievalFailedEvent, MemorySaveFailedEvent
from pydantic import ValidationError

from crew_runtime.contract.replica_reasons import MemoryFailure
from crew_runtime.crewai.embedders import failures
from crew_runtime.guard import ledger

ANALYSIS_LOGGER = "crewai.memory.analyze"
_EVENTS: tuple[tuple[type, str], ...] = (
    (MemoryQueryFailedEvent, "recall"),
    (MemoryRetrievalFailedEvent, "recall"),
    (MemorySaveFailedEvent, "remember"),
)
_UNREADABLE = (ValidationError, json.JSONDecodeError)
"""The LLM answered, and not as it was asked to: its defaults are CrewAI's way with that, and no outage."""
_KEPT = 100


def listen() -> None:
    """From now on. To be called once in a process that runs kickoffs."""
    told: collections.deque[str] = collections.deque(maxlen=_KEPT)
    ledger.subscribe(lambda failure: told.append(failure.error))

    for kind, op in _EVENTS:
        crewai_event_bus.register_handler(kind, _handler(op, told))
    logging.getLogger(ANALYSIS_LOGGER).addHandler(_Analysis(logging.WARNING))


def _handler(op: str, told: Iterable[str]) -> Callable[[Any, Any], None]:
    def handler(source: Any, event: Any) -> None:
        # What the backend refused is in the ledger already, in the same words or within CrewAI's.
        if not any(one in event.error for one in tuple(told)):
            said = str(event.error)
            ledger.record(ledger.Failure(op, failures.kind(said), said))

    return handler


class _Analysis(logging.Handler):
    """Hears the warnings that the analysis logs; their argument is the exception."""

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if isinstance(cause, Exception) and not isinstance(cause, _UNREADABLE):
            ledger.record(ledger.Failure("analyze", MemoryFailure.LLM, record.getMessage()))
