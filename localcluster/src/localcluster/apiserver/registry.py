"""The verbs: create, update, patch, delete, get, list. Every write of the cluster, by HTTP or from within, comes here.

manifest in -> checked, defaulted, owned, stored -> manifest out; `ApiError` otherwise.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from localcluster.apiserver import admission, apply, cel, defaults, patch, schema, validation
from localcluster.apiserver.kinds import Kinds, Resource
from localcluster.apiserver.status import (
    ApiError,
    Cause,
    already_exists,
    bad_request,
    conflict,
    invalid,
    modified,
    not_found,
)
from localcluster.apiserver.store import Record, Store

Manifest = dict[str, Any]
NAMESPACES = ("", "namespaces")
CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")
_SERVER_METADATA = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)
_UNCHECKED = Cause(
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid;"
    " correct the existing errors to complete validation",
)


@dataclass(frozen=True, slots=True)
class Options:
    """How a write is meant."""

    manager: str = "unknown"
    dry_run: bool = False
    field_validation: str = "Warn"
    """`Strict`, `Warn` or `Ignore`: what happens to fields that nobody knows."""
    force: bool = False
    """Server-side apply takes fields from their owners."""
    warnings: list[str] = field(default_factory=list)
    """Where warnings to the client are put."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """How an object is to be deleted."""

    propagation: str = "Background"
    grace_seconds: int | None = None
    uid: str | None = None
    revision: str | None = None
    dry_run: bool = False


def utc_now() -> datetime:
    """The time that objects are stamped with."""
    """The time."""
    return datetime.now(UTC)


def stamp(now: datetime) -> str:
    """A time as Kubernetes writes it."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


class Registry:
    """The objects and what may be done with them."""

    def __init__(
        self,
        store: Store,
        *,
        service_cidr: str = "10.96.0.0/16",
        clock: Callable[[], datetime] = utc_now,
        new_uid: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.store = store
        self.kinds = Kinds()
        self.clock = clock
        self._new_uid = new_uid
        self._service_cidr = service_cidr

    # -- reading

    def resource(self, group: str, plural: str) -> Resource:
        """A served resource by group and plural. Raises KeyError."""
        return self.kinds.named(group, plural)

    def get(self, resource: Resource, namespace: str, name: str) -> Record:
        """An object. Raises ApiError 404."""
        found = self.store.get(resource.storage, (namespace, name))
        if found is None:
            raise not_found(resource.plural, resource.group, name)
        return found

    def read(self, resource: Resource, namespace: str, name: str, subresource: str = "") -> Manifest:
        """An object, or its `Scale`. Raises ApiError 404."""
        manifest = self.get(resource, namespace, name).manifest
        return admission.scale_of(resource, manifest) if subresource == "scale" else manifest

    # -- writing

    def create(self, resource: Resource, namespace: str, manifest: Manifest, options: Options) -> Manifest:
        """Store a new object."""
        new = self._checked(resource, manifest, options)
        metadata = new.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + self._new_uid().replace("-", "")[:5]
        if not metadata.get("name"):
            raise bad_request("name or generateName is required")
        if resource.namespaced and metadata.get("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if metadata.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        if self.store.get(resource.storage, (namespace, metadata["name"])) is not None:
            raise already_exists(resource.plural, resource.group, metadata["name"])
        if "status" in resource.subresources:
            new.pop("status", None)
        return self._insert(resource, namespace, new, options, "Update")

    def _insert(self, resource: Resource, namespace: str, new: Manifest, options: Options, operation: str) -> Manifest:
        self._check_namespace(resource, namespace)
        now = stamp(self.clock())
        metadata = new["metadata"]
        for key in _SERVER_METADATA:
            metadata.pop(key, None)
        metadata["uid"], metadata["creationTimestamp"] = self._new_uid(), now
        if resource.namespaced:
            metadata["namespace"] = namespace
        else:
            metadata.pop("namespace", None)
        if resource.has_generation:
            metadata["generation"] = 1
        new = self._completed(resource, None, new, options)
        if operation == "Update":
            writer = apply.Writer(options.manager, operation, resource.api_version, now)
            new["metadata"]["managedFields"] = apply.track(resource.node, None, new, writer)
        return self._stored(resource, namespace, new, options)

    def update(
        self, resource: Resource, namespace: str, name: str, manifest: Manifest, options: Options, subresource: str = ""
    ) -> Manifest:
        """Replace an object, its status or its scale."""
        live = self.get(resource, namespace, name).manifest
        if subresource == "scale":
            new = admission.with_scale(resource, live, manifest)
            new["metadata"] = {**live["metadata"], **_revision(manifest)}
            written = self._replace(resource, live, new, options, "")
            return admission.scale_of(resource, written)
        new = self._checked(resource, manifest, options)
        if new.get("metadata", {}).get("name", name) != name:
            raise bad_request(
                f"the name of the object ({new['metadata']['name']}) does not match the name on the URL ({name})"
            )
        return self._replace(resource, live, new, options, subresource)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        kind: str,
        change: Any,
        options: Options,
        subresource: str = "",
    ) -> tuple[Manifest, bool]:
        """Change an object by a patch of `kind` (`json`, `merge`, `strategic`, `apply`): (manifest, was it created)."""
        if kind == "apply" and subresource != "scale":
            return self._apply(resource, namespace, name, change, options, subresource)
        live = self.get(resource, namespace, name).manifest
        if subresource == "scale":
            scale = self._patched(
                schema.UNKNOWN, "merge" if kind == "strategic" else kind, admission.scale_of(resource, live), change
            )
            return self.update(resource, namespace, name, scale, options, subresource), False
        if kind == "strategic" and resource.custom:
            raise ApiError(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include:"
                " application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )
        new = self._checked(resource, self._patched(resource.node, kind, live, change), options)
        return self._replace(resource, live, new, options, subresource, patched=True), False

    def _patched(self, node: schema.Node, kind: str, live: Manifest, change: Any) -> Manifest:
        if kind == "json":
            result = patch.json_patch(live, change)
        elif kind == "strategic":
            result = patch.strategic_merge(node, live, change)
        else:
            result = patch.merge_patch(live, change)
        if not isinstance(result, dict):
            raise bad_request("the patch does not leave an object")
        return result

    def _apply(
        self, resource: Resource, namespace: str, name: str, sent: Manifest, options: Options, subresource: str
    ) -> tuple[Manifest, bool]:
        if not isinstance(sent, dict):
            raise bad_request("an apply patch is an object")
        if (sent.get("metadata") or {}).get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        sent = {**sent, "metadata": {**(sent.get("metadata") or {}), "name": name}}
        self._check_kind(resource, sent)
        unknown = schema.unknown_fields(resource.node, sent)
        if unknown:
            where = f"{namespace}/{name}" if namespace else f"/{name}"
            raise ApiError(
                500,
                "InternalError",
                f"failed to create typed patch object ({where}; {resource.api_version}, Kind={resource.kind}): "
                f".{unknown[0]}: field not declared in schema",
            )
        sent = self._checked(resource, sent, options)
        found = self.store.get(resource.storage, (namespace, name))
        live = found.manifest if found else None
        if live is None and subresource:
            raise not_found(resource.plural, resource.group, name)
        if subresource == "status":
            sent = {key: value for key, value in sent.items() if key in ("apiVersion", "kind", "status")}
            sent["metadata"] = {"name": name}
        elif "status" in resource.subresources:
            sent.pop("status", None)
        writer = apply.Writer(options.manager, "Apply", resource.api_version, stamp(self.clock()), subresource)
        new = apply.apply(resource.node, live, sent, writer, force=options.force)
        if live is None:
            if (new["metadata"] or {}).get("uid"):
                raise conflict(
                    resource.plural,
                    resource.group,
                    name,
                    "uid mismatch: the provided object specified uid "
                    f"{new['metadata']['uid']}, and no existing object was found",
                )
            return self._insert(resource, namespace, new, options, "Apply"), True
        return self._replace(resource, live, new, options, subresource, applied=True, patched=True), False

    def _replace(
        self,
        resource: Resource,
        live: Manifest,
        new: Manifest,
        options: Options,
        subresource: str,
        *,
        applied: bool = False,
        patched: bool = False,
    ) -> Manifest:
        namespace, name = live["metadata"].get("namespace", ""), live["metadata"]["name"]
        sent = new.get("metadata") or {}
        if sent.get("resourceVersion") and sent["resourceVersion"] != live["metadata"]["resourceVersion"]:
            raise modified(resource.plural, resource.group, name)
        if sent.get("uid") and sent["uid"] != live["metadata"]["uid"]:
            if patched:
                cause = Cause("metadata.uid", f'Invalid value: "{sent["uid"]}": field is immutable')
                raise invalid(resource.kind, resource.group, name, [cause])
            raise conflict(
                resource.plural,
                resource.group,
                name,
                f"Precondition failed: UID in precondition: {sent['uid']},"
                f" UID in object meta: {live['metadata']['uid']}",
            )
        new = self._restricted(resource, live, new, subresource)
        new = self._completed(resource, live, new, options)
        now = stamp(self.clock())
        if resource.has_generation and _wish(live) != _wish(new):
            new["metadata"]["generation"] = live["metadata"].get("generation", 1) + 1
        if not applied:
            writer = apply.Writer(options.manager, "Update", resource.api_version, now, subresource)
            new["metadata"]["managedFields"] = apply.track(resource.node, live, new, writer)
        if new == live:
            return live
        # a pod is taken out by its node, once its processes have ended
        ended = resource.plural != "pods" or new["metadata"].get("deletionGracePeriodSeconds") == 0
        if ended and new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            if not options.dry_run:
                self.store.put(resource.storage, (namespace, name), new)
                self.remove(resource, namespace, name)
            return new
        return self._stored(resource, namespace, new, options)

    def _restricted(self, resource: Resource, live: Manifest, new: Manifest, subresource: str) -> Manifest:
        """Take from `new` only what this door may change."""
        kept = live["metadata"]
        if subresource == "status":
            book = new.get("metadata", {}).get("managedFields", kept.get("managedFields"))
            restricted = {key: value for key, value in live.items() if key != "status"}
            if "status" in new:
                restricted["status"] = new["status"]
            return {**restricted, "metadata": {**kept, **({"managedFields": book} if book else {})}}
        metadata = {**(new.get("metadata") or {})}
        metadata.setdefault("managedFields", kept.get("managedFields") or [])
        for key in (*_SERVER_METADATA, "name", "namespace", "resourceVersion", "generateName"):
            metadata.pop(key, None)
            if key in kept:
                metadata[key] = kept[key]
        restricted = {**new, "metadata": metadata}
        if "status" in resource.subresources:
            restricted.pop("status", None)
            if "status" in live:
                restricted["status"] = live["status"]
        return restricted

    # -- checks on the way in

    def _check_kind(self, resource: Resource, manifest: Manifest) -> None:
        for key, wanted in (("apiVersion", resource.api_version), ("kind", resource.kind)):
            have = manifest.get(key)
            if have and have != wanted:
                raise bad_request(
                    f"the {'API version' if key == 'apiVersion' else 'kind'} in the data ({have}) does not match the "
                    f"expected {'API version' if key == 'apiVersion' else 'kind'} ({wanted})"
                )

    def _checked(self, resource: Resource, manifest: Manifest, options: Options) -> Manifest:
        """Decode: right kind, right types, unknown fields refused, told or dropped."""
        if not isinstance(manifest, dict):
            raise bad_request("the body of the request is not an object")
        self._check_kind(resource, manifest)
        admission.check_decoded(resource, manifest)
        if options.field_validation != "Ignore":
            unknown = schema.unknown_fields(resource.node, manifest)
            told = [f'unknown field "{path}"' for path in unknown]
            if told and options.field_validation == "Strict":
                raise bad_request(
                    f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
                    f"strict decoding error: {', '.join(told)}"
                )
            options.warnings.extend(told)
        pruned: Manifest = schema.prune(resource.node, manifest)
        return {**pruned, "apiVersion": resource.api_version, "kind": resource.kind}

    def _check_namespace(self, resource: Resource, namespace: str) -> None:
        if not resource.namespaced:
            return
        found = self.store.get(NAMESPACES, ("", namespace))
        if found is None:
            raise not_found("namespaces", "", namespace)
        if found.manifest["metadata"].get("deletionTimestamp"):
            raise ApiError(
                403,
                "Forbidden",
                f"{resource.plural} is forbidden: unable to create new content in namespace {namespace} because it is"
                " being terminated",
            )

    def _completed(self, resource: Resource, live: Manifest | None, new: Manifest, options: Options) -> Manifest:
        """Fill defaults in, and refuse what breaks the rules."""
        new = schema.prune(resource.node, new)
        if resource.custom:
            new = schema.default(resource.node, new)
        else:
            defaults.fill(resource.plural, new)
            if resource.plural == "persistentvolumeclaims" and live is None:
                admission.storage_class(self.store, new)
            if resource.plural == "services":
                if live and not new["spec"].get("clusterIP"):
                    new["spec"]["clusterIP"] = live["spec"].get("clusterIP")
                admission.cluster_address(self.store, self._service_cidr, new)
        causes = list(validation.metadata(new))
        if resource.custom:
            causes += validation.by_schema(resource.node, new)
            causes += admission.scale_faults(resource, new)
            if not causes:  # rules may rely on the types
                causes += cel.violations(resource.node, new, live)
            elif any(cel.rules(resource.node)):
                causes.append(_UNCHECKED)
        else:
            causes += validation.builtin(resource, live, new)
        if causes:
            raise invalid(resource.kind, resource.group, new["metadata"].get("name", ""), causes)
        if resource.storage == CRDS:
            options.warnings.extend(admission.crd_warnings(new))
            admission.accept_crd(new, stamp(self.clock()))
        return new

    def _stored(self, resource: Resource, namespace: str, new: Manifest, options: Options) -> Manifest:
        if options.dry_run:
            return new
        stored = self.store.put(resource.storage, (namespace, new["metadata"]["name"]), new).manifest
        if resource.storage == CRDS:
            self.kinds.define(stored)
        return stored

    # -- deleting

    def delete(self, resource: Resource, namespace: str, name: str, how: Deletion) -> tuple[Manifest, bool]:
        """Delete an object or begin to: (its last state, is it gone)."""
        live = self.get(resource, namespace, name).manifest
        metadata = live["metadata"]
        if how.uid and how.uid != metadata["uid"]:
            raise conflict(
                resource.plural,
                resource.group,
                name,
                f"the UID in the precondition ({how.uid}) does not match"
                f" the UID in record ({metadata['uid']}). The object might have been deleted and then recreated",
            )
        if how.revision and how.revision != metadata["resourceVersion"]:
            raise modified(resource.plural, resource.group, name)
        if how.dry_run:
            return live, True
        if how.propagation == "Orphan":
            self._orphan(metadata["uid"])
        finalizers = list(metadata.get("finalizers") or ())
        if how.propagation == "Foreground" and "foregroundDeletion" not in finalizers:
            finalizers.append("foregroundDeletion")
        grace = self._grace(resource, live, how)
        waits = finalizers or grace or resource.storage in (NAMESPACES, CRDS)
        if not waits:
            return self.remove(resource, namespace, name), True
        if metadata.get("deletionTimestamp") and (not grace or grace >= metadata.get("deletionGracePeriodSeconds", 0)):
            return live, False
        marked = {
            **metadata,
            "deletionTimestamp": metadata.get("deletionTimestamp") or stamp(self.clock()),
            "deletionGracePeriodSeconds": grace,
            **({"finalizers": finalizers} if finalizers else {}),
        }
        if resource.has_generation:
            marked["generation"] = metadata.get("generation", 1) + 1
        new = {**live, "metadata": marked}
        if resource.storage == NAMESPACES:
            new["status"] = {**(live.get("status") or {}), "phase": "Terminating"}
        return self.store.put(resource.storage, (namespace, name), new).manifest, False

    def _grace(self, resource: Resource, live: Manifest, how: Deletion) -> int:
        """Seconds that a pod's node gets to end it; 0 for all else and for pods that no node has."""
        if resource.storage != ("", "pods") or not live["spec"].get("nodeName"):
            return 0
        if (live.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        if how.grace_seconds is not None:
            return how.grace_seconds
        return int(live["spec"].get("terminationGracePeriodSeconds", 30))

    def remove(self, resource: Resource, namespace: str, name: str) -> Manifest:
        """Take an object out at once."""
        last = self.store.delete(resource.storage, (namespace, name)).manifest
        if resource.storage == CRDS:
            self.kinds.forget(last)
        return last

    def _orphan(self, uid: str) -> None:
        for kind, (namespace, name), record in list(self.store.all()):
            owners = record.manifest["metadata"].get("ownerReferences") or ()
            if any(owner["uid"] == uid for owner in owners):
                kept = [owner for owner in owners if owner["uid"] != uid]
                metadata = {
                    key: value for key, value in record.manifest["metadata"].items() if key != "ownerReferences"
                }
                if kept:
                    metadata["ownerReferences"] = kept
                self.store.put(kind, (namespace, name), {**record.manifest, "metadata": metadata})


def _wish(manifest: Manifest) -> Manifest:
    """What a user wants: all but metadata and status."""
    return {key: value for key, value in manifest.items() if key not in ("metadata", "status")}


def _revision(manifest: Manifest) -> Manifest:
    revision = (manifest.get("metadata") or {}).get("resourceVersion")
    return {"resourceVersion": revision} if revision else {}
