"""Kubernetes over HTTP: a request -> a verb of the registry -> JSON. An ASGI application without a router:
the API's paths are regular.
"""

import base64
import hmac
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import yaml
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from localcluster.apiserver import discovery, protobuf, proxy, selectors, tables, watch
from localcluster.apiserver.kinds import Resource
from localcluster.apiserver.registry import Deletion, Options, Registry
from localcluster.apiserver.status import ApiError, bad_request

Manifest = dict[str, Any]
_PATCHES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}
_WATCH_SECONDS = 1800.0
"""How long a watch lives when the client does not say; the real one's minimum."""


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which part of a container's log is wanted."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    tail: int | None = None
    """Last lines; None: all."""


class LogSource(Protocol):
    """Who keeps the containers' logs: the node."""

    def read_log(self, pod: Manifest, query: LogQuery) -> AsyncIterator[bytes]:
        """The log in pieces. Raises ApiError before the first when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names."""

    resource: Resource
    namespace: str
    name: str
    subresource: str


class Routes:
    """The application. `requests` counts (verb, plural) of all that came in."""

    def __init__(self, registry: Registry, token: str) -> None:
        self._registry = registry
        self._token = token
        self.requests: Counter[tuple[str, str]] = Counter()
        self.logs: LogSource | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            path = self._admitted(request)
            response = await self._answer(request, path)
        except ApiError as error:
            response = _json(error.status(), error.code)
        await response(scope, receive, send)

    def _admitted(self, request: Request) -> list[str]:
        """The path's parts after the secret one. kubectl sends no bearer token over plain HTTP, hence in the path."""
        parts = request.url.path.strip("/").split("/")
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(parts[0].encode(), self._token.encode()):
            return parts[1:]
        if hmac.compare_digest(sent.encode(), self._token.encode()):
            return parts
        raise ApiError(401, "Unauthorized", "Unauthorized: use the kubeconfig that crewctl wrote")

    async def _answer(self, request: Request, parts: list[str]) -> Response:
        told = self._about(request, parts)
        if told is not None:
            return told
        match parts:
            case ["api", "v1", "namespaces", namespace, "pods", name, "proxy", *path]:
                return await self._proxy(request, namespace, name, "/".join(path))
        target = self._target(parts)
        query = request.query_params
        if request.method == "GET":
            if target.subresource == "log":
                return await self._log(target, query)
            if target.name:
                self._count("get", target)
                return self._get(request, target)
            if query.get("watch") in ("1", "true"):
                self._count("watch", target)
                return self._watch(request, target)
            self._count("list", target)
            return self._list(request, target)
        return await self._write(request, target)

    def _count(self, verb: str, target: Target) -> None:
        name = f"{target.resource.plural}/{target.subresource}" if target.subresource else target.resource.plural
        self.requests[verb, name] += 1

    # -- what the server tells about itself

    def _about(self, request: Request, parts: list[str]) -> Response | None:
        kinds = self._registry.kinds
        match parts:
            case ["version"]:
                return _json(discovery.version())
            case ["healthz" | "readyz" | "livez", *_]:
                return Response("ok", media_type="text/plain")
            case ["api"] | ["apis"]:
                if "as=APIGroupDiscoveryList" in request.headers.get("accept", ""):
                    kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
                    return _json(discovery.aggregated(kinds, core=parts == ["api"]), kind=kind)
                if parts == ["api"]:
                    return _json({"kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"]})
                return _json(discovery.groups(kinds))
            case ["apis", group]:
                return _json(_found(discovery.group(kinds, group)))
            case ["api", version]:
                return _json(_found(discovery.resources(kinds, "", version)))
            case ["apis", group, version]:
                return _json(_found(discovery.resources(kinds, group, version)))
            case ["openapi", "v3"]:
                return _json(discovery.openapi_index(kinds, self._registry.store.revision))
            case ["openapi", "v3", "api", version]:
                return _json(_found(discovery.openapi(kinds, "", version)))
            case ["openapi", "v3", "apis", group, version]:
                return _json(_found(discovery.openapi(kinds, group, version)))
            case _:
                return None

    def _target(self, parts: list[str]) -> Target:
        match parts:
            case ["api", version, *rest]:
                group = ""
            case ["apis", group, version, *rest]:
                pass
            case _:
                raise _no_path()
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        resource = self._registry.kinds.find(group, version, rest[0]) if rest else None
        name, subresource = (*rest[1:], "", "")[:2]
        if resource is None or len(rest) > 3 or (subresource and subresource not in resource.subresources):
            raise _no_path()
        if name and resource.namespaced and not namespace:
            raise _no_path()
        return Target(resource, namespace, name, subresource)

    # -- reading

    def _get(self, request: Request, target: Target) -> Response:
        manifest = self._registry.read(target.resource, target.namespace, target.name, target.subresource)
        return self._shown(request, target, manifest)

    def _shown(self, request: Request, target: Target, manifest: Manifest, code: int = 200) -> Response:
        accept = request.headers.get("accept", "")
        if target.subresource != "scale":
            manifest = _versioned(target.resource, manifest)
            if "as=Table" in accept:
                include = request.query_params.get("includeObject", "Metadata")
                shown = tables.table(target.resource, [manifest], self._registry.clock(), include)
                shown["metadata"] = {"resourceVersion": manifest["metadata"].get("resourceVersion", "")}
                return _json(shown, code)
            if "as=PartialObjectMetadata" in accept:
                return _json(tables.partial(manifest), code)
        return _json(manifest, code)

    def _matching(self, query: Mapping[str, str], target: Target) -> selectors.Predicate:
        by_labels = selectors.by_labels(query.get("labelSelector", ""))
        by_fields = selectors.by_fields(query.get("fieldSelector", ""))
        return lambda manifest: by_labels(manifest) and by_fields(manifest)

    def _list(self, request: Request, target: Target) -> Response:
        query = request.query_params
        store, resource = self._registry.store, target.resource
        matches = self._matching(query, target)
        everything = not query.get("labelSelector") and not query.get("fieldSelector")
        records = [
            one for one in store.select(resource.storage, target.namespace) if everything or matches(one.manifest)
        ]
        metadata: Manifest = {"resourceVersion": str(store.revision)}
        after = _continued(query.get("continue", ""))
        if after:
            keys = (
                (one.manifest["metadata"].get("namespace", ""), one.manifest["metadata"]["name"]) for one in records
            )
            records = [one for one, key in zip(records, list(keys), strict=True) if key > after]
        limit = int(query.get("limit") or 0)
        if limit and len(records) > limit:
            metadata["remainingItemCount"] = len(records) - limit
            records = records[:limit]
            last = records[-1].manifest["metadata"]
            token = json.dumps([last.get("namespace", ""), last["name"]])
            metadata["continue"] = base64.urlsafe_b64encode(token.encode()).decode()
        accept = request.headers.get("accept", "")
        manifests = [_versioned(resource, one.manifest) for one in records]
        if "as=Table" in accept:
            include = query.get("includeObject", "Metadata")
            shown = tables.table(resource, manifests, self._registry.clock(), include)
            return _json({**shown, "metadata": metadata})
        head: Manifest = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata}
        if "as=PartialObjectMetadata" in accept:
            head |= {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
            return _json({**head, "items": [tables.partial(one) for one in manifests]})
        bodies = (
            one.body if manifest is one.manifest else json.dumps(manifest).encode()
            for one, manifest in zip(records, manifests, strict=True)
        )
        text = json.dumps(head, separators=(",", ":")).encode()[:-1] + b',"items":[' + b",".join(bodies) + b"]}"
        return Response(text, media_type="application/json")

    def _watch(self, request: Request, target: Target) -> Response:
        query = request.query_params
        initial = query.get("sendInitialEvents")
        if initial is not None and query.get("resourceVersionMatch") != "NotOlderThan":
            raise bad_request("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        wanted = watch.Wanted(
            resource=target.resource,
            namespace=target.namespace,
            matches=self._matching(query, target),
            revision=query.get("resourceVersion", ""),
            send_initial=None if initial is None else initial == "true",
            bookmarks=query.get("allowWatchBookmarks") == "true",
            seconds=float(query.get("timeoutSeconds") or _WATCH_SECONDS),
            shape=watch.shaper(target.resource, request.headers.get("accept", ""), self._registry.clock),
        )
        lines = watch.lines(self._registry.store, wanted, time.monotonic)
        return StreamingResponse(lines, media_type="application/json")

    async def _log(self, target: Target, query: Mapping[str, str]) -> Response:
        self._count("get", target)
        pod = self._registry.get(target.resource, target.namespace, target.name).manifest
        if self.logs is None or not pod["spec"].get("nodeName"):
            raise bad_request(f"pod {target.name} does not have a host assigned")
        wanted = LogQuery(
            container=query.get("container", ""),
            follow=query.get("follow") == "true",
            previous=query.get("previous") == "true",
            tail=int(query["tailLines"]) if query.get("tailLines") else None,
        )
        pieces = self.logs.read_log(pod, wanted)
        first = await anext(pieces, b"")  # so that a refusal becomes an answer of its own

        async def whole() -> AsyncIterator[bytes]:
            yield first
            async for piece in pieces:
                yield piece

        return StreamingResponse(whole(), media_type="text/plain")

    async def _proxy(self, request: Request, namespace: str, name: str, path: str) -> Response:
        wanted = proxy.parse(name)
        target = self._target(["api", "v1", "namespaces", namespace, "pods", wanted.pod, "proxy"])
        self._count(proxy.VERBS.get(request.method, "get"), target)
        pod = self._registry.get(target.resource, namespace, wanted.pod).manifest
        return await proxy.forward(request, proxy.url(pod, wanted), path)

    # -- writing

    async def _write(self, request: Request, target: Target) -> Response:
        query = request.query_params
        warnings: list[str] = []
        agent = request.headers.get("user-agent", "unknown").split("/")[0]
        options = Options(
            manager=query.get("fieldManager") or agent,
            dry_run="All" in query.getlist("dryRun"),
            field_validation=query.get("fieldValidation") or "Warn",
            force=query.get("force") in ("true", "1"),
            warnings=warnings,
        )
        body = await request.body()
        match request.method:
            case "POST":
                response = self._create(request, target, _decoded(body, request), options)
            case "PUT":
                self._count("update", target)
                written = self._registry.update(
                    target.resource, target.namespace, target.name, _decoded(body, request), options, target.subresource
                )
                response = self._shown(request, target, written)
            case "PATCH":
                response = self._patch(request, target, body, options)
            case "DELETE":
                response = self._delete(request, target, _decoded(body, request) if body else {}, query)
            case _:
                raise ApiError(
                    405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
                )
        for text in warnings:
            quoted = text.replace("\\", "\\\\").replace('"', '\\"').encode("ascii", "replace").decode()
            response.headers.append("Warning", f'299 - "{quoted}"')
        return response

    def _create(self, request: Request, target: Target, manifest: Manifest, options: Options) -> Response:
        self._count("create", target)
        if target.name or (target.resource.namespaced and not target.namespace):
            raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        return self._shown(
            request, target, self._registry.create(target.resource, target.namespace, manifest, options), 201
        )

    def _patch(self, request: Request, target: Target, body: bytes, options: Options) -> Response:
        kind = _PATCHES.get(request.headers.get("content-type", "").split(";")[0])
        if kind is None:
            raise ApiError(415, "UnsupportedMediaType", f"accepted patches: {', '.join(_PATCHES)}")
        self._count("apply" if kind == "apply" else "patch", target)
        if kind == "apply" and not request.query_params.get("fieldManager"):
            raise ApiError(
                422,
                "Invalid",
                'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
            )
        change = _decoded(body, request)
        manifest, created = self._registry.patch(
            target.resource, target.namespace, target.name, kind, change, options, target.subresource
        )
        return self._shown(request, target, manifest, 201 if created else 200)

    def _delete(self, request: Request, target: Target, body: Manifest, query: Any) -> Response:
        self._count("delete" if target.name else "deletecollection", target)
        conditions = body.get("preconditions") or {}
        grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        how = Deletion(
            propagation=body.get("propagationPolicy") or query.get("propagationPolicy") or "Background",
            grace_seconds=None if grace is None else int(grace),
            uid=conditions.get("uid"),
            revision=conditions.get("resourceVersion"),
            dry_run="All" in (body.get("dryRun") or query.getlist("dryRun")),
        )
        resource = target.resource
        if not target.name:
            matches = self._matching(query, target)
            found = [one.manifest for one in self._registry.store.select(resource.storage, target.namespace)]
            for manifest in filter(matches, found):
                metadata = manifest["metadata"]
                self._registry.delete(resource, metadata.get("namespace", ""), metadata["name"], how)
            return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
        manifest, gone = self._registry.delete(resource, target.namespace, target.name, how)
        if not gone or resource.plural == "pods":
            return self._shown(request, target, manifest)
        details = {
            "name": target.name,
            **({"group": resource.group} if resource.group else {}),
            "kind": resource.plural,
            "uid": manifest["metadata"]["uid"],
        }
        return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})


def _versioned(resource: Resource, manifest: Manifest) -> Manifest:
    """The object in the version that was asked for; versions differ by their name only (conversion `None`)."""
    if manifest.get("apiVersion") == resource.api_version:
        return manifest
    return {**manifest, "apiVersion": resource.api_version}


def _json(manifest: Manifest, code: int = 200, kind: str = "application/json") -> Response:
    return Response(json.dumps(manifest, separators=(",", ":")), code, media_type=kind)


def _decoded(body: bytes, request: Request) -> Any:
    if request.headers.get("content-type", "").startswith(protobuf.MEDIA_TYPE):
        return protobuf.decode(body)
    try:
        return json.loads(body)
    except ValueError:
        pass
    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise bad_request(f"the body of the request is neither JSON nor YAML: {error}") from error


def _continued(token: str) -> tuple[str, str] | None:
    if not token:
        return None
    try:
        namespace, name = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise bad_request("continue key is not valid") from error
    return namespace, name


def _no_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def _found(manifest: Manifest | None) -> Manifest:
    if manifest is None:
        raise _no_path()
    return manifest
