"""Every child of a crew is edited by hand in each field that matters, deleted, or disowned."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from faults.matrix.fault import Fault, Where
from faults.matrix.figures import Tells
from faults.matrix.scene import Scene

EDITED, DELETED = "Children edited by hand", "Children deleted"
KEEPS = ("clusterIP", "clusterIPs", "healthCheckNodePort")
"""Fields of a spec that a new object has otherwise."""

Child = Callable[[Scene], str]


def child(suffix: str = "") -> Child:
    return lambda scene: f"{scene.hotel.name}{suffix}"


def core(found: Mapping[str, Any] | None) -> Any:
    """What has to be as it was, of a child."""
    if found is None:
        return None
    spec = {key: value for key, value in (found.get("spec") or {}).items() if key not in KEEPS}
    about = found["metadata"]
    return spec, found.get("data"), about.get("labels"), [one["name"] for one in about.get("ownerReferences") or ()]


class Edit:
    """A patch of a child, and whether it is put right."""

    def __init__(self, kind: str, name: Child, patch: Any, how: str) -> None:
        self._kind, self._name, self._patch, self._how = kind, name, patch, how
        self._before: Any = None

    def act(self, scene: Scene) -> Iterator[None]:
        name = self._name(scene)
        self._before = core(scene.get(self._kind, name))
        scene.patch(self._kind, name, self._patch(scene) if callable(self._patch) else self._patch, self._how)
        yield

    def restored(self, scene: Scene) -> bool:
        return bool(core(scene.get(self._kind, self._name(scene))) == self._before)


class Deletion:
    """A child goes, and whether another one is there."""

    def __init__(self, kind: str, name: Child, *, same: bool = True) -> None:
        self._kind, self._name, self._same = kind, name, same
        self._before: Any = None

    def act(self, scene: Scene) -> Iterator[None]:
        self._before = scene.get(self._kind, self._name(scene))
        assert self._before is not None, f"there is no {self._kind}/{self._name(scene)}"
        scene.delete(self._kind, self._name(scene))
        yield

    def restored(self, scene: Scene) -> bool:
        now = scene.get(self._kind, self._name(scene))
        if now is None or now["metadata"]["uid"] == self._before["metadata"]["uid"]:
            return False
        return not self._same or bool(core(now) == core(self._before))


def _where(kind: str) -> Where:
    """The operator of the local cluster knows no pods of its own, so it makes no policies, which would keep it out."""
    return Where.REAL if kind == "networkpolicy" else Where.ANY


def edited(
    name: str, kind: str, suffix: str, what: str, patch: Any, tells: Tells | None = None, how: str = "merge"
) -> Fault:
    one = Edit(kind, child(suffix), patch, how)
    return Fault(f"edit-{name}", EDITED, what, one.act, tells, restored=one.restored, where=_where(kind))


def deleted(name: str, kind: str, suffix: str, tells: Tells | None = None, *, same: bool = True) -> Fault:
    one = Deletion(kind, child(suffix), same=same)
    return Fault(
        f"delete-{name}",
        DELETED,
        f"the {kind} `NAME{suffix}`",
        one.act,
        tells,
        restored=one.restored,
        where=_where(kind),
    )


def _container(name: str, **fields: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": name, **fields}]}}}}


def _server(**fields: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"initContainers": [{"name": "server", **fields}]}}}}


AWAY = Tells("MemoryReady")
STRATEGIC = "strategic"
PREFIX = {"env": [{"name": "CREWOPS_KEY_PREFIX", "value": "somebody/else"}]}
_NOBODY = {"app": "nobody"}

ENTRIES = (
    edited("deployment-replicas", "deployment", "", "Deployment: replicas 0", {"spec": {"replicas": 0}}),
    edited("deployment-image", "deployment", "", "Deployment: image of the crew", _container("crew", image="localhost/nobody:1"), how=STRATEGIC),
    edited("deployment-prefix", "deployment", "", "Deployment: CREWOPS_KEY_PREFIX of both halves", {"spec": {"template": {"spec": {"initContainers": [{"name": "server", **PREFIX}], "containers": [{"name": "crew", **PREFIX}]}}}}, how=STRATEGIC),
    edited("deployment-probe", "deployment", "", "Deployment: readiness probe of the server", _server(readinessProbe={"httpGet": {"path": "/nowhere", "port": 8081}}), how=STRATEGIC),
    edited("deployment-paused", "deployment", "", "Deployment: paused", {"spec": {"paused": True}}),
    edited("deployment-strategy", "deployment", "", "Deployment: strategy Recreate", {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}),
    edited("deployment-grace", "deployment", "", "Deployment: no grace period", {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 0}}}}),
    edited("deployment-owner", "deployment", "", "Deployment: its ownerReferences are taken away", {"metadata": {"ownerReferences": None}}),
    edited("deployment-labels", "deployment", "", "Deployment: its labels are taken away", {"metadata": {"labels": None}}),
    edited("redis-replicas", "statefulset", "-redis", "StatefulSet: replicas 0", {"spec": {"replicas": 0}}, AWAY),
    edited("redis-image", "statefulset", "-redis", "StatefulSet: image", _container("redis", image="localhost/nobody:1"), AWAY, how=STRATEGIC),
    edited("redis-args", "statefulset", "-redis", "StatefulSet: args", _container("redis", args=["--port", "7000"]), AWAY, how=STRATEGIC),
    edited("redis-on-delete", "statefulset", "-redis", "StatefulSet: updateStrategy OnDelete", {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}),
    edited("redis-retention", "statefulset", "-redis", "StatefulSet: claims are deleted with it", {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete", "whenDeleted": "Delete"}}}),
    edited("service-selector", "service", "", "Service of the crew: selector", {"spec": {"selector": _NOBODY}}),
    edited("service-port", "service", "", "Service of the crew: port", [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9999}], how="json"),
    edited("redis-service-selector", "service", "-redis", "Service of Redis: selector", {"spec": {"selector": _NOBODY}}),
    edited("redis-service-port", "service", "-redis", "Service of Redis: port", [{"op": "replace", "path": "/spec/ports/0/port", "value": 6380}], how="json"),
    edited("redis-config", "configmap", "-redis-config", "ConfigMap of Redis: redis.conf", {"data": {"redis.conf": "maxmemory-policy allkeys-lru\n"}}),
    edited("redis-users", "secret", "-redis-auth", "Secret of Redis: its users", {"data": {"auth.conf": "dXNlciBkZWZhdWx0IG9uIG5vcGFzcyB+KiAmKiArQGFsbAo="}}),
    edited("networkpolicy", "networkpolicy", "", "NetworkPolicy of the crew: lets nobody in", {"spec": {"ingress": []}}),
    edited("poddisruptionbudget", "pdb", "", "PodDisruptionBudget: all may go at once", {"spec": {"maxUnavailable": "100%"}}),
    deleted("deployment", "deployment", "", Tells("CrewAvailable")),
    deleted("redis", "statefulset", "-redis", AWAY),
    deleted("service", "service", ""),
    deleted("redis-service", "service", "-redis"),
    deleted("redis-headless-service", "service", "-redis-headless"),
    deleted("redis-config", "configmap", "-redis-config"),
    deleted("redis-auth", "secret", "-redis-auth", same=False),
    deleted("api-token", "secret", "-api-token", same=False),
    deleted("networkpolicy", "networkpolicy", ""),
    deleted("poddisruptionbudget", "pdb", ""),
    deleted("redis-networkpolicy", "networkpolicy", "-redis"),
)  # fmt: skip
