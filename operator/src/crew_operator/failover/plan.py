"""What the manifests follow while the number of members changes, by what lives. Pure.

From one to three: the member that runs is put on record and labelled as the primary before the Service looks for one
and others begin; the crew asks for replicas when all hold the same.

From three to one: the member that stays, the first, becomes primary by a planned switch; then the crew is rolled, so
that it asks for no replica; when none of its pods does any more the others go. Until then redis.conf is that of
several: a member that is started again serves nobody before it is told whom to follow. From then on it is that of one,
and the first member needs nobody to be started again once its kubelet has brought that file to its pod.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from crew_operator.api import names
from crew_operator.api.spec import MEMBERS, CrewDeployment, Durability
from crew_operator.desired import environment
from crew_operator.failover import record
from crew_operator.failover.facts import Leaving, Record
from crew_runtime.contract import resource

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """Of a managed Redis."""

    crew: CrewDeployment
    """As its Deployment should ask of Redis for now."""
    crew_should_wait: bool = False
    """For the next primary, when one goes: pods that do not are made anew before a planned switch."""
    members: int = 1
    """How many its StatefulSet should have for now."""
    by_role: bool = False
    """Its Service selects the primary by its label."""
    leaving: bool = False
    """The spec wants one member, and there were three: a controller still says who is primary."""
    over: bool = False
    """The others are gone, and the record is of no use."""
    pod_management: str = ""
    """Of the live StatefulSet, which cannot change it; empty: there is none."""


def plan(
    crew: CrewDeployment, stateful_set: Object | None, service: Object | None, deployment: Object | None,
    member_pods: Collection[str],
) -> Plan:  # fmt: skip
    """Of a crew with a managed Redis.

    Args:
        stateful_set, service, deployment: of Redis, of Redis, of the crew; as they live.
        member_pods: the names of the pods of Redis, also of those that are about to go.
    """
    wanted = crew.spec.redis.members or 1
    known = record.of(stateful_set) if stateful_set is not None else None
    policy = str(((stateful_set or {}).get("spec") or {}).get("podManagementPolicy") or "")
    if wanted > 1:
        by_role = _selects_by_role(service) or record.is_there(stateful_set)
        asking = _until_replicated(crew, deployment, known)
        return Plan(asking, _waits(crew), wanted if by_role else 1, by_role, pod_management=policy)
    if known is None and not _were_several(stateful_set, service):
        return Plan(crew, pod_management=policy)
    if known is None or stateful_set is None or not known.is_alone:
        asking = crew
        begun = known is not None and known.leaving is not Leaving.NO
        if not begun and deployment is not None and environment.asks_for_replicas(deployment):
            asking = _asking(crew, Durability.REPLICATED)
        return Plan(asking, _waits(asking), MEMBERS, by_role=True, leaving=True, pod_management=policy)
    others = record.replicas(stateful_set) > 1 or bool(set(member_pods) - {resource.redis_pod(crew.name)})
    over = known.leaving is Leaving.OVER and not others
    return Plan(crew, by_role=others, leaving=True, over=over, pod_management=policy)


def _waits(crew: CrewDeployment) -> bool:
    return crew.spec.durability is Durability.REPLICATED


def _selects_by_role(service: Object | None) -> bool:
    """One that ran alone is found by clients as before until its pod is labelled as the primary."""
    return service is None or names.ROLE_LABEL in ((service.get("spec") or {}).get("selector") or {})


def _were_several(stateful_set: Object | None, service: Object | None) -> bool:
    """Where nothing is on record, or nothing that can be read: that clients are led to the primary tells it, unless
    the others were given up by then. One that somebody scaled by hand never had a primary."""
    by_role = service is not None and _selects_by_role(service)
    if stateful_set is None:
        return by_role
    return record.replicas(stateful_set) > 1 and (by_role or service is None)


def _until_replicated(crew: CrewDeployment, deployment: Object | None, known: Record | None) -> CrewDeployment:
    """A crew whose Redis ran alone asks for replicas once there are any: no write could be acknowledged before."""
    if crew.spec.durability is not Durability.REPLICATED or deployment is None:
        return crew
    if (known is not None and known.whole) or environment.asks_for_replicas(deployment):
        return crew
    return _asking(crew, Durability.BUFFERED)


def _asking(crew: CrewDeployment, durability: Durability) -> CrewDeployment:
    return replace(crew, spec=replace(crew.spec, memory=replace(crew.spec.memory, durability=durability)))
