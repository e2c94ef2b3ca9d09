"""Who is primary, as it stands at the API server: an annotation of the StatefulSet, changed by compare-and-swap."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from crew_operator.api import names
from crew_operator.api.spec import MEMBERS
from crew_operator.cluster_cache import POD, ClusterCache
from crew_operator.errors import OperatorError
from crew_operator.failover.facts import Leaving, Member, Record
from crew_operator.kube_client import KubeClient
from crew_operator.status import pods

_LARGEST_TERM: Final = 10**15


@dataclass(frozen=True)
class Found:
    """What the API server has of one Redis."""

    members: tuple[Member, ...]
    record: Record | None
    version: str
    """By which the record is changed: whoever has written meanwhile makes it another."""
    crew: tuple[bool, ...] = ()
    """For each of the crew's pods whether it asks for replicas, and waits for the next primary when this one goes."""
    replicas: int = MEMBERS
    """How many members the StatefulSet is to have for now."""


class Board(Protocol):
    """Where one Redis' record and roles are kept. Raises OperatorError."""

    async def read(self) -> Found | None:
        """What there is; None: no StatefulSet."""

    async def write(self, record: Record, version: str) -> None:
        """Put it on record. Raises ConflictError when somebody has changed the StatefulSet since."""

    async def label(self, member: Member, role: str) -> None:
        """Let the Service for clients select this pod, or not."""

    async def delete(self, member: Member, grace: int) -> None:
        """Delete the pod; its StatefulSet makes it anew."""

    def fence(self) -> None:
        """Raises LeadershipLostError when another operator may act by now."""


class ClusterBoard:
    """The real one, of one CrewDeployment."""

    def __init__(self, kube: KubeClient, cache: ClusterCache, namespace: str, name: str) -> None:
        self._kube, self._cache = kube, cache
        self._namespace, self._name = namespace, name
        self._set = names.redis(name)
        self._uid = ""
        self._stale = False

    async def read(self) -> Found | None:
        """From the cache; from the API server after a write that somebody else was faster with."""
        owner = self._namespace, self._name
        found = self._cache.get(owner, "StatefulSet", self._set)
        if self._stale and (found := await self._kube.get("StatefulSet", self._namespace, self._set)) is not None:
            self._cache.written("StatefulSet", found)
        self._stale = False
        if found is None:
            return None
        self._uid = str(found["metadata"]["uid"])
        listed = list(self._cache.list(owner, (POD,)).values())
        return Found(
            pods.redis_members(listed, self._name, self._uid, updated=_update_revision(found)),
            of(found),
            str(found["metadata"]["resourceVersion"]),
            pods.wait_for_failover(listed),
            replicas(found),
        )

    async def write(self, record: Record, version: str) -> None:
        """By a patch with the resourceVersion that was read."""
        patch = {"metadata": {"resourceVersion": version, "annotations": {names.PRIMARY_ANNOTATION: shown(record)}}}
        try:
            now = await self._kube.merge("StatefulSet", self._namespace, self._set, patch, uid=self._uid)
        except OperatorError:
            self._stale = True
            raise
        self._cache.written("StatefulSet", now)

    async def label(self, member: Member, role: str) -> None:
        """By a merge patch: the labels of pods are nobody's to apply."""
        patch = {"metadata": {"labels": {names.ROLE_LABEL: role}}}
        now = await self._kube.merge(POD, self._namespace, member.name, patch, uid=member.uid)
        self._cache.written(POD, now)

    async def delete(self, member: Member, grace: int) -> None:
        """Exactly this pod."""
        await self._kube.delete(POD, self._namespace, member.name, uid=member.uid, grace=grace)

    def fence(self) -> None:
        """As before each write to the API server."""
        self._kube.fence()


def is_there(stateful_set: Mapping[str, Any] | None) -> bool:
    """Whether there is one, readable or not."""
    return names.PRIMARY_ANNOTATION in (((stateful_set or {}).get("metadata") or {}).get("annotations") or {})


def replicas(stateful_set: Mapping[str, Any]) -> int:
    """How many members it is to have."""
    return int((stateful_set.get("spec") or {}).get("replicas") or 1)


def of(stateful_set: Mapping[str, Any]) -> Record | None:
    """What is on record of this Redis."""
    return parsed((stateful_set["metadata"].get("annotations") or {}).get(names.PRIMARY_ANNOTATION))


def parsed(text: str | None) -> Record | None:
    """None for what no operator wrote: it is elected anew then."""
    try:
        found = json.loads(text or "")
        term, primary = int(found["term"]), str(found["primary"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    if not 0 < term < _LARGEST_TERM:
        return None
    leaving = found.get("leaving")
    stage = Leaving(leaving) if leaving in tuple(Leaving) else Leaving.NO
    return Record(term, primary, found.get("whole") is True, stage)


def shown(record: Record) -> str:
    """As it stands in the annotation."""
    leaving = {"leaving": record.leaving} if record.leaving else {}
    said = {"term": record.term, "primary": record.primary, "whole": record.whole, **leaving}
    return json.dumps(said, separators=(",", ":"))


def _update_revision(stateful_set: Mapping[str, Any]) -> str:
    """Of pods of the newest template; empty while its controller has not seen that."""
    status = stateful_set.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(stateful_set["metadata"].get("generation") or 0):
        return ""
    return str(status.get("updateRevision") or "")
