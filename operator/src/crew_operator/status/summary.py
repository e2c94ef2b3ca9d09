"""Observed facts -> the whole status of a CrewDeployment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crew_operator.api import names
from crew_operator.status import chains, conditions, durability
from crew_operator.status.conditions import timestamp
from crew_operator.status.durability import Ledger
from crew_operator.status.observed import Canary, Failure, Observed, Proof, RedisLook, reports
from crew_runtime import contract

PROOF_TOLD: Final = 3600.0
"""Seconds after which a proof is told though it says nothing new; the time of the last one is a metric."""
FIRST_CANARY_TOLD: Final = 600.0
"""Seconds after which a store's first canary is told; an operator that starts before that does not know of it."""
_SHARED = names.ConditionType.MEMORY_SHARED.value


@dataclass(frozen=True)
class Identity:
    """Of whom the status speaks."""

    namespace: str
    name: str
    store: str | None = None
    """Address of an external Redis, without credentials; None: it is managed."""


def status(before: Mapping[str, Any], seen: Observed, who: Identity, now: float) -> dict[str, Any]:
    """The status to write. Equal to `before` when there is nothing new to say; a proof that says the same again is not,
    nor is one more canary, but they go with whatever is.
    """
    told = _told_already(before, seen.proof), _canary_told(before, seen.canary, now)
    quiet = _status(before, seen, who, now, *told)
    return _status(before, seen, who, now, seen.proof, seen.canary) if differs(before, quiet) else quiet


def _status(
    before: Mapping[str, Any],
    seen: Observed,
    who: Identity,
    now: float,
    proof: Proof | None,
    canary: Canary | None,
) -> dict[str, Any]:
    found = conditions.merge(before.get("conditions") or (), chains.verdicts(seen), seen.generation, now)
    return _without_nothing(
        {
            "observedGeneration": seen.generation,
            **_counts(seen, before),
            "selector": ",".join(f"{key}={value}" for key, value in names.selector(who.name, names.CREW).items()),
            "endpoint": f"http://{who.name}.{who.namespace}.svc:{contract.HTTP_PORT}",
            "api": dict(seen.api),
            "memory": {
                **_memory(seen, who, before.get("memory") or {}, proof),
                **durability.shown(Ledger(kept=canary, loss=seen.loss)),
            },
            "crew": _crew(seen, before.get("crew") or {}),
            "credentials": {**(before.get("credentials") or {}), **seen.credentials},
            "conditions": found,
        }
    )


def differs(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Is there something to write? Conditions of others are not ours to compare."""
    own = {one["type"] for one in after["conditions"]}
    known = {**before, "conditions": [one for one in before.get("conditions") or () if one.get("type") in own]}
    known["conditions"].sort(key=lambda one: str(one["type"]))
    return known != {**after, "conditions": sorted(after["conditions"], key=lambda one: str(one["type"]))}


def _counts(seen: Observed, before: Mapping[str, Any]) -> dict[str, Any]:
    workload = seen.workload
    if isinstance(workload, Failure) or isinstance(seen.replicas, Failure):
        return {name: before.get(name) for name in ("replicas", "readyReplicas", "updatedReplicas")}
    if workload is None:
        return {"replicas": 0, "readyReplicas": 0, "updatedReplicas": 0}
    return {
        "replicas": workload.replicas,
        "readyReplicas": len(seen.ready_replicas),
        "updatedReplicas": workload.updated,
    }


def _told_already(before: Mapping[str, Any], proof: Proof | None) -> Proof | None:
    """None when the status tells of one that says the same, made not long before."""
    told = (before.get("memory") or {}).get("lastProof") or {}
    if proof is None or (told.get("subject"), told.get("replicas")) != (proof.subject, proof.replicas):
        return proof
    try:
        since = proof.time - conditions.seconds(str(told.get("time")))
    except ValueError:
        return proof
    # the time in the status is cut to the second; one from the future was written by another clock
    return None if -1 < since < PROOF_TOLD else proof


def _canary_told(before: Mapping[str, Any], newest: Canary | None, now: float) -> Canary | None:
    """The one in the status while it is of the same store and not old. A store's first one waits a little, so that a
    start costs no write more.
    """
    told = durability.recorded(before).kept
    if newest is None:
        return None
    if told is None:
        return newest if now - newest.time >= FIRST_CANARY_TOLD else None
    return told if told.store == newest.store and -1 < now - told.time < PROOF_TOLD else newest


def _memory(seen: Observed, who: Identity, before: Mapping[str, Any], last: Proof | None) -> dict[str, Any]:
    """What no replica tells just now stays as it was last told."""
    workers = [report.worker for _, report in reports(seen.live_replicas)]
    modes = [one.search_mode for one in workers if one.search_mode]
    dimensions = [one.dimension for one in workers if one.dimension]
    kept = [one.vector_type.capitalize() for one in workers if one.vector_type]
    proof = _proof(last) if last is not None and last.ok else before.get("lastProof")
    return {
        "backend": "Redis",
        **{name: seen.settled.get(name) or before.get(name) for name in ("redis", "keyPrefix", "storage")},
        "endpoint": who.store or f"redis://{names.redis(who.name)}.{who.namespace}.svc:{contract.REDIS_PORT}",
        "searchMode": modes[0] if modes else before.get("searchMode"),
        "dimension": dimensions[0] if dimensions else before.get("dimension"),
        "vectorType": kept[0] if kept else before.get("vectorType"),
        "redisRunID": _run_id(seen) or before.get("redisRunID"),
        **_members(seen),
        "lastProof": proof,
    }


def _members(seen: Observed) -> dict[str, Any]:
    if (members := seen.members) is None:
        return {}
    return {
        "primary": members.primary.name if members.primary is not None else None,
        "members": f"{members.holding} of {members.wanted}",
    }


def _run_id(seen: Observed) -> str | None:
    """Of several that take turns the one that was told stays told."""
    if seen.redis_several:
        return None
    return seen.redis.run_id if isinstance(seen.redis, RedisLook) else None


def last_proof(status: Mapping[str, Any]) -> Proof | None:
    """What an operator that ended has left: its proof still holds if it speaks of what is there now. None when the last
    attempt failed, or was not told.
    """
    told = (status.get("memory") or {}).get("lastProof") or {}
    shared = [one.get("status") for one in status.get("conditions") or () if one.get("type") == _SHARED]
    if shared != ["True"] or not told.get("subject"):
        return None
    try:
        time, latency = conditions.seconds(told["time"]), float(str(told["latency"]).removesuffix("ms")) / 1000
        return Proof(time, str(told["subject"]), ok=True, replicas=int(told["replicas"]), latency=latency)
    except (KeyError, ValueError):
        return None


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "time": timestamp(proof.time),
        "subject": proof.subject,
        "latency": f"{max(1, round(proof.latency * 1000))}ms",
        "replicas": proof.replicas,
    }


def _crew(seen: Observed, before: Mapping[str, Any]) -> dict[str, Any]:
    workers = [report.worker for _, report in reports(seen.live_replicas)]
    crewai = [one.crewai_version for one in workers if one.crewai_version]
    runtime = [one.runtime_version for one in workers if one.runtime_version]
    return {
        **{name: seen.rollout.get(name) or before.get(name) for name in ("runtimeImage", "template")},
        "crewaiVersion": crewai[-1] if crewai else before.get("crewaiVersion"),
        "runtimeVersion": runtime[-1] if runtime else before.get("runtimeVersion"),
    }


def _without_nothing(data: dict[str, Any]) -> dict[str, Any]:
    """None is not written: the API server would drop it, and the next comparison find a difference."""
    found = {name: _without_nothing(value) if isinstance(value, dict) else value for name, value in data.items()}
    return {name: value for name, value in found.items() if value is not None and value != {}}
