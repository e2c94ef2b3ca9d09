"""Every reason word that a replica gives: in its report, its probes, a kickoff's record and the errors of its API.

`reasons` has those of conditions and Events. A word here that is a condition's reason as well means the same there: the
operator passes it on. Clients program against these words, so one that has been released stays what it is.
"""

from enum import StrEnum
from typing import Final


class BackendReason(StrEnum):
    """What a call of Redis came to, for the server half's `BackendHealth`, its errors, and the worker half's."""

    OK = "Ok"
    NOT_CHECKED = "NotChecked"
    """Nobody has asked it yet."""
    REFUSED = "Refused"
    """No connection, or it is still loading its data."""
    TIMEOUT = "Timeout"
    """No answer within the deadline."""
    AUTH_FAILED = "AuthFailed"
    READ_ONLY = "ReadOnly"
    OUT_OF_MEMORY = "OutOfMemory"
    DISK_FULL = "DiskFull"
    LOADING = "Loading"
    """For the operator alone; the halves say REFUSED."""
    NOT_ACKNOWLEDGED = "NotAcknowledged"
    """It took a write, which did not come as far in time as spec.memory.durability asks."""
    ERROR = "Error"
    """It answered with another error, or with what is no answer of Redis."""


class HistoryReason(StrEnum):
    """What a call of the durable history's Postgres came to, for a replica's `HistoryHealth` and its API's errors."""

    OK = "Ok"
    NOT_CHECKED = "NotChecked"
    """This replica has not tried: another one writes, or nothing was to be written."""
    UNREACHABLE = "PostgresUnreachable"
    TIMEOUT = "PostgresTimeout"
    AUTH_FAILED = "PostgresAuthFailed"
    READ_ONLY = "PostgresReadOnly"
    FULL = "PostgresFull"
    TOO_MANY_CONNECTIONS = "PostgresTooManyConnections"
    NO_RIGHT = "PostgresNoRight"
    MIGRATION_FAILED = "PostgresMigrationFailed"
    DATA = "PostgresRefusedData"
    """It will never take this row; it is put aside."""
    ERROR = "PostgresError"
    REDIS = "RedisFailed"
    """Redis does not give what waits for Postgres."""


class MemoryFailure(StrEnum):
    """Why a call of a crew's memory failed by no fault of Redis: `kind` of the worker half's `BackendError`."""

    DIMENSION = "Dimension"
    VECTOR = "Vector"
    METADATA = "Metadata"
    STORE = "Store"
    FOREIGN = "Foreign"
    ERASED = "Erased"
    LOCK = "Lock"
    EMBEDDER = "Embedder"
    TEXT_TOO_LONG = "TextTooLong"
    LLM = "LLM"


class ReplicaReason(StrEnum):
    """Why a replica is not ready, or never will be: `reason` of its report and of `/readyz`."""

    READY = "Ready"
    DRAINING = "Draining"
    STATE_LOCAL = "StateLocal"
    NO_SLOTS = "NoSlots"

    WORKER_NOT_CONNECTED = "WorkerNotConnected"
    WORKER_NEVER_CONNECTED = "WorkerNeverConnected"
    WORKER_STARTING = "WorkerStarting"
    WORKER_LOST = "WorkerLost"
    WORKER_CRASH_LOOP = "WorkerCrashLoop"
    WORKER_UNRESPONSIVE = "WorkerUnresponsive"
    WORKER_PROTOCOL = "WorkerProtocol"

    # A worker that cannot serve says one of these, and ends
    INVALID_SETTINGS = "InvalidSettings"
    HOME_NOT_WRITABLE = "HomeNotWritable"
    CREWAI_BROKEN = "CrewAIBroken"
    CREWAI_UNSUPPORTED = "CrewAIUnsupported"
    BACKEND_UNAVAILABLE = "BackendUnavailable"
    BACKEND_AUTH_FAILED = "BackendAuthFailed"
    DIMENSION_MISMATCH = "DimensionMismatch"
    STORE_MISMATCH = "StoreMismatch"
    EMBEDDER_MISMATCH = "EmbedderMismatch"
    ENTRYPOINT_BROKEN = "EntrypointBroken"
    DEFINITION_BROKEN = "DefinitionBroken"
    WARM_UP_BROKEN = "WarmUpBroken"
    KICKOFF_BROKEN = "KickoffBroken"
    START_FAILED = "StartFailed"


class KickoffReason(StrEnum):
    """Why a kickoff has no result: `reason` of its record, of `/status` and of the metric of kickoffs."""

    CREW_FAILED = "CrewFailed"
    CREW_EXITED = "CrewExited"
    MEMORY_FAILED = "MemoryFailed"
    KICKOFF_TIMEOUT = "KickoffTimeout"
    HUMAN_INPUT_TIMEOUT = "HumanInputTimeout"
    CANCELLED = "Cancelled"
    OUT_OF_MEMORY = "OutOfMemory"
    CRASHED = "Crashed"
    EXITED = "Exited"
    WEDGED = "Wedged"
    SLOT_LOST = "SlotLost"
    WORKER_LOST = "WorkerLost"
    REPLICA_LOST = "ReplicaLost"
    REPLICA_DRAINED = "ReplicaDrained"
    TOO_MANY_ATTEMPTS = "TooManyAttempts"
    UNREADABLE = "Unreadable"
    SESSION_ERASED = "SessionErased"

    # Why an attempt ended here and the kickoff did not: in the log alone
    NO_SLOT = "NoSlot"
    FENCED = "Fenced"
    ENDED_ELSEWHERE = "EndedElsewhere"


class FailureKind(StrEnum):
    """`kind` of an entry of `/failures` that is no kickoff's reason."""

    MEMORY_DEGRADED = "MemoryDegraded"
    DEAD_LETTER = "DeadLetter"
    BACKGROUND_TASK = "BackgroundTask"


class ApiReason(StrEnum):
    """`reason` of an error of the API that is about the request; a replica that is not ready gives a ReplicaReason."""

    UNAUTHORIZED = "Unauthorized"
    NOT_JSON = "NotJson"
    INVALID_JSON = "InvalidJson"
    INVALID_FIELD = "InvalidField"
    MISSING_INPUTS = "MissingInputs"
    TOO_LARGE = "TooLarge"
    IDEMPOTENCY_KEY_REUSED = "IdempotencyKeyReused"
    UNKNOWN_KICKOFF = "UnknownKickoff"
    UNKNOWN_SESSION = "UnknownSession"
    UNREADABLE = "Unreadable"
    SESSION_BUSY = "SessionBusy"
    ALREADY_ENDED = "AlreadyEnded"
    ALREADY_ANSWERED = "AlreadyAnswered"
    OTHER_QUESTION = "OtherQuestion"
    NOT_PENDING = "NotPending"
    QUEUE_FULL = "QueueFull"
    KICKOFF_BYTES = "KickoffBytes"
    TOO_MANY_FOLLOWERS = "TooManyFollowers"
    TOO_MANY_LISTENERS = "TooManyListeners"
    NO_PROBER = "NoProber"
    NO_HISTORY = "NoHistory"
    INTERNAL_ERROR = "InternalError"


WORDS: Final = frozenset(
    one.value
    for words in (BackendReason, HistoryReason, MemoryFailure, ReplicaReason, KickoffReason, FailureKind, ApiReason)
    for one in words
)
"""All of them."""


def of_backend(reason: str) -> str:
    """The reason of a replica, or of an answer of its API, that Redis is to blame for: `MemoryTimeout`."""
    return f"Memory{reason}"
