"""What can go wrong in the server half.

CrewServerError
├── SettingsError         the environment is wrong; every problem at once
├── BackendError          Redis did not do what it was asked; `reason` is one of `contract.report.BackendHealth`'s
│   └── NotAcknowledgedError   it took a write, which did not come as far in time as the spec asks
├── HistoryError          Postgres did not do what it was asked; `reason` is a `HistoryReason`
├── NoHistoryError        the crew has no durable history
├── NotReadyError         no kickoff can be taken now; try again after `retry_after`
│   └── QueueFullError    as many kickoffs wait as may wait
├── RequestError          the request is wrong and says where
│   ├── MissingInputsError
│   └── IdempotencyKeyReusedError
├── UnknownSessionError   nothing is kept of this session
├── SessionBusyError      a kickoff of the session runs
├── ResumeError           the kickoff does not wait for this answer; `reason` says why
├── EndedError            the kickoff has ended, and cannot be stopped any more
├── UnknownKickoffError   no such kickoff, or its state has expired
├── UnreadableError       what Redis holds of a kickoff is not what a server of ours wrote
└── WorkerProtocolError   the peer on the worker's socket does not speak our frames
"""

from collections.abc import Sequence
from typing import Any

from crew_runtime.contract.replica_reasons import BackendReason


class CrewServerError(Exception):
    """The base of all of them."""


class SettingsError(CrewServerError):
    """The environment does not make a server; `problems` says all that has to change."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("cannot start: " + "; ".join(problems))
        self.problems = tuple(problems)


class BackendError(CrewServerError):
    """Redis failed a call."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class NotAcknowledgedError(BackendError):
    """Redis took a write, and it is not known to be on the disk or the replica that the spec asks for.

    It may be kept all the same: the same request, by its idempotency key or token, may be made again.
    """

    def __init__(self, message: str, answer: Any) -> None:
        super().__init__(BackendReason.NOT_ACKNOWLEDGED, message)
        self.answer = answer
        """What Redis answered to what wrote it."""


class HistoryError(CrewServerError):
    """Postgres failed a call."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class NoHistoryError(CrewServerError):
    """Nothing is written to any Postgres."""

    def __init__(self) -> None:
        super().__init__("the crew has no durable history: name its Postgres by spec.history.postgres")


class NotReadyError(CrewServerError):
    """This replica takes no kickoff now."""

    def __init__(self, reason: str, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class QueueFullError(NotReadyError):
    """As many kickoffs wait for a slot, or lie in Redis, as may."""


class RequestError(CrewServerError):
    """The request cannot be taken as it is; `field` names the place."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class MissingInputsError(RequestError):
    """The crew asks for inputs that the request does not carry."""

    def __init__(self, missing: Sequence[str]) -> None:
        names = ", ".join(missing)
        super().__init__(
            "inputs",
            f"the crew needs inputs that are not there: {names}; add them to 'inputs'. They stand in braces in the "
            "crew's texts: if some are no inputs, list those that are in "
            "spec.crew.inputs, and the others stay as they are",
        )
        self.missing = tuple(missing)


class IdempotencyKeyReusedError(RequestError):
    """The key stands for another request."""

    def __init__(self, kickoff_id: str) -> None:
        text = f"this idempotency key stands for kickoff {kickoff_id}, which had another body; take a new key"
        super().__init__("idempotency_key", text)


class EndedError(CrewServerError):
    """A kickoff was to be stopped that has ended."""

    def __init__(self, status: str, state: str) -> None:
        """`state`: in the words of CrewAI's platform."""
        super().__init__(f"Cannot stop execution. Current state: {state}")
        self.status = status
        self.state = state


class UnknownKickoffError(CrewServerError):
    """Nothing is known of this kickoff."""

    def __init__(self, kickoff_id: str) -> None:
        super().__init__(
            f"there is no kickoff '{kickoff_id}'; its state is kept for spec.kickoffs.retention (a day) after its end"
        )
        self.kickoff_id = kickoff_id


class UnknownSessionError(CrewServerError):
    """Nothing is kept of this session."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"nothing is kept of the session '{session_id}': it never was, has expired or was erased")


class SessionBusyError(CrewServerError):
    """A session with kickoffs that have not ended is not erased."""

    def __init__(self, session_id: str, running: int) -> None:
        super().__init__(
            f"{running} kickoff(s) of the session '{session_id}' run, or wait for a slot or for a person's answer: try "
            "again when they have ended, or send "
            "?force=true to stop them"
        )
        self.running = running


class ResumeError(CrewServerError):
    """The kickoff does not wait for this answer."""

    def __init__(self, reason: str, message: str, status: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.status = status


class UnreadableError(CrewServerError):
    """What Redis holds of a kickoff cannot be read."""

    def __init__(self, kickoff_id: str, error: Exception) -> None:
        super().__init__(f"what Redis holds of kickoff '{kickoff_id}' cannot be read ({type(error).__name__})")


class WorkerProtocolError(CrewServerError):
    """The peer sent what no worker of ours sends; its connection is closed."""
