"""The operator's only door to the API server: requests in our words, answers as plain dicts, errors as our own."""

import asyncio
import contextlib
import json
import logging
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config

from crew_operator.api import names
from crew_operator.errors import ApiError, ConflictError, NotFoundError, RejectedError, UnreachableError
from crew_operator.metrics import Metrics

Object = dict[str, Any]
log = logging.getLogger(__name__)

TIMEOUT: Final = 15.0
"""Seconds for one request."""
AT_ONCE: Final = 16
"""Requests at once, if nobody says otherwise; those about Leases come on top: they have no time to wait for others."""
_MAX_MESSAGE: Final = 600
_OLD_CRD: Final = (
    "The CustomResourceDefinition in the cluster is older than this operator: apply crds/crewdeployments.yaml, or let "
    "helm do it (crds.install)"
)
_IN_CLUSTER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

_JSON: Final = "application/json"
_LEASE: Final = "Lease"
_PATHS: Final = {
    "Secret": ("v1", "secrets"),
    "ConfigMap": ("v1", "configmaps"),
    "Service": ("v1", "services"),
    "Pod": ("v1", "pods"),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims"),
    "Event": ("v1", "events"),
    "Deployment": ("apps/v1", "deployments"),
    "StatefulSet": ("apps/v1", "statefulsets"),
    _LEASE: ("coordination.k8s.io/v1", "leases"),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    names.KIND: (names.API_VERSION, names.PLURAL),
}


class KubeClient:
    """Requests to one API server. Made by `connect`."""

    def __init__(self, api: client.ApiClient, metrics: Metrics, at_once: int = AT_ONCE) -> None:
        self.api = api
        """For who has to ask for more than this door knows, as tests do."""
        self.fence: Callable[[], None] = _open
        """Called right before a write is sent, but for those of the Lease that it guards; raises when this process must
        not write."""
        self._turn = asyncio.Semaphore(at_once)
        self._metrics = metrics

    async def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object, or None when there is none."""
        try:
            return await self._ask("get", "get", kind, _path(kind, namespace, name))
        except NotFoundError:
            return None

    async def events(self, namespace: str, uid: str) -> list[Object]:
        """The Events about the object with this uid."""
        answer = await self._ask(
            "list", "get", "Event", _path("Event", namespace), {"fieldSelector": f"involvedObject.uid={uid}"}
        )
        return list(answer.get("items") or ())

    async def list(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        """The objects with these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        answer = await self._ask("list", "get", kind, _path(kind, namespace), {"labelSelector": selector})
        return list(answer.get("items") or ())

    async def create(self, manifest: Object) -> Object:
        """Make it. Raises ConflictError when it exists."""
        path = _path(manifest["kind"], manifest["metadata"]["namespace"])
        return await self._write("create", "post", path, manifest)

    async def apply(self, manifest: Object, *, uid: str | None = None) -> Object:
        """Server-side apply as our field manager; fields that others took from us are taken back.

        Args:
            uid: of the object that it is meant for; another that has its name by now is not touched (ConflictError).
        """
        if uid is not None:
            manifest = {**manifest, "metadata": {**manifest["metadata"], "uid": uid}}
        return await self._write("apply", "patch", _path_of(manifest), manifest)

    async def apply_new(self, manifest: Object) -> Object:
        """Server-side apply of what does not exist yet: nothing is taken from anybody who is faster (ConflictError)."""
        return await self._write("apply", "patch", _path_of(manifest), manifest, force=False)

    async def apply_status(self, manifest: Object) -> Object:
        """Server-side apply of the status alone."""
        return await self._write("apply-status", "patch", f"{_path_of(manifest)}/status", manifest)

    async def replace(self, manifest: Object) -> Object:
        """Put it in the place of the one with its resourceVersion. Raises ConflictError when that is another by now."""
        return await self._write("replace", "put", _path_of(manifest), manifest)

    async def merge(
        self, kind: str, namespace: str, name: str, patch: Object, *, uid: str | None = None, strategic: bool = False
    ) -> Object:
        """JSON merge patch, for objects that are not ours to apply.

        Args:
            uid: as for `apply`.
            strategic: a strategic merge patch instead, which can take a single item out of a list of named ones.
        """
        if uid is not None:
            patch = {**patch, "metadata": {**(patch.get("metadata") or {}), "uid": uid}}
        content = f"application/{'strategic-' if strategic else ''}merge-patch+json"
        path = _path(kind, namespace, name)
        return await self._ask("patch", "patch", kind, path, body=patch, content_type=content)

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str, grace: int) -> bool:
        """Delete exactly this object. False: another has taken its name since, or none; that is no error."""
        options = {"preconditions": {"uid": uid}, "gracePeriodSeconds": grace}
        try:
            await self._ask("delete", "delete", kind, _path(kind, namespace, name), body=options)
        except (NotFoundError, ConflictError):
            return False
        return True

    async def _write(self, verb: str, method: str, path: str, manifest: Object, *, force: bool = True) -> Object:
        kind, query = manifest["kind"], {"fieldManager": names.FIELD_MANAGER}
        if method != "patch":
            return await self._ask(verb, method, kind, path, query, body=manifest)
        query["force"] = "true" if force else "false"
        return await self._ask(
            verb, "patch", kind, path, query, body=manifest, content_type="application/apply-patch+yaml"
        )

    async def _ask(
        self,
        verb: str,
        method: str,
        kind: str,
        path: str,
        query: Mapping[str, str] = MappingProxyType({}),
        *,
        body: Object | None = None,
        content_type: str = _JSON,
    ) -> Object:
        async with contextlib.nullcontext() if kind == _LEASE else self._turn:
            if method != "get":
                if kind != _LEASE:
                    self.fence()  # when its turn has come: the wait for it may have taken longer than the term
                self._metrics.writes.labels(verb, kind).inc()
            self._metrics.requests.labels(verb).inc()
            with _own_errors(method, path):
                return await self._send(method, path, query, body, content_type)

    async def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Object | None, content_type: str
    ) -> Object:
        """Not by the library's clients of one kind, nor its dynamic one: they look through every value that is sent,
        and print a traceback for each object that is not there. That is a third of a request's CPU.
        """
        config = self.api.configuration
        headers = {**self.api.default_headers, "Accept": _JSON, "Content-Type": content_type}
        for one in (await config.auth_settings()).values():  # asks for a new token when the old one has expired
            headers[one["key"]] = one["value"]
        url = f"{config.host}{path}?{urlencode(query)}" if query else f"{config.host}{path}"
        answer = await self.api.call_api(method.upper(), url, headers, body, _request_timeout=TIMEOUT)
        data = await answer.read()  # type: ignore[no-untyped-call]
        if not 200 <= answer.status <= 299:
            error = client.ApiException(answer.status, answer.reason, body=data.decode(errors="replace"))
            error.headers = answer.headers
            raise error
        return dict(json.loads(data))


@dataclass(frozen=True)
class Access:
    """Where the API server is and how to be admitted, for who makes connections of their own."""

    server: str
    ca_path: str | None = None
    certificate_path: str | None = None
    private_key_path: str | None = None
    token: str | None = None
    insecure: bool = False


@contextlib.asynccontextmanager
async def connect(kubeconfig: str | None, metrics: Metrics, *, at_once: int = AT_ONCE) -> AsyncIterator[KubeClient]:
    """A client for the kubeconfig's cluster, or for the one that this pod is in when there is none."""
    async with client.ApiClient(await _configuration(kubeconfig)) as api:
        yield KubeClient(api, metrics, at_once)


async def access(kubeconfig: str | None) -> Access:
    """As `connect` would have it, read anew: tokens change."""
    found = await _configuration(kubeconfig)
    return Access(
        server=found.host,
        ca_path=found.ssl_ca_cert,
        certificate_path=found.cert_file,
        private_key_path=found.key_file,
        token=bearer(found.api_key.get("BearerToken") or ""),
        insecure=not found.verify_ssl,
    )


def bearer(header: str) -> str | None:
    """The token of an Authorization header; the client's loaders write `Bearer`, `bearer`, or no scheme at all."""
    scheme, _, token = header.strip().rpartition(" ")
    return token if scheme.lower() in ("", "bearer") and token else None


async def _configuration(kubeconfig: str | None) -> client.Configuration:
    made = client.Configuration()
    if kubeconfig is None and _IN_CLUSTER.exists():
        config.load_incluster_config(client_configuration=made)  # type: ignore[no-untyped-call]
    else:
        path = kubeconfig or config.KUBE_CONFIG_DEFAULT_LOCATION
        await config.load_kube_config(config_file=path, client_configuration=made)  # type: ignore[no-untyped-call]
    # Python 3.13 asks a CA for extensions that many clusters' lack. Chain and name are verified as ever.
    made.disable_strict_ssl_verification = True
    made.retries = False  # the queue retries, and counts
    # aiohttp would look for proxies, and for passwords in ~/.netrc, at each request, in a thread: a third of its CPU
    made.client_session_kwargs = {"trust_env": bool(urllib.request.getproxies())}
    return made


_MISTYPED: Final = "failed to create typed patch object"
"""What an apply is answered, with 500, whose field has a value of another type."""
_OTHER_UID: Final = "metadata.uid: Invalid value"
"""What a patch is answered that was meant for another object of that name: a uid cannot be changed."""


def _open() -> None:
    """No fence."""


def resource(kind: str) -> tuple[str, str, str]:
    """Group, version and plural of a kind."""
    version, plural = _PATHS[kind]
    group, _, number = version.rpartition("/")
    return group, number, plural


def _path(kind: str, namespace: str, name: str | None = None) -> str:
    version, plural = _PATHS[kind]
    root = "/apis" if "/" in version else "/api"
    tail = f"/{name}" if name is not None else ""
    return f"{root}/{version}/namespaces/{namespace}/{plural}{tail}"


def _path_of(manifest: Object) -> str:
    return _path(manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"])


@contextlib.contextmanager
def _own_errors(method: str, path: str) -> Iterator[None]:
    """Foreign errors become ours at this one place, their cause chained."""
    try:
        yield
    except client.ApiException as error:
        raise _error(error) from error
    except (aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError) as error:
        raise UnreachableError(f"{method} {path}: {type(error).__name__}: {error}") from error


def _error(error: client.ApiException) -> ApiError:
    status = int(error.status or 0)
    message = _message(error)
    if "not declared in schema" in message:  # a 500, and yet the same request will never pass
        return RejectedError(status, f"{message}. {_OLD_CRD}" if f"Kind={names.KIND})" in message else message)
    if _MISTYPED in message:  # likewise
        return RejectedError(status, message)
    if status == 404:
        return NotFoundError(status, message)
    if status == 409 or (status == 422 and _OTHER_UID in message):
        return ConflictError(status, message)
    if status in (400, 403, 422):
        return RejectedError(status, message)
    return ApiError(status, message, retry_after=_retry_after(error))


def _message(error: client.ApiException) -> str:
    """The message of the Status that the API server sent; anything else is not shown: it may hold what was sent."""
    try:
        body = json.loads(error.body or "")
        return str(body["message"])[:_MAX_MESSAGE]
    except (ValueError, TypeError, KeyError):
        return str(error.reason or "no Status in the answer")[:_MAX_MESSAGE]


def _retry_after(error: client.ApiException) -> float | None:
    value = (error.headers or {}).get("Retry-After")
    return float(value) if value is not None and str(value).isdigit() else None
