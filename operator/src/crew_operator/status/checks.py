"""One function a fact: what it says about a condition, or None when it has nothing to say. Put in order by `chains`."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from crew_operator.errors import Problem
from crew_operator.status.claims import BOUND
from crew_operator.status.observed import Failure, Observed, RedisLook, RedisState, Replica, reports
from crew_operator.words import quoted
from crew_runtime.contract.reasons import BY_WORD, Reason
from crew_runtime.contract.replica_reasons import BackendReason, HistoryReason
from crew_runtime.contract.report import HISTORY_LAG, HistoryHealth, Report

Status = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Verdict:
    """What a condition is to say."""

    status: Status
    reason: Reason
    message: str


Check = Callable[[Observed], Verdict | None]

MOST_SAID = 800
"""Characters of what has happened; a condition's message has 1,024, in which `Ready` names the condition besides."""

_REDIS_REASONS = {
    RedisState.UNREACHABLE: Reason.REDIS_UNREACHABLE,
    RedisState.WEDGED: Reason.REDIS_WEDGED,
    RedisState.LOADING: Reason.REDIS_LOADING,
    RedisState.AUTH_FAILED: Reason.REDIS_AUTH_FAILED,
    RedisState.READ_ONLY: Reason.REDIS_READ_ONLY,
    RedisState.OUT_OF_MEMORY: Reason.REDIS_OUT_OF_MEMORY,
    RedisState.DISK_FULL: Reason.REDIS_DISK_FULL,
    RedisState.ERROR: Reason.REDIS_ERROR,
}

_OF_THE_RUNTIME = frozenset(
    {
        Reason.NO_PYTHON,
        Reason.CREWAI_MISSING,
        Reason.CREWAI_TOO_OLD,
        Reason.CREWAI_UNSUPPORTED,
        Reason.CREWAI_BROKEN,
        Reason.PYTHON_UNSUPPORTED,
        Reason.INTERPRETER_UNUSABLE,
        Reason.INTERPRETER_BROKEN,
        Reason.HOME_NOT_WRITABLE,
        Reason.WORKER_NEVER_CONNECTED,
        Reason.IMAGE_RUNS_AS_ROOT,
        Reason.ENTRYPOINT_BROKEN,
        Reason.WARM_UP_BROKEN,
        Reason.DEFINITION_BROKEN,
        Reason.KICKOFF_BROKEN,
    }
)
"""Why the runtime and a crew's image do not go together; a worker that gives up uses the same words."""
_OF_VOLUMES = re.compile("persistent ?volume|storage ?class", re.IGNORECASE).search
"""What schedulers and kubelets say of a pod that waits for a claim."""


def passes_end(seen: Observed) -> Verdict | None:
    """The operator comes to the end of what it does for this CrewDeployment."""
    if not seen.broken:
        return None
    return _bad(Reason.INTERNAL_ERROR, f"reconciling keeps failing: {seen.broken}")


# The spec ------------------------------------------------------------------------------------------------------------


def spec_is_valid(seen: Observed) -> Verdict | None:
    """The parser found nothing."""
    return _problems(Reason.SPEC_INVALID, seen.problems)


def names_are_free(seen: Observed) -> Verdict | None:
    """No object of somebody else stands where a child should."""
    return _problems(Reason.NAME_TAKEN, seen.taken)


def change_is_allowed(seen: Observed) -> Verdict | None:
    """The change loses no memories."""
    return _problems(Reason.CHANGE_REFUSED, seen.refused)


def references_exist(seen: Observed) -> Verdict | None:
    """Every Secret and ConfigMap that the spec names is there."""
    return _problems(Reason.REFERENCE_NOT_FOUND, seen.missing)


def files_have_a_volume(seen: Observed) -> Verdict | None:
    """No replica waits for the claim of the crew's files. Without a pod it may have no volume: many classes make it
    where the first one is to run, and a volume that is being made is no news.
    """
    claim = seen.files
    if claim is None or claim.phase == BOUND:
        return None
    waiting = [one for one in seen.live_replicas if not one.ready]
    troubles = [one.trouble.message for one in waiting if one.trouble is not None and _OF_VOLUMES(one.trouble.message)]
    if not waiting or not (troubles or claim.warned):
        return None
    asked = f"{', '.join(claim.modes)} of {f'the class {claim.storage_class}' if claim.storage_class else 'no class'}"
    why = claim.said or troubles[0]
    return _bad(Reason.STORAGE_NOT_BOUND, f"the claim {claim.name} ({asked}) is {claim.phase}: {why}")


def wanted_have_their_files(seen: Observed) -> Verdict | None:
    """Too few replicas serve, and that is why."""
    return files_have_a_volume(seen) if len(seen.ready_replicas) < _wanted(seen) else None


def children_are_accepted(seen: Observed) -> Verdict | None:
    """The API server took all children."""
    if not seen.rejected:
        return None
    return _bad(Reason.CHILD_REJECTED, seen.rejected)


def storage_is_resized(seen: Observed) -> Verdict | None:
    """The claims have the sizes that the spec asks for."""
    if not seen.not_resized:
        return None
    return _bad(Reason.STORAGE_NOT_RESIZED, seen.not_resized)


# The replicas --------------------------------------------------------------------------------------------------------


def workload_was_seen(seen: Observed) -> Verdict | None:
    """The Deployment could be looked at."""
    if isinstance(seen.workload, Failure):
        return _unknown(Reason.NOT_OBSERVED, f"the Deployment could not be read: {seen.workload.message}")
    if isinstance(seen.replicas, Failure):
        return _unknown(Reason.NOT_OBSERVED, f"the pods could not be listed: {seen.replicas.message}")
    if seen.workload is None:
        return _bad(Reason.REPLICAS_NOT_READY, "the Deployment does not exist yet")
    return None


def crew_is_not_stopped(seen: Observed) -> Verdict | None:
    """Nobody asked for it to stop when memories are lost, or none are."""
    if not seen.stopped:
        return None
    why = "the crew is stopped, as spec.memory.onLoss says, until the loss is accepted"
    return _bad(Reason.MEMORY_LOST, why, seen.loss.remedy if seen.loss is not None else "")


def replicas_are_wanted(seen: Observed) -> Verdict | None:
    """There should be any."""
    if _wanted(seen) > 0:
        return None
    return _bad(Reason.SCALED_TO_ZERO, "spec.replicas is 0, nothing serves")


def wanted_are_ready(seen: Observed) -> Verdict | None:
    """As many as wanted serve; otherwise the first of the causes that the pods show."""
    wanted, ready = _wanted(seen), len(seen.ready_replicas)
    if ready >= wanted:
        return None
    count = f"{ready} of {wanted} replicas are ready"
    if (cause := _cause(seen.live_replicas)) is not None:
        return _bad(cause.reason, f"{count}; {cause.message}")
    starting = "; ".join(_progress(one) for one in seen.live_replicas if not one.ready)
    return _bad(Reason.REPLICAS_NOT_READY, f"{count}; {starting or 'the others have no pod yet'}")


def runtime_fits(seen: Observed) -> Verdict | None:
    """No replica failed for what its image is."""
    cause = _cause(seen.live_replicas)
    return _bad(cause.reason, cause.message) if cause is not None and cause.reason in _OF_THE_RUNTIME else None


def runtime_was_reported(seen: Observed) -> Verdict | None:
    """Else nothing is known of it."""
    if any(report.worker.crewai_version for _, report in reports(seen.live_replicas)):
        return None
    return _unknown(Reason.NOT_REPORTED, "no replica has reported yet which CrewAI it runs")


def rollout_was_accepted(seen: Observed) -> Verdict | None:
    """The Deployment's controller works on the newest spec without getting stuck."""
    if isinstance(seen.workload, Failure) or seen.workload is None:
        return None
    newest = tuple(one for one in seen.live_replicas if one.newest and not one.ready)
    if (cause := _cause(newest)) is not None:
        return _bad(cause.reason, f"the newest replicas do not start; {cause.message}")
    if seen.workload.deadline_exceeded:
        starting = "; ".join(_progress(one) for one in newest)
        return _bad(Reason.ROLLOUT_STUCK, f"no progress for ten minutes; {starting or 'see the newest pods'}")
    return None


def rollout_is_complete(seen: Observed) -> Verdict | None:
    """No replica of an older spec is left, none of the newest is missing."""
    workload = seen.workload
    if isinstance(workload, Failure) or workload is None:
        return Verdict("True", Reason.ROLLING_OUT, "the Deployment is being made")
    if workload.up_to_date and workload.updated == workload.wanted == workload.replicas == len(seen.ready_replicas):
        return None
    return Verdict(
        "True",
        Reason.ROLLING_OUT,
        f"{workload.updated} of {workload.wanted} replicas are of the newest spec, {len(seen.ready_replicas)} ready",
    )


# Redis ---------------------------------------------------------------------------------------------------------------


def redis_has_a_primary(seen: Observed) -> Verdict | None:
    """Of a replicated one: enough members agree on it."""
    if seen.members is None or not seen.members.waits:
        return None
    missing = f" ({seen.members.missing})" if seen.members.missing else ""
    return _bad(Reason.REDIS_NO_QUORUM, f"{seen.members.waits}{missing}")


def redis_has_a_pod(seen: Observed) -> Verdict | None:
    """A managed Redis has a pod with an address."""
    if not seen.managed or isinstance(seen.replicas, Failure) or (seen.redis_pod is not None and seen.redis_pod.ip):
        return None
    if seen.redis_pod_taken:
        message = (
            f"somebody else's pod has the name of Redis' pod, {seen.redis_pod_taken}: the crew's StatefulSet did not "
            "make it, so it is neither asked nor replaced"
        )
        return _bad(Reason.REDIS_POD_MISSING, message, "Delete it, and the StatefulSet makes its own.")
    pod = seen.redis_pod
    what = "the pod of Redis does not exist" if pod is None else "the pod of Redis has no address"
    detail = f": {pod.trouble}" if pod is not None and pod.trouble else ""
    return _bad(Reason.REDIS_POD_MISSING, f"{what}{detail}")


def redis_was_asked(seen: Observed) -> Verdict | None:
    """Else Unknown: silence proves nothing."""
    if seen.redis is None:
        return _unknown(Reason.NOT_OBSERVED, "Redis was not asked yet")
    if isinstance(seen.redis, Failure):
        return _unknown(Reason.NOT_OBSERVED, f"Redis could not be asked: {seen.redis.message}")
    return None


def redis_takes_writes(seen: Observed) -> Verdict | None:
    """An open port is not an answer, and a full server still answers PING."""
    look = seen.redis
    if not isinstance(look, RedisLook) or look.state is RedisState.OK:
        return None
    reason = _REDIS_REASONS[look.state]
    trouble = seen.redis_pod.trouble if seen.redis_pod is not None else ""
    return _bad(reason, f"{look.message}; {trouble}" if trouble else look.message)


def every_replica_reports(seen: Observed) -> Verdict | None:
    """A ready replica that does not answer the operator may be cut off from Redis as well."""
    silent = [one for one in seen.ready_replicas if isinstance(one.report, Failure)]
    if not silent:
        return None
    told = _list(f"{one.name}: {one.report.message}" for one in silent if isinstance(one.report, Failure))
    return _unknown(Reason.REPLICA_SILENT, f"no report from {told}")


def writes_are_acknowledged(seen: Observed) -> Verdict | None:
    """They come as far as the spec asks: each replica tries with every look at Redis."""
    short = [
        (one, report)
        for one, report in reports(seen.live_replicas)
        if report.backend.reason == BackendReason.NOT_ACKNOWLEDGED and report.phase == "ready"
    ]
    if not short:
        return None
    told = f"{_list(one.name for one, _ in short)}: {short[0][1].backend.message}"
    return _bad(Reason.WRITES_NOT_ACKNOWLEDGED, told)


def every_replica_writes(seen: Observed) -> Verdict | None:
    """What Redis is to the operator it is to the replicas; names those to which it is not.

    Replicas that are not ready count too: losing Redis is what makes them so. Those that still come up do not: nothing
    is lost yet, and one that gets no answer ends as failed by itself.
    """
    lost = [
        (one, report)
        for one, report in reports(seen.live_replicas)
        if not report.backend.ready and report.backend.reason != BackendReason.NOT_CHECKED and report.phase == "ready"
    ]
    if not lost:
        return None
    told = _list(f"{one.name}: {report.backend.reason}: {report.backend.message}" for one, report in lost)
    return _bad(Reason.REPLICA_LOST_REDIS, f"Redis answers the operator but not {told}")


def redis_is_the_one_known(seen: Observed) -> Verdict | None:
    """A restart may be over before anybody looks. Another process is said once, for what was proven of the one before
    is to be proven again."""
    if not seen.redis_restarted:
        return None
    return _bad(Reason.REDIS_RESTARTED, "Redis was started again, or another server took its place")


def redis_is_one(seen: Observed) -> Verdict | None:
    """Servers behind a balancer are one Redis as long as they hold the same data."""
    if not seen.redis_apart:
        return None
    text = "several servers answer at the address of Redis, and they hold different data"
    return _bad(Reason.REDIS_APART, text)


def every_replica_wrote_since_redis_started(seen: Observed) -> Verdict | None:
    """What a replica wrote to a Redis that has ended since proves nothing about the one that runs now."""
    if not isinstance(seen.redis, RedisLook):
        return None
    up_since = seen.redis.up_since
    stale = [one.name for one, report in reports(seen.ready_replicas) if report.backend.checked_at < up_since]
    if not stale:
        return None
    return _bad(Reason.REDIS_RESTARTED, f"Redis was started again, and {_list(stale)} has not written to it since")


# Durable memory ------------------------------------------------------------------------------------------------------


def nothing_was_lost(seen: Observed) -> Verdict | None:
    """The canary that the store has to have is there, or a newer one."""
    if seen.loss is None:
        return None
    return _bad(Reason.MEMORY_LOST, seen.loss.message, seen.loss.remedy)


def redis_was_looked_at(seen: Observed) -> Verdict | None:
    """What a server says of its persistence it says when it answers."""
    if isinstance(seen.redis, RedisLook) and seen.redis.state is RedisState.OK:
        return None
    return _unknown(Reason.MEMORY_NOT_READY, "Redis does not answer, so nothing is known of what it keeps")


def nothing_is_evicted(seen: Observed) -> Verdict | None:
    """A full Redis refuses writes, and takes nothing away."""
    if not isinstance(seen.redis, RedisLook) or not seen.redis.evicts:
        return None
    return _bad(Reason.REDIS_EVICTS, f"its maxmemory-policy is {seen.redis.evicts}")


def persistence_was_told(seen: Observed) -> Verdict | None:
    """Not every user may ask."""
    if not isinstance(seen.redis, RedisLook) or seen.redis.persistence is not None:
        return None
    return _unknown(Reason.PERSISTENCE_NOT_REPORTED, Reason.PERSISTENCE_NOT_REPORTED.cause)


def what_is_written_is_kept(seen: Observed) -> Verdict | None:
    """By an append-only file whose last write and rewrite succeeded."""
    told = seen.redis.persistence if isinstance(seen.redis, RedisLook) else None
    if told is None or (told.appends and not told.failing):
        return None
    if not told.appends:
        return _bad(Reason.REDIS_NOT_PERSISTENT, "it has appendonly no")
    reason = Reason.REDIS_PERSISTENCE_FAILING
    return _bad(reason, f"Redis says that this failed: {told.failing}")


def redis_is_replicated(seen: Observed) -> Verdict | None:
    """One more member than the primary has what is acknowledged; of one that ran alone not before all have."""
    if seen.members is None or seen.members.holding > 1 or not seen.members.whole:
        return None
    missing = seen.members.missing or "nothing is known of the others yet"
    return _bad(Reason.REDIS_NOT_REPLICATED, missing)


# Shared memory -------------------------------------------------------------------------------------------------------


def a_replica_is_ready(seen: Observed) -> Verdict | None:
    """A proof needs a replica to go through."""
    if seen.ready_replicas:
        return None
    return _unknown(Reason.NO_REPLICAS, "no replica is ready")


def nothing_is_local(seen: Observed) -> Verdict | None:
    """No replica keeps on its own disk what the others should see."""
    found = [
        f"{one.name}: {kind.kind} in {kind.backend}"
        for one, report in reports(seen.live_replicas)
        for kind in report.worker.state
        if kind.local and not kind.by_nature and (one.ready or kind.unfit)
    ]
    return _bad(Reason.LOCAL_FALLBACK, _list(found)) if found else None


def proof_is_current(seen: Observed) -> Verdict | None:
    """A proof of other pods, or from before Redis was restarted, proves nothing about these."""
    if seen.proof is not None and seen.proof.subject == seen.subject:
        return None
    return _unknown(Reason.PROOF_PENDING, "the replicas or Redis changed; the next proof runs within seconds")


def proof_succeeded(seen: Observed) -> Verdict | None:
    """What was written was read."""
    if seen.proof is None or seen.proof.ok:
        return None
    return _bad(Reason.PROOF_FAILED, seen.proof.message)


# Durable history -----------------------------------------------------------------------------------------------------

LOSS_TOLD = 24 * 3600.0
"""Seconds for which something that was not kept is told."""


def history_was_told(seen: Observed) -> Verdict | None:
    """By a replica."""
    if _histories(seen):
        return None
    return _unknown(Reason.NO_REPLICAS, "no replica has told yet how far the durable history is written")


def no_history_was_lost(seen: Observed) -> Verdict | None:
    """It was not away for so long that what waited had no room."""
    lost = max((one.lost for _, one in _histories(seen) if one.lost and one.lost_ago < LOSS_TOLD), default=0)
    return _bad(Reason.HISTORY_LOST, f"{lost} entries of the durable history were not kept") if lost else None


def postgres_takes_the_history(seen: Observed) -> Verdict | None:
    """Of some replica, when not of all: one of them writes for all."""
    told = _histories(seen)
    failing = [(name, one) for name, one in told if one.reason not in (HistoryReason.OK, HistoryReason.NOT_CHECKED)]
    writes = any(one.reason == HistoryReason.OK for _, one in told)
    if not failing or (writes and _lag(seen) <= HISTORY_LAG):
        return None
    name, one = failing[0]
    waits = f"{one.waiting} entries wait, the first for {round(_lag(seen))} s" if one.waiting else "nothing waits yet"
    return _bad(Reason.HISTORY_NOT_WRITTEN, f"{name}: {one.reason}: {one.message}; {waits}")


def history_keeps_up(seen: Observed) -> Verdict | None:
    """Nothing waits for long."""
    lag = _lag(seen)
    if lag <= HISTORY_LAG:
        return None
    waiting = max(one.waiting for _, one in _histories(seen))
    return _bad(Reason.HISTORY_BEHIND, f"{waiting} entries wait for Postgres, the first for {round(lag)} s")


def _histories(seen: Observed) -> list[tuple[str, HistoryHealth]]:
    found = ((one.name, report.history) for one, report in reports(seen.live_replicas))
    return [(name, one) for name, one in found if one is not None]


def _lag(seen: Observed) -> float:
    return max((one.lag for _, one in _histories(seen)), default=0.0)


def _wanted(seen: Observed) -> int:
    return seen.workload.wanted if seen.workload is not None and not isinstance(seen.workload, Failure) else 0


@dataclass(frozen=True)
class _Cause:
    """What is behind a condition that does not hold."""

    reason: Reason
    message: str


def _cause(replicas: Iterable[Replica]) -> _Cause | None:
    """Why a replica will not become ready by waiting, in its own words if it speaks."""
    for one in replicas:
        if isinstance(one.report, Failure) or one.report is None or not _gave_up(one, one.report):
            continue
        reason = BY_WORD.get(one.report.reason)
        if reason not in _OF_THE_RUNTIME:
            return _Cause(Reason.REPLICA_FAILED, f"{one.name}: {one.report.reason}: {one.report.message}")
        return _Cause(reason, f"{one.name}: {one.report.message}")
    for one in replicas:
        if one.trouble is not None:
            return _Cause(one.trouble.reason, f"{one.name}: {one.trouble.message}")
    return None


def _gave_up(one: Replica, report: Report) -> bool:
    """Its worker failed, or the container that should hold it runs something else."""
    return report.phase == "failed" or (one.crew_runs and report.reason == Reason.WORKER_NEVER_CONNECTED.word)


def _progress(one: Replica) -> str:
    if isinstance(one.report, Failure):
        return f"{one.name} does not answer yet: {one.report.message}"
    if one.report is None:
        return f"{one.name} has no address yet"
    if one.report.phase == "ready" and not one.report.backend.ready:
        return f"{one.name} has no answer from Redis: {one.report.backend.reason}"
    if one.report.phase == "ready" and one.report.reason:
        return f"{one.name}: {one.report.reason}: {one.report.message}"
    if one.report.phase == "ready":
        return f"{one.name} says that it is ready, its node does not: kubectl describe the pod and its node if it stays"
    return f"{one.name} is {one.report.phase}"


def _problems(reason: Reason, problems: tuple[Problem, ...]) -> Verdict | None:
    return _bad(reason, "; ".join(str(problem) for problem in problems)) if problems else None


def _bad(reason: Reason, message: str, remedy: str = "") -> Verdict:
    return Verdict("False", reason, with_remedy(message, remedy or reason.remedy))


def _unknown(reason: Reason, message: str) -> Verdict:
    return Verdict("Unknown", reason, with_remedy(message, reason.remedy))


def with_remedy(message: str, remedy: str) -> str:
    """What has happened, and what to do: a traceback is cut, what to do never is."""
    said = quoted(message, MOST_SAID, lines=True).removesuffix(".")
    return f"{said}. {remedy}"


def _list(items: Iterable[str], most: int = 3) -> str:
    """The first few and how many more: a message is read by people."""
    found = list(items)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
