"""The operator's errors, each with its fate.

    OperatorError
    ├── InvalidSpecError    waits for a new generation, shows in Ready
    ├── ApiError            the API server answered no; backs off
    │   ├── NotFoundError       404: often an answer, not a failure
    │   ├── ConflictError       409: someone was faster, look again
    │   └── RejectedError       400, 403, 422: the same request will not pass; shows in Ready
    ├── UnreachableError    no answer from the API server; backs off
    ├── PassTooLongError    a pass that did not end in time; backs off
    └── LeadershipLostError another operator may act; ends this process

Anything else that is raised is a bug: it propagates to the queue, is logged with its trace and counted.
"""

from dataclasses import dataclass


class OperatorError(Exception):
    """Base of all errors that the operator raises on purpose."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a spec: what to change, and where."""

    path: str
    """As a user writes it: `spec.crew.entrypoint`."""
    message: str

    def __str__(self) -> str:
        return f"{self.message} @ {self.path}"


class InvalidSpecError(OperatorError):
    """The spec cannot work; `problems` says all that has to change."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


class ApiError(OperatorError):
    """The API server answered with an error Status."""

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        self.status = status
        self.message = message
        self.retry_after = retry_after
        """Seconds, when the server asked for a pause."""
        super().__init__(f"{status}: {message}")


class NotFoundError(ApiError):
    """404."""


class ConflictError(ApiError):
    """409."""


class RejectedError(ApiError):
    """400, 403 or 422."""


class LeadershipLostError(OperatorError):
    """Another operator may act now."""


class PassTooLongError(OperatorError):
    """A pass did not end within its deadline, and was ended."""


class UnreachableError(OperatorError):
    """The API server did not answer."""
