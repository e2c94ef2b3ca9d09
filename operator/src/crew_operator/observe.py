"""Looks at everything that a CrewDeployment consists of, all at once; a look that fails is a fact as well."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from crew_operator import redis_client
from crew_operator.api import names
from crew_operator.cluster_cache import POD, ClusterCache
from crew_operator.errors import OperatorError
from crew_operator.kube_client import KubeClient
from crew_operator.redis_client import NextCanary, Target
from crew_operator.replica_client import ReplicaClient
from crew_operator.status import pods
from crew_operator.status.observed import Failure, Observed, RedisLook, RedisPod, Replica
from crew_runtime.contract.report import Report

Pods = list[dict[str, Any]]
AT_ONCE: Final = 32
"""Replicas of one crew that are asked at once: each answer may be as long as the door lets it."""
FEW: Final = 4
"""Of one crew, however many crews are looked at."""
IN_ALL: Final = 256
"""Of all crews that are looked at, as long as that leaves each FEW."""
ENOUGH: Final = 20.0
"""Seconds after which no further replica is asked: hundreds that are silent must not use up a pass."""


class Crowd:
    """The looks that ask replicas just now."""

    def __init__(self) -> None:
        self._looks = 0

    @contextmanager
    def share(self) -> Iterator[int]:
        """How many replicas one more look may ask at once."""
        self._looks += 1
        try:
            yield max(FEW, min(AT_ONCE, IN_ALL // self._looks))
        finally:
            self._looks -= 1


@dataclass(frozen=True)
class Eyes:
    """The doors that are looked through."""

    kube: KubeClient
    replicas: ReplicaClient
    cache: ClusterCache
    crowd: Crowd = field(default_factory=Crowd)


async def look(
    eyes: Eyes,
    namespace: str,
    name: str,
    target: Target | None,
    known: Observed,
    *,
    next_canary: NextCanary = redis_client.no_canary,
    real: bool = False,
) -> Observed:
    """`known` with what pods, Redis and replicas say now. Never raises.

    Args:
        target: who to be to Redis; None while that is not known.
        known: what the pass knows already: the spec's problems, the Deployment.
        next_canary: as `redis_client.look` takes it.
        real: ask the API server for the pods, and not the cache.
    """
    listed = await _pods(eyes, namespace, name, real=real)
    if isinstance(listed, Failure):
        asked = None if target is None or known.managed else await redis_client.look(target, namespace, next_canary)
        return replace(known, replicas=listed, redis=asked or listed)
    made_by = eyes.cache.uid((namespace, name), "StatefulSet", names.redis(name))
    redis_pod = _redis_pod(listed, name, made_by, known)
    taken = pods.redis_pod_taken(listed, name, made_by) if known.managed else ""
    crew = pods.replicas(listed)
    looked, replicas = await asyncio.gather(
        _redis(target, known.managed, redis_pod, namespace, next_canary, crew),
        _reports(eyes, crew),
    )
    return replace(known, replicas=replicas, redis_pod=redis_pod, redis_pod_taken=taken, redis=looked)


def _redis_pod(listed: Pods, name: str, made_by: str, known: Observed) -> RedisPod | None:
    if not known.managed:
        return None
    if known.members is None or (known.members.primary is None and not known.members.waits):
        return pods.redis_pod(listed, name, made_by)
    primary = known.members.primary
    return pods.redis_pod(listed, name, made_by, primary.name) if primary is not None else None


async def _pods(eyes: Eyes, namespace: str, name: str, *, real: bool) -> Pods | Failure:
    owner = namespace, name
    if not real:
        return list(eyes.cache.list(owner, (POD,)).values())
    before = eyes.cache.snapshot(owner, (POD,))
    try:
        found = await eyes.kube.list(POD, namespace, {names.OWNER_LABEL: name})
    except OperatorError as error:
        return Failure(str(error))
    eyes.cache.read(owner, (POD,), ((POD, one) for one in found), before)
    return found


async def _redis(
    target: Target | None,
    managed: bool,
    pod: RedisPod | None,
    namespace: str,
    next_canary: NextCanary,
    crew: tuple[Replica, ...],
) -> RedisLook | None:
    if target is None:
        return None
    if not managed:
        return await redis_client.look(target, namespace, next_canary)
    if pod is None or not pod.ip:
        return None
    peers = frozenset(one.ip for one in crew if one.ip)
    return await redis_client.look(replace(target, host=pod.ip, peers=peers), namespace, next_canary)


async def _reports(eyes: Eyes, replicas: tuple[Replica, ...]) -> tuple[Replica, ...]:
    until = asyncio.get_running_loop().time() + ENOUGH
    with eyes.crowd.share() as at_once:
        turn = asyncio.Semaphore(at_once)
        return tuple(await asyncio.gather(*(_report(eyes.replicas, one, turn, until) for one in replicas)))


async def _report(client: ReplicaClient, one: Replica, turn: asyncio.Semaphore, until: float) -> Replica:
    if not one.ip or one.terminating:
        return one
    async with turn:
        if asyncio.get_running_loop().time() > until:
            return replace(one, report=Failure("not asked: the others took too long"))
        report = await client.report(one.ip)
    return replace(one, report=report, ready=one.ready and not _locked_out(report))


def _locked_out(report: Report | Failure) -> bool:
    """Its pod stays ready while Redis is away, so that clients are answered and told why; it serves no kickoff then."""
    return isinstance(report, Report) and not report.ready and not report.backend.ready
