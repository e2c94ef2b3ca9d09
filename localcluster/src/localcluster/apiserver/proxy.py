"""`pods/[SCHEME:]NAME[:PORT]/proxy/PATH`: a request to the API server -> the same to a port of a pod, and its answer.

Source: Kubernetes 1.36, pkg/registry/core/pod/strategy.go (ResourceLocation) and apimachinery's proxy handler. Left
out: upgrades (websockets), and links in HTML that a real one rewrites.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from localcluster.apiserver.status import ApiError, bad_request

Manifest = dict[str, Any]
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
SCHEMES = ("http", "https")
CONNECT_SECONDS = 10.0
_OURS = frozenset(
    {"authorization", "host", "connection", "content-length", "transfer-encoding", "upgrade", "keep-alive"}
)
"""Headers that end here: the credentials are the API server's, the rest belongs to one connection."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the name in the path says."""

    pod: str
    scheme: str = "http"
    port: str = ""
    """A number or the name of a container's port; ``: the first one."""


def parse(name: str) -> Wanted:
    """`pod`, `pod:8080`, `https:pod:` or `http:pod:8081`. Raises ApiError."""
    parts = name.split(":")
    match parts:
        case [pod] if pod:
            return Wanted(pod)
        case [pod, port] if pod:
            return Wanted(pod, port=port)
        case [scheme, pod, port] if pod and (not scheme or scheme in SCHEMES):
            return Wanted(pod, scheme or "http", port)
    raise bad_request(f'invalid pod request "{name}"')


def url(pod: Manifest, wanted: Wanted) -> str:
    """Where that port of the pod answers. Raises ApiError when it has no address or no such port."""
    address = (pod.get("status") or {}).get("podIP")
    if not address:
        raise bad_request("address not allowed")
    host = f"[{address}]" if ":" in address else address
    port = _port(pod, wanted.port)
    return f"{wanted.scheme}://{host}" + (f":{port}" if port else "")


def _port(pod: Manifest, named: str) -> str:
    if named.isdigit():
        return named
    spec = pod["spec"]
    ports = [port for one in spec["containers"] for port in one.get("ports") or ()]
    if not named:
        return str(ports[0]["containerPort"]) if ports else ""
    found = [port for port in ports if port.get("name") == named]
    if not found:
        raise bad_request(f'no port named "{named}" in pod "{pod["metadata"]["name"]}"')
    return str(found[0]["containerPort"])


async def forward(request: Request, base: str, path: str) -> Response:
    """Ask it and pass its answer on, piece by piece. Raises ApiError 503 when nobody answers."""
    body = await request.body()
    # No limit between two pieces: an event stream may be silent for long.
    client = httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(None, connect=CONNECT_SECONDS))
    asked = client.build_request(
        request.method,
        f"{base}/{path}",
        params=str(request.query_params),
        headers=_passed(request.headers),
        content=body or None,
    )
    try:
        answer = await client.send(asked, stream=True)
    except httpx.HTTPError as error:
        await client.aclose()
        why = str(error) or type(error).__name__
        raise ApiError(503, "ServiceUnavailable", f"error trying to reach service: {why}") from error

    async def pieces() -> AsyncIterator[bytes]:
        try:
            async for piece in answer.aiter_raw():
                yield piece
        finally:
            await answer.aclose()
            await client.aclose()

    return StreamingResponse(pieces(), answer.status_code, _passed(answer.headers))


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OURS}
