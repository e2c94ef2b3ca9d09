"""What exists of a CrewDeployment, and what of others stands in its place."""

import asyncio
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment
from crew_operator.cluster_cache import CLAIM, ClusterCache
from crew_operator.desired import ownership
from crew_operator.errors import Problem
from crew_operator.kube_client import KubeClient

log = logging.getLogger(__name__)

Object = dict[str, Any]
Which = tuple[str, str]
"""Kind and name."""

KINDS = ("ConfigMap", "Service", "StatefulSet", "Deployment", "NetworkPolicy", "PodDisruptionBudget", CLAIM)
"""Listed by label; Secrets are read by their names: a label taken off by hand must not cost the password."""
CACHED = (*KINDS, "Secret")


@dataclass
class Live:
    """What was read of one CrewDeployment."""

    objects: dict[Which, Object] = field(default_factory=dict)
    """Its own."""
    claims: list[Object] = field(default_factory=list)
    """Of a managed Redis, by their number, as far as there are any."""
    foreign: dict[Which, Object] = field(default_factory=dict)
    """Objects of others that bear the name of a child."""

    def get(self, kind: str, name: str) -> Object | None:
        """Its own object, or None."""
        return self.objects.get((kind, name))

    def put(self, found: Object, kind: str) -> None:
        """Keep the newest state of an object."""
        self.objects[kind, found["metadata"]["name"]] = found

    def taken(self, crew: CrewDeployment) -> tuple[Problem, ...]:
        """What to tell of the foreign ones."""
        return tuple(ownership.problem(crew, kind, one) for (kind, _), one in self.foreign.items())


async def read(
    kube: KubeClient, cache: ClusterCache, crew: CrewDeployment, expected: Iterable[Object], *, real: bool
) -> Live:
    """All that bears our label or a child's name. Raises ApiError and UnreachableError.

    Args:
        expected: the children as they should be; of them only kind and name are used.
        real: ask the API server for everything, and the cache for nothing. Otherwise it is asked for what the cache
            does not have: one of ours that lost its label by hand, one of somebody else, or none.
    """
    owner = crew.namespace, crew.name
    # Nearly no crew has a claim of its own, and a real read need not cost all of them a request for it.
    kinds = CACHED if any(child["kind"] == CLAIM for child in expected) else tuple(set(CACHED) - {CLAIM})
    before = cache.snapshot(owner, kinds)
    listed = await _listed(kube, crew, kinds) if real else cache.list(owner, kinds)
    read: list[tuple[str, Object]] = [(kind, one) for (kind, _), one in listed.items()] if real else []
    live = Live()
    wanted = [(child["kind"], child["metadata"]["name"]) for child in expected]
    unlisted = [which for which in wanted if which not in listed]
    asked = await asyncio.gather(*(kube.get(kind, crew.namespace, name) for kind, name in unlisted))
    there = {which: one for which, one in zip(unlisted, asked, strict=True) if one is not None}
    read += [(kind, one) for (kind, _), one in there.items()]
    for which in wanted:
        if (found := listed.pop(which, None) or there.get(which)) is not None:
            (live.objects if ownership.is_ours(crew, found) else live.foreign)[which] = found
    live.objects |= {which: one for which, one in listed.items() if ownership.is_ours(crew, one)}
    if not real:
        for kind, one in read:
            cache.written(kind, one)
    elif cache.read(owner, kinds, read, before) and cache.synced:
        log.info("watch events were missing what a list found")
    return live


def labels(kind: str) -> dict[str, str]:
    """That objects of a kind have beside the owner's, to be watched and listed: the claims of Redis, which its
    StatefulSet labels with the owner too, are no children."""
    return {names.COMPONENT_LABEL: names.CREW} if kind == CLAIM else {}


async def read_claims(kube: KubeClient, crew: CrewDeployment, live: Live, members: int) -> None:
    """The claims of a managed Redis. The cache does not keep them: nothing of them changes but by us."""
    live.claims.clear()
    for number in range(members):
        name = names.redis_claim(crew.name, number)
        claim = await kube.get(CLAIM, crew.namespace, name)
        if claim is not None and ownership.is_our_claim(crew, claim):
            live.claims.append(claim)
        elif claim is not None:
            live.foreign[CLAIM, name] = claim


async def _listed(kube: KubeClient, crew: CrewDeployment, kinds: Collection[str]) -> dict[Which, Object]:
    found = {}
    for kind in (one for one in KINDS if one in kinds):
        for one in await kube.list(kind, crew.namespace, {names.OWNER_LABEL: crew.name, **labels(kind)}):
            found[kind, str(one["metadata"]["name"])] = one
    return found
