"""Failed calls of the backend, told to whoever listens: the slot that runs a kickoff, the prober, a test."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """One call that failed."""

    op: str
    """`save`, `search`, `delete`, `update`, `touch`, `list`, `flow`, `lock`, ...; `recall`, `remember`, `analyze`:
    what failed before it came to the backend."""
    kind: str
    """As in BackendError.kind; `Embedder`, `TextTooLong` or `LLM` for what is not the backend's."""
    error: str


Listener = Callable[[Failure], None]
_listeners: list[Listener] = []
_lock = threading.Lock()


def subscribe(listener: Listener) -> Callable[[], None]:
    """Have `listener` called with each failure, from the thread that met it. The answer ends that; call it once."""
    with _lock:
        _listeners.append(listener)

    def unsubscribe() -> None:
        with _lock:
            _listeners.remove(listener)

    return unsubscribe


def record(failure: Failure) -> None:
    """Tell the listeners."""
    with _lock:
        listeners = tuple(_listeners)
    for listener in listeners:
        listener(failure)
