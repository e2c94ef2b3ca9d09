"""What all children share: their metadata, and the facts from outside the spec that go into them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crew_operator.api import names
from crew_operator.api.access import Access
from crew_operator.api.spec import CrewDeployment

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """Pods that a NetworkPolicy lets in."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Inputs:
    """What the spec does not say: the operator's settings, and what was read from the cluster."""

    runtime_image: str
    """Image of the sidecar, and of crews without an image of their own."""
    redis_image: str
    """Of a managed Redis whose spec names none."""
    redis_password: str = ""
    """The crew's, of the managed Redis; generated once, then read back from its Secret."""
    redis_operator_password: str = ""
    """The operator's own; likewise."""
    redis_retiring: tuple[str, ...] = ()
    """SHA-256 of earlier passwords of the crew that hold as well."""
    redis_replica_password: str = ""
    """The crew's as its replicas are to use it."""
    redis_replica_version: str = ""
    """What stands for that in their reports."""
    redis_password_time: str = ""
    """When the crew's password was last changed; empty: since its Secret was made it was not."""
    redis_password_file: bool = True
    """The crew's pods read the password of the managed Redis out of a file, where all that is in them can."""
    redis_credentials: str = ""
    """What stands for the operator's password that Redis was started with: another value rolls it."""
    crew_credentials: str = ""
    """The same for all that the crew is let in with, and that it lets others in with."""
    claim_size: str | None = None
    """What the live StatefulSet's claim template asks for: it is immutable, a claim is grown on the claim itself."""
    files_claim: Mapping[str, Any] | None = None
    """Spec of the live claim of the crew's files; None: there is none."""
    redis_by_role: bool = False
    """The Service of Redis selects the primary by its label; not before there is one that has it."""
    redis_members: int | None = None
    """How many the StatefulSet has while their number changes; None: as many as the spec says."""
    redis_pod_management: str = ""
    """Of the live StatefulSet, which cannot change it; empty: there is none."""
    operator: Peer | None = None
    """The operator's own pods; None: it does not know them, and makes no NetworkPolicy, which would keep it out."""
    monitoring: tuple[Mapping[str, Any], ...] = ()
    """Who else reaches the replicas' health port; peers as in a NetworkPolicy."""
    access: Access = field(default_factory=Access)
    """Who may use the crew's API."""
    api_token: str = ""
    """Of the crew's API where the operator generates it: once, then read back from its Secret."""
    files_checksum: str = ""
    """Of the definition and the certificate that the crew mounts: a change rolls the crew."""
    stopped: bool = False
    """The crew has no replica, whatever the spec says: its memories are lost, and that is what it asks for then."""


def of(crew: CrewDeployment, name: str, component: str) -> Manifest:
    """metadata of a child: labels by which it is found, and its owner, by which it is collected."""
    return {
        "name": name,
        "namespace": crew.namespace,
        "labels": labels(crew, component),
        "ownerReferences": [owner(crew)],
    }


def labels(crew: CrewDeployment, component: str) -> dict[str, str]:
    """Of every child and its pods."""
    return {
        names.NAME_LABEL: component,
        names.INSTANCE_LABEL: crew.name,
        names.PART_OF_LABEL: names.CATEGORY,
        names.MANAGED_BY_LABEL: names.FIELD_MANAGER,
        **names.selector(crew.name, component),
    }


def owner(crew: CrewDeployment) -> dict[str, Any]:
    """The owner reference: the garbage collector does the cleaning, no finalizer is needed."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": crew.name,
        "uid": crew.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def checksum(data: Any) -> str:
    """Short and stable, of anything that is JSON."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
