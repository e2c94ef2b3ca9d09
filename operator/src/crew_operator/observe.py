"""Looks at everything that a CrewDeployment consists of, all at once; a look that fails is a fact as well."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from crew_operator import redis_client
from crew_operator.api import names
from crew_operator.errors import OperatorError
from crew_operator.kube_client import KubeClient
from crew_operator.redis_client import Target
from crew_operator.replica_client import ReplicaClient
from crew_operator.status import pods
from crew_operator.status.observed import Failure, Observed, RedisLook, RedisPod, Replica

Pods = list[dict[str, Any]]


@dataclass(frozen=True)
class Eyes:
    """The doors that are looked through."""

    kube: KubeClient
    replicas: ReplicaClient


async def look(eyes: Eyes, namespace: str, name: str, target: Target | None, known: Observed) -> Observed:
    """`known` with what pods, Redis and replicas say now. Never raises.

    Args:
        target: who to be to Redis; None while that is not known.
        known: what the pass knows already: the spec's problems, the Deployment.
    """
    listed = await _pods(eyes.kube, namespace, name)
    if isinstance(listed, Failure):
        asked = None if target is None or known.managed else await redis_client.look(target)
        return replace(known, replicas=listed, redis=asked or listed)
    redis_pod = pods.redis_pod(listed, name) if known.managed else None
    looked, replicas = await asyncio.gather(
        _redis(target, known.managed, redis_pod), _reports(eyes.replicas, pods.replicas(listed))
    )
    return replace(known, replicas=replicas, redis_pod=redis_pod, redis=looked)


async def _pods(kube: KubeClient, namespace: str, name: str) -> Pods | Failure:
    try:
        return await kube.list("Pod", namespace, {names.OWNER_LABEL: name})
    except OperatorError as error:
        return Failure(str(error))


async def _redis(target: Target | None, managed: bool, pod: RedisPod | None) -> RedisLook | None:
    if target is None:
        return None
    if not managed:
        return await redis_client.look(target)
    if pod is None or not pod.ip:
        return None
    return await redis_client.look(replace(target, host=pod.ip))


async def _reports(client: ReplicaClient, replicas: tuple[Replica, ...]) -> tuple[Replica, ...]:
    return tuple(await asyncio.gather(*(_report(client, one) for one in replicas)))


async def _report(client: ReplicaClient, one: Replica) -> Replica:
    if not one.ip or one.terminating:
        return one
    return replace(one, report=await client.report(one.ip))
