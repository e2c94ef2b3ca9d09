"""What the probes say: pure, from facts to a verdict with its reason."""

from dataclasses import dataclass

from crew_runtime.contract import replica_reasons
from crew_runtime.contract.replica_reasons import ReplicaReason
from crew_runtime.contract.report import BackendHealth, StateKind

PING_DEADLINE = 2.0
NO_SLOTS_FOR = 5.0
"""A replica whose slots all died at once has the next ones within a second; only then is it not ready."""
CRASHES = 5
COMING = (ReplicaReason.WORKER_LOST, ReplicaReason.WORKER_STARTING, ReplicaReason.WORKER_NOT_CONNECTED)
"""Of a worker that has said nothing of itself yet: the next one, or the same, may come up."""


@dataclass(frozen=True)
class Facts:
    """What is known of this replica now. Durations are seconds."""

    phase: str
    worker_reason: str
    worker_message: str
    ping_age: float
    crashes: int
    no_slot_for: float
    backend: BackendHealth
    fail_closed: bool
    draining: bool
    state: tuple[StateKind, ...] = ()
    """Where the worker found CrewAI's state."""


@dataclass(frozen=True)
class Verdict:
    """Ready, or why not."""

    ready: bool
    reason: str = ReplicaReason.READY
    message: str = ""


def readiness(facts: Facts) -> Verdict:
    """Whether this replica should be given kickoffs. All slots busy is ready: they wait, or get a 503 that says so."""
    if facts.draining:
        return Verdict(False, ReplicaReason.DRAINING, "the replica is being shut down")
    return _worker(facts) or _state(facts) or _backend(facts) or Verdict(True)


def serving(facts: Facts, *, served: bool) -> Verdict:
    """Whether requests should come here: as `readiness`, but what all replicas have in common takes none of them out.

    While Redis is away no replica is of more use than another, and a client that is answered 503 with the reason and
    Retry-After knows more than one whose connection is refused.

    Args:
        served: this replica was ready before; one that comes up has to be, for a rollout waits for it.
    """
    if served and not facts.draining and not facts.backend.ready:
        return Verdict(True)
    return readiness(facts)


def acceptance(facts: Facts) -> Verdict:
    """Whether a kickoff can be taken. A replica that is shut down still takes what reaches it, over connections that
    are open and while the news travels: what is accepted lies in Redis, and another replica runs it."""
    if facts.draining:
        return _backend(facts) or Verdict(True)
    return readiness(facts)


def startup(facts: Facts) -> Verdict:
    """Whether the worker has come up."""
    return _phase(facts) or Verdict(True)


def _phase(facts: Facts) -> Verdict | None:
    if facts.phase == "ready":
        return None
    if facts.crashes >= CRASHES and facts.worker_reason in COMING:
        return Verdict(
            False,
            ReplicaReason.WORKER_CRASH_LOOP,
            f"the worker died {facts.crashes} times in 10 minutes; see its container's log",
        )
    again = f" (it ended {facts.crashes} times in 10 minutes)" if facts.crashes else ""
    return Verdict(False, facts.worker_reason or ReplicaReason.WORKER_STARTING, facts.worker_message + again)


def _worker(facts: Facts) -> Verdict | None:
    if verdict := _phase(facts):
        return verdict
    if facts.ping_age > PING_DEADLINE:
        # no seconds in it: a text that changes by itself is written into the status again and again
        text = f"the worker does not answer within {PING_DEADLINE:g} s; it is stopped or starved of CPU"
        return Verdict(False, ReplicaReason.WORKER_UNRESPONSIVE, text)
    if facts.no_slot_for > NO_SLOTS_FOR:
        return Verdict(
            False, ReplicaReason.NO_SLOTS, "the worker has no warm slot: none is ready yet, or they end before they are"
        )
    return None


def _state(facts: Facts) -> Verdict | None:
    """What stayed local by the crew's own choice is the report's to tell; nobody chose what does not fit."""
    unfit = [one for one in facts.state if one.unfit and one.local]
    if not unfit or not facts.fail_closed:
        return None
    told = "; ".join(f"{one.kind} would stay in {one.backend}, unseen by other replicas: {one.detail}" for one in unfit)
    remedy = "use a CrewAI that this runtime knows, or set spec.memory.onFailure to Degrade to run without sharing it"
    return Verdict(False, ReplicaReason.STATE_LOCAL, f"{told}; {remedy}")


def _backend(facts: Facts) -> Verdict | None:
    if facts.backend.ready or not facts.fail_closed:
        return None
    return Verdict(
        False, replica_reasons.of_backend(facts.backend.reason), facts.backend.message or "Redis has not been asked yet"
    )
