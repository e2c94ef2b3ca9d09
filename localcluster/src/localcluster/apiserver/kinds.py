"""The resources that are served: Kubernetes' own out of `kubernetes.json.gz`, and those that CRDs define."""

import functools
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources as package_files
from typing import Any

from localcluster.apiserver import schema
from localcluster.apiserver.schema import Node
from localcluster.apiserver.store import Kind

Manifest = dict[str, Any]

_WITHOUT_GENERATION = {
    "configmaps", "endpoints", "events", "namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes",
    "secrets", "serviceaccounts", "services", "leases", "endpointslices", "storageclasses", "controllerrevisions",
    "clusterroles", "clusterrolebindings", "roles", "rolebindings",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One of a custom resource's `additionalPrinterColumns`."""

    name: str
    type: str
    path: str
    priority: int = 0
    description: str = ""
    format: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One version of a kind, and how it is served."""

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool
    node: Node
    """Its schema."""
    subresources: frozenset[str] = frozenset()
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
    custom: bool = False
    scale: Manifest = field(default_factory=dict)
    """A custom resource's paths of replicas and selector."""
    columns: tuple[Column, ...] = ()

    @property
    def api_version(self) -> str:
        """As manifests write it: `apps/v1`, or `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def storage(self) -> Kind:
        """What all versions are stored under."""
        return (self.group, self.plural)

    @property
    def has_generation(self) -> bool:
        """Whether a change of the wish counts up `metadata.generation`."""
        return self.custom or self.plural not in _WITHOUT_GENERATION


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """What the data file says."""

    version: str
    schemas: dict[str, Any]
    """As served to clients, with references."""
    resources: tuple[Resource, ...]


@functools.cache
def kubernetes() -> Kubernetes:
    """Read the data file: Kubernetes' own schemas and discovery."""
    packed = package_files.files(__package__).joinpath("kubernetes.json.gz").read_bytes()
    data = json.loads(gzip.decompress(packed))
    linked = schema.link(data["schemas"])
    by_gvk = {
        (gvk["group"], gvk["version"], gvk["kind"]): linked[name]
        for name, node in data["schemas"].items()
        for gvk in node.get("x-kubernetes-group-version-kind", ())
        if len(node["x-kubernetes-group-version-kind"]) == 1
    }
    found = []
    for group_version, entries in data["resources"].items():
        group, _, version = group_version.rpartition("/")
        for entry in entries:
            if "/" in entry["name"]:
                continue
            plural = entry["name"]
            found.append(
                Resource(
                    group=group,
                    version=version,
                    plural=plural,
                    kind=entry["kind"],
                    singular=entry["singularName"],
                    namespaced=entry["namespaced"],
                    node=by_gvk[group, version, entry["kind"]],
                    subresources=frozenset(
                        other["name"].partition("/")[2] for other in entries if other["name"].startswith(f"{plural}/")
                    ),
                    short_names=tuple(entry.get("shortNames", ())),
                    categories=tuple(entry.get("categories", ())),
                    verbs=tuple(entry["verbs"]),
                )
            )
    return Kubernetes(data["version"], data["schemas"], tuple(found))


def of_crd(crd: Manifest) -> Iterator[Resource]:
    """The resources that a CustomResourceDefinition defines, one for each served version."""
    spec, names = crd["spec"], crd["spec"]["names"]
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        subresources = version.get("subresources") or {}
        yield Resource(
            group=spec["group"],
            version=version["name"],
            plural=names["plural"],
            kind=names["kind"],
            singular=names.get("singular") or names["kind"].lower(),
            namespaced=spec["scope"] == "Namespaced",
            node=schema.custom((version.get("schema") or {}).get("openAPIV3Schema") or {}),
            subresources=frozenset(name for name in ("status", "scale") if name in subresources),
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            custom=True,
            scale=subresources.get("scale") or {},
            columns=tuple(
                Column(
                    one["name"],
                    one["type"],
                    one["jsonPath"],
                    one.get("priority", 0),
                    one.get("description", ""),
                    one.get("format", ""),
                )
                for one in version.get("additionalPrinterColumns") or ()
            ),
        )


class Kinds:
    """All that is served now, by path and by kind."""

    def __init__(self) -> None:
        self._served: dict[tuple[str, str, str], Resource] = {}
        for one in kubernetes().resources:
            self._served[one.group, one.version, one.plural] = one

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._served.values())

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource at a path, or None."""
        return self._served.get((group, version, plural))

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of manifests with this `apiVersion` and `kind`, or None."""
        return next((one for one in self if one.kind == kind and one.api_version == api_version), None)

    def named(self, group: str, plural: str) -> Resource:
        """Some version of a resource that is served. Raises KeyError."""
        for one in self:
            if one.storage == (group, plural):
                return one
        raise KeyError((group, plural))

    def define(self, crd: Manifest) -> None:
        """Serve what a CRD defines, in place of what it defined before."""
        self.forget(crd)
        for one in of_crd(crd):
            self._served[one.group, one.version, one.plural] = one

    def forget(self, crd: Manifest) -> None:
        """Serve no more what a CRD defined."""
        storage = (crd["spec"]["group"], crd["spec"]["names"]["plural"])
        self._served = {key: one for key, one in self._served.items() if one.storage != storage}
