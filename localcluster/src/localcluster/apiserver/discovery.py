"""What the server tells about itself: groups, resources, versions, OpenAPI. `Kinds` in, documents out; no IO."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from localcluster.apiserver.kinds import Kinds, Resource, kubernetes

Manifest = dict[str, Any]
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_SCALE = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
_SUBRESOURCE_VERBS = {"log": ["get"], "proxy": ["create", "delete", "get", "patch", "update"]}
_PROXY_KIND = "PodProxyOptions"


def version() -> Manifest:
    """The answer to /version."""
    major, minor, _ = kubernetes().version.removeprefix("v").split(".", 2)
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"{kubernetes().version}+crewctl",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }


def _groups(kinds: Kinds) -> dict[str, dict[str, list[Resource]]]:
    found: dict[str, dict[str, list[Resource]]] = defaultdict(lambda: defaultdict(list))
    for one in kinds:
        found[one.group][one.version].append(one)
    return found


def groups(kinds: Kinds) -> Manifest:
    """The answer to /apis for clients that do not ask for the aggregated form."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [group(kinds, name) for name in _groups(kinds) if name],
    }


def group(kinds: Kinds, name: str) -> Manifest | None:
    """The answer to /apis/GROUP, or None."""
    versions = [{"groupVersion": f"{name}/{one}", "version": one} for one in _groups(kinds).get(name, {})]
    if not versions:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": versions, "preferredVersion": versions[0]}


def resources(kinds: Kinds, name: str, version_name: str) -> Manifest | None:
    """The answer to /apis/GROUP/VERSION, or None."""
    served = _groups(kinds).get(name, {}).get(version_name)
    if not served:
        return None
    group_version = f"{name}/{version_name}" if name else version_name
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": [entry for one in served for entry in _entries(one)],
    }


def _entries(one: Resource) -> Iterator[Manifest]:
    yield {
        "name": one.plural,
        "singularName": one.singular,
        "namespaced": one.namespaced,
        "kind": one.kind,
        "verbs": list(one.verbs),
        **({"shortNames": list(one.short_names)} if one.short_names else {}),
        **({"categories": list(one.categories)} if one.categories else {}),
    }
    for name in sorted(one.subresources):
        kind = _SCALE if name == "scale" else {"kind": _PROXY_KIND if name == "proxy" else one.kind}
        verbs = _SUBRESOURCE_VERBS.get(name, ["get", "patch", "update"])
        yield {
            "name": f"{one.plural}/{name}",
            "singularName": "",
            "namespaced": one.namespaced,
            **kind,
            "verbs": verbs,
        }


def aggregated(kinds: Kinds, *, core: bool) -> Manifest:
    """The answer to /api or /apis in the aggregated form (apidiscovery.k8s.io/v2)."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": name} if name else {},
                "versions": [
                    {"version": one, "freshness": "Current", "resources": [_discovered(res) for res in served]}
                    for one, served in versions.items()
                ],
            }
            for name, versions in _groups(kinds).items()
            if (not name) is core
        ],
    }


def _discovered(one: Resource) -> Manifest:
    kind = {"group": one.group, "version": one.version, "kind": one.kind}
    return {
        "resource": one.plural,
        "responseKind": kind,
        "scope": "Namespaced" if one.namespaced else "Cluster",
        "singularResource": one.singular,
        "verbs": list(one.verbs),
        **({"shortNames": list(one.short_names)} if one.short_names else {}),
        **({"categories": list(one.categories)} if one.categories else {}),
        "subresources": [
            {
                "subresource": name,
                "responseKind": {"scale": _SCALE, "proxy": {**kind, "kind": _PROXY_KIND}}.get(name, kind),
                "verbs": _SUBRESOURCE_VERBS.get(name, ["get", "patch", "update"]),
            }
            for name in sorted(one.subresources)
        ],
    }


def openapi_index(kinds: Kinds, revision: int) -> Manifest:
    """The answer to /openapi/v3."""
    paths = {
        ("apis/" + name if name else "api") + f"/{one}" for name, versions in _groups(kinds).items() for one in versions
    }
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={revision}"} for path in sorted(paths)}}


def openapi(kinds: Kinds, name: str, version_name: str) -> Manifest | None:
    """The answer to /openapi/v3/apis/GROUP/VERSION: what kubectl validates and explains with. None when not served."""
    served = _groups(kinds).get(name, {}).get(version_name)
    if not served:
        return None
    schemas: Manifest = {}
    paths: Manifest = {}
    for one in served:
        gvk = {"group": one.group, "version": one.version, "kind": one.kind}
        if one.custom:
            _add_custom(one, gvk, schemas)
        else:
            _add_builtin(gvk, schemas)
        _add_paths(one, gvk, paths)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": kubernetes().version},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _add_builtin(gvk: Manifest, schemas: Manifest) -> None:
    for name, node in kubernetes().schemas.items():
        if gvk in node.get("x-kubernetes-group-version-kind", ()):
            _add_reached(name, schemas)


def _add_reached(name: str, schemas: Manifest) -> None:
    wanted = [name]
    while wanted:
        one = wanted.pop()
        if one not in schemas:
            schemas[one] = kubernetes().schemas[one]
            wanted += _references(schemas[one])


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rsplit("/", 1)[1]
        for inner in node.values():
            yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)


def _add_custom(one: Resource, gvk: Manifest, schemas: Manifest) -> None:
    name = ".".join([*reversed(one.group.split(".")), one.version, one.kind])
    node = dict(one.node)
    node["properties"] = {
        **(one.node.get("properties") or {}),
        "metadata": {"allOf": [{"$ref": f"#/components/schemas/{_OBJECT_META}"}]},
    }
    node["x-kubernetes-group-version-kind"] = [gvk]
    schemas[name] = node
    _add_reached(_OBJECT_META, schemas)


def _add_paths(one: Resource, gvk: Manifest, paths: Manifest) -> None:
    root = f"/apis/{one.group}/{one.version}" if one.group else f"/api/{one.version}"
    scoped = f"{root}/namespaces/{{namespace}}/{one.plural}" if one.namespaced else f"{root}/{one.plural}"
    query = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldValidation")]
    about = {"x-kubernetes-group-version-kind": gvk, "responses": {"200": {"description": "OK"}}}
    writing = {**about, "parameters": query}
    paths[scoped] = {
        "get": {**about, "x-kubernetes-action": "list"},
        "post": {**writing, "x-kubernetes-action": "post"},
    }
    paths[f"{scoped}/{{name}}"] = {
        "get": {**about, "x-kubernetes-action": "get"},
        "put": {**writing, "x-kubernetes-action": "put"},
        "patch": {**writing, "x-kubernetes-action": "patch"},
        "delete": {**about, "x-kubernetes-action": "delete"},
    }
