"""What the worker half raises.

CrewRuntimeError
+-- SettingsError               the CREWOPS_* variables cannot be used
+-- UnsupportedCrewAIError      the installed CrewAI has no seams to move its state by
+-- FeedbackGivenError          another process resumed the flow with an answer already
+-- BackendError                one call of the shared backend failed; `kind` says how
    +-- BackendUnavailableError     it refused, did not answer in time, or the breaker is open
    +-- NotAcknowledgedError        Redis took a write, which did not come as far in time as the settings ask
    +-- DimensionMismatchError      the vectors do not fit those that are stored
    +-- StoreMismatchError          what is stored was written by something that this version cannot read
    +-- ForeignRecordError          a record was to be overwritten that belongs to another session
    +-- ErasedSessionError          the session was erased while this work ran
    +-- InvalidVectorError          an embedder gave what is no vector
    +-- InvalidMetadataError        the metadata of a record cannot be kept
    +-- LockTimeoutError            another held the lock for too long
    +-- LockLostError               somebody else may have held the lock at the same time

None is a RuntimeError: CrewAI takes that for the interpreter's shutdown and drops the save without a word.
"""

from collections.abc import Sequence

from crew_runtime.contract.replica_reasons import BackendReason, MemoryFailure


class CrewRuntimeError(Exception):
    """The root of what the worker half raises."""


class SettingsError(CrewRuntimeError):
    """All that is wrong with the environment."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class UnsupportedCrewAIError(CrewRuntimeError):
    """The installed CrewAI is missing or older than the seams."""


class FeedbackGivenError(CrewRuntimeError):
    """A flow that waited for a human was resumed twice; the first answer counts."""

    def __init__(self, flow_id: str) -> None:
        super().__init__(f"the flow {flow_id} was resumed already: the feedback that came first counts")
        self.flow_id = flow_id


class BackendError(CrewRuntimeError):
    """One call of the backend failed."""

    def __init__(self, message: str, kind: str = BackendReason.ERROR) -> None:
        super().__init__(message)
        self.kind = kind
        """A BackendReason or a MemoryFailure."""


class BackendUnavailableError(BackendError):
    """The backend cannot be reached."""


class NotAcknowledgedError(BackendError):
    """Redis took a write, and it is not known to be on the disk or the replica that the settings ask for.

    It may be kept all the same: it is not to be sent again without a look.
    """

    def __init__(self, message: str, *, possible: bool = True) -> None:
        """`possible`: another one may be acknowledged; False: this Redis cannot wait as it is asked to."""
        super().__init__(message, BackendReason.NOT_ACKNOWLEDGED)
        self.possible = possible


class DimensionMismatchError(BackendError, ValueError):
    """Vectors of one length were offered to a store that holds another."""

    def __init__(self, stored: int, offered: int) -> None:
        super().__init__(
            f"the store holds vectors of {stored} dimensions, and this embedder gives {offered}: use the embedder that "
            "the memories were made with, or another spec.memory.keyPrefix for a new store",
            MemoryFailure.DIMENSION,
        )
        self.stored = stored
        self.offered = offered


class StoreMismatchError(BackendError):
    """What lies under the key prefix was not written by a version that this one can read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, MemoryFailure.STORE)


class ForeignRecordError(BackendError):
    """A save names the id of a record that the session does not see."""

    def __init__(self, record_id: str) -> None:
        super().__init__(
            f"there is a record {record_id!r} that this session does not see: save under a new id",
            MemoryFailure.FOREIGN,
        )


class ErasedSessionError(BackendError):
    """The session was erased while this work ran: what it would save is part of what had to go."""

    def __init__(self) -> None:
        super().__init__(
            "the session was erased while this work ran, and takes no more of it: start it again", MemoryFailure.ERASED
        )


class InvalidVectorError(BackendError, ValueError):
    """An embedder gave values that are infinite, as the store keeps them, or NaN: no search would ever find them."""

    def __init__(self, vector_type: str = "") -> None:
        what, remedy = "NaN or infinite values", "correct the embedder"
        if vector_type:
            what = f"values that a store of {vector_type} cannot keep"
            remedy = "use a store of FLOAT32 (spec.memory.vectorType, with another spec.memory.keyPrefix)"
        super().__init__(f"the embedder gave a vector with {what}: {remedy}", MemoryFailure.VECTOR)


class InvalidMetadataError(BackendError, ValueError):
    """The metadata of a record cannot be kept."""

    def __init__(self, deepest: int) -> None:
        super().__init__(
            f"the metadata are nested deeper than {deepest} levels, or hold themselves: remember what they say instead",
            MemoryFailure.METADATA,
        )


class LockTimeoutError(BackendError):
    """Another holds the lock."""

    def __init__(self, message: str) -> None:
        super().__init__(message, MemoryFailure.LOCK)


class LockLostError(BackendError):
    """The lock was not held to the end."""

    def __init__(self, message: str) -> None:
        super().__init__(message, MemoryFailure.LOCK)
