"""Around what CrewAI calls of ours: whatever is raised there was recorded, and is a BackendError.

The guard knows what the backend refuses. A mistake of ours, or of a record that nobody thought of, is raised beside it;
CrewAI's recall swallows that too, and takes a RuntimeError for the end of the interpreter (1.15.30).
"""

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from crew_runtime.errors import BackendError
from crew_runtime.guard import ledger

Owner = TypeVar("Owner")
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def told(method: Callable[Concatenate[Owner, Given], Answer]) -> Callable[Concatenate[Owner, Given], Answer]:
    """The method, whose every failure is in the ledger under its name."""

    @functools.wraps(method)
    def call(self: Owner, /, *positional: Given.args, **named: Given.kwargs) -> Answer:
        try:
            return method(self, *positional, **named)
        except BackendError:
            raise  # recorded where it was found
        except Exception as error:
            op = method.__name__
            failed = BackendError(f"{op}: {type(error).__name__}: {error}")
            ledger.record(ledger.Failure(op, failed.kind, str(failed)))
            raise failed from error

    return call
