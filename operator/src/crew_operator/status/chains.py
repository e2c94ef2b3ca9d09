"""Condition -> the checks that decide it, in order; the first that has something to say decides.

The order runs from cause to consequence. A chain in which no check speaks ends in its True.
"""

from collections.abc import Callable

from crew_operator.api.names import ConditionType
from crew_operator.status import checks
from crew_operator.status.checks import Check, Verdict
from crew_operator.status.observed import Observed, RedisLook, reports
from crew_runtime.contract.reasons import Reason

Chain = tuple[Check, ...]

CREW_AVAILABLE: Chain = (
    checks.workload_was_seen,
    checks.crew_is_not_stopped,
    checks.replicas_are_wanted,
    checks.wanted_have_their_files,
    checks.wanted_are_ready,
)

MEMORY_READY: Chain = (
    checks.redis_has_a_primary,
    checks.redis_has_a_pod,
    checks.redis_was_asked,
    checks.redis_takes_writes,
    checks.writes_are_acknowledged,  # Redis is there, which the next one would say it is not
    checks.every_replica_writes,  # names those that could not
    checks.every_replica_reports,  # a replica that is silent may be cut off
    checks.redis_is_one,
    checks.redis_is_the_one_known,
    checks.every_replica_wrote_since_redis_started,  # a look at the Redis before is no look at this one
)

MEMORY_DURABLE: Chain = (
    checks.nothing_was_lost,
    checks.redis_was_looked_at,
    checks.nothing_is_evicted,
    checks.persistence_was_told,
    checks.what_is_written_is_kept,
    checks.redis_is_replicated,
)

MEMORY_SHARED: Chain = (
    checks.nothing_is_local,  # it may be why none is ready, and on one node a local store may pass the proof
    checks.a_replica_is_ready,
    checks.proof_is_current,
    checks.proof_succeeded,
)

RUNTIME_COMPATIBLE: Chain = (
    checks.runtime_fits,
    checks.runtime_was_reported,
)

HISTORY_CURRENT: Chain = (
    checks.history_was_told,
    checks.no_history_was_lost,  # which cannot be mended
    checks.postgres_takes_the_history,
    checks.history_keeps_up,
)

PROGRESSING: Chain = (
    checks.passes_end,
    checks.spec_is_valid,
    checks.names_are_free,
    checks.change_is_allowed,
    checks.references_exist,
    checks.children_are_accepted,
    checks.workload_was_seen,
    checks.files_have_a_volume,  # the next one would say no more than that a pod was not scheduled
    checks.rollout_was_accepted,
    checks.storage_is_resized,
    checks.rollout_is_complete,
)


def verdicts(seen: Observed) -> dict[ConditionType, Verdict]:
    """All conditions of the operator, in the order in which they are shown."""
    memory_ready = _decide(seen, MEMORY_READY, _answers)
    found = {
        ConditionType.CREW_AVAILABLE: _decide(seen, CREW_AVAILABLE, _available),
        ConditionType.MEMORY_READY: memory_ready,
        ConditionType.MEMORY_DURABLE: _decide(seen, MEMORY_DURABLE, _durable),
        ConditionType.MEMORY_SHARED: _shared(seen, memory_ready),
        ConditionType.RUNTIME_COMPATIBLE: _decide(seen, RUNTIME_COMPATIBLE, _compatible),
        ConditionType.PROGRESSING: _decide(seen, PROGRESSING, _complete),
    }
    if seen.durable_history:
        found[ConditionType.HISTORY_CURRENT] = _decide(seen, HISTORY_CURRENT, _written)
    return {ConditionType.READY: _ready(seen, found), **found}


def _decide(seen: Observed, chain: Chain, otherwise: Callable[[Observed], Verdict]) -> Verdict:
    for check in chain:
        verdict = check(seen)
        if verdict is not None:
            return verdict
    return otherwise(seen)


def _shared(seen: Observed, memory_ready: Verdict) -> Verdict:
    if memory_ready.status != "True":
        why = f"memory is not ready ({memory_ready.reason.word}), so nothing can be proven"
        told = checks.with_remedy(why, Reason.MEMORY_NOT_READY.remedy)
        return Verdict("Unknown", Reason.MEMORY_NOT_READY, told)
    return _decide(seen, MEMORY_SHARED, _proven)


def _ready(seen: Observed, found: dict[ConditionType, Verdict]) -> Verdict:
    """The first condition that does not hold, a cause before its consequences."""
    order = (
        ConditionType.PROGRESSING,
        ConditionType.MEMORY_READY,
        ConditionType.MEMORY_DURABLE,
        ConditionType.CREW_AVAILABLE,
        ConditionType.RUNTIME_COMPATIBLE,
        ConditionType.MEMORY_SHARED,
    )
    if seen.broken:
        return Verdict("Unknown", Reason.INTERNAL_ERROR, found[ConditionType.PROGRESSING].message)
    but = _but(seen, found[ConditionType.MEMORY_DURABLE], found.get(ConditionType.HISTORY_CURRENT))
    words = "; ".join(text for _, text in but)
    for type_ in order:
        verdict = found[type_]
        if verdict.status != "True" and not (type_ is ConditionType.MEMORY_DURABLE and _is_others_to_say(seen)):
            also = f"; also: {words}" if but else ""
            return Verdict(verdict.status, verdict.reason, f"{type_.value}: {verdict.message}{also}")
    if but:
        return Verdict("True", but[0][0], f"serves, but {words}")
    return Verdict("True", Reason.ALL_GOOD, f"{_replicas(len(seen.ready_replicas))} with one memory")


def _is_others_to_say(seen: Observed) -> bool:
    """How an external Redis persists: by replicas or snapshots that INFO does not tell of. What it has lost it has."""
    return not seen.managed and seen.loss is None


def _but(seen: Observed, durable: Verdict, history: Verdict | None) -> list[tuple[Reason, str]]:
    """What somebody should know of a crew that serves, the worst first."""
    found = []
    if durable.status == "False" and _is_others_to_say(seen):
        found.append((durable.reason, f"{durable.reason.word}: {durable.message.rstrip('.')}"))
    if seen.open_as_before:
        text = "its API asks for no token, as before there was spec.crew.api: set spec.crew.api.auth to Token or None"
        found.append((Reason.API_OPEN, text))
    if away := _away(seen):
        found.append((Reason.REDIS_MEMBER_MISSING, away))
    if history is not None and history.status == "False":
        found.append((history.reason, f"HistoryCurrent: {history.message.rstrip('.')}"))
    if seen.redis_nearly_full:
        found.append((Reason.REDIS_NEARLY_FULL, "Redis is more than 85 % full"))
    if seen.disk_nearly_full:
        found.append((Reason.REDIS_DISK_NEARLY_FULL, "the volume of Redis may be full before long"))
    if seen.ignored_env:
        names = ", ".join(seen.ignored_env)
        text = f"{names} in spec.crew.env not applied: the operator sets CREWOPS_*; remove it"
        found.append((Reason.ENV_IGNORED, text))
    return found


def _away(seen: Observed) -> str:
    """Which members of a replicated Redis do not hold its data; empty: all do, or nothing is known yet."""
    members = seen.members
    if members is None or not members.term or members.holding >= members.wanted:
        return ""
    return f"{members.holding} of {members.wanted} members of Redis hold its data ({members.missing})"


def _available(seen: Observed) -> Verdict:
    count = len(seen.ready_replicas)
    return Verdict("True", Reason.AVAILABLE, f"{_replicas(count)} ready")


def _answers(seen: Observed) -> Verdict:
    if seen.redis_nearly_full:
        text = f"Redis takes writes, but will be full before long. {Reason.REDIS_NEARLY_FULL.remedy}"
        return Verdict("True", Reason.REDIS_NEARLY_FULL, text)
    engine = "Redis" if isinstance(seen.redis, RedisLook) else "the store"
    count = len(seen.ready_replicas)
    others = f"and {_replicas(count)}" if count else "(no replica is ready to ask it too)"
    return Verdict("True", Reason.ANSWERS, f"{engine} answers PING and takes writes, for the operator {others}")


def _durable(seen: Observed) -> Verdict:
    if away := _away(seen):
        reason = Reason.REDIS_MEMBER_MISSING
        return Verdict("True", reason, f"{away}. {reason.remedy}")
    if seen.disk_nearly_full:
        reason = Reason.REDIS_DISK_NEARLY_FULL
        return Verdict("True", reason, f"{reason.cause} {reason.remedy}")
    place = "the volume of Redis" if seen.managed else "the disk of Redis"
    if seen.members is not None:
        place = f"the volumes of all {seen.members.wanted} members of Redis"
    text = f"nothing is evicted, and what is written goes to an append-only file on {place}"
    if isinstance(seen.redis, RedisLook) and seen.redis.canary is None:
        return Verdict("True", Reason.DURABLE, f"{text}; its user may not read the canary, so a loss would not be seen")
    return Verdict("True", Reason.DURABLE, f"{text}; what was last seen in it is there")


def _proven(seen: Observed) -> Verdict:
    count = seen.proof.replicas if seen.proof is not None else 0
    messages = {1: "what the one replica wrote was read back", 2: "what one replica wrote, the other one read"}
    return Verdict("True", Reason.PROVEN, messages.get(count, f"what one replica wrote, the {count - 1} others read"))


def _compatible(seen: Observed) -> Verdict:
    workers = [report.worker for _, report in reports(seen.live_replicas) if report.worker.crewai_version]
    found = sorted({f"CrewAI {one.crewai_version} on Python {one.python_version}" for one in workers})
    return Verdict("True", Reason.COMPATIBLE, f"{' and '.join(found)}, in {workers[-1].interpreter or 'the image'}")


def _written(seen: Observed) -> Verdict:
    return Verdict("True", Reason.HISTORY_WRITTEN, "what has ended is in Postgres")


def _complete(seen: Observed) -> Verdict:
    return Verdict("True", Reason.ROLLOUT_COMPLETE, f"{_replicas(len(seen.ready_replicas))} of the newest spec")


def _replicas(count: int) -> str:
    return f"{count} replica{'' if count == 1 else 's'}"
