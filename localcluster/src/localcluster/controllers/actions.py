"""What a controller wants done, as data."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

Manifest = dict[str, Any]
POD_HASH = "pod-template-hash"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels, as Kubernetes: no words by accident."""


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object."""

    plural: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Replace:
    """Replace an object."""

    plural: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object."""

    plural: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Status:
    """Write an object's status, if it differs."""

    plural: str
    manifest: Manifest
    status: Manifest


@dataclass(frozen=True, slots=True)
class Tell:
    """An Event about an object."""

    about: Manifest
    reason: str
    message: str
    type: str = "Normal"


Action = Create | Replace | Delete | Status | Tell


@dataclass(slots=True)
class Plan:
    """What to do now, and when to look again without being told."""

    actions: list[Action] = field(default_factory=list)
    again: float | None = None
    """Seconds."""


def digest(value: Any) -> str:
    """Ten characters that change with the value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in hashlib.sha256(text).digest()[:10])


def owner_of(manifest: Manifest, *, controller: bool = True) -> Manifest:
    """The owner reference that points at an object."""
    metadata = manifest["metadata"]
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        **({"controller": True, "blockOwnerDeletion": True} if controller else {}),
    }


def is_owned(manifest: Manifest, owner: Manifest) -> bool:
    """Whether `owner` controls an object."""
    uid = owner["metadata"]["uid"]
    references = manifest["metadata"].get("ownerReferences") or ()
    return any(one["uid"] == uid and one.get("controller") for one in references)


def is_ready(pod: Manifest) -> bool:
    """Whether a pod's Ready condition is True."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def is_active(pod: Manifest) -> bool:
    """Whether a pod counts: neither ended nor being deleted."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not ended and not pod["metadata"].get("deletionTimestamp")


def condition(kind: str, status: str, reason: str, message: str, old: list[Manifest], now: str) -> Manifest:
    """A condition whose transition time changes only with its status."""
    before = next((one for one in old if one["type"] == kind), None)
    same = before is not None and before["status"] == status
    told = {"type": kind, "status": status, "reason": reason, "message": message}
    if before is not None and all(before.get(key) == value for key, value in told.items()):
        return before
    return {
        **told,
        "lastTransitionTime": before["lastTransitionTime"] if same and before else now,
        "lastUpdateTime": now,
    }


def scaled(value: int | str | None, of: int, *, up: bool) -> int:
    """An absolute number or a percentage of `of`."""
    if isinstance(value, str) and value.endswith("%"):
        share = int(value[:-1]) * of
        return -(-share // 100) if up else share // 100
    return int(value or 0)
