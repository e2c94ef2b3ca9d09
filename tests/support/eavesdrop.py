"""Which permissions somebody uses: the requests that pass a relay to an API server that speaks plain HTTP."""

import asyncio
import re
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from support.relay import Relay

Permission = tuple[str, str, str]
"""verb, group, resource (with its subresource)."""

# not at a line's beginning alone: a body ends without one, and the connection is used again
_REQUEST = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/\S+) HTTP/1\.1\r\n")
_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/v\w+"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?$"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def permissions(method: str, target: str) -> set[Permission]:
    """What a request needs, by Kubernetes' own rules; nothing for discovery, which everybody may.

    https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb. A server-side
    apply needs create as well, for it makes what is not there.
    """
    url = urllib.parse.urlsplit(target)
    found = _PATH.search(url.path)
    if found is None:
        return set()
    resource = "/".join(one for one in (found["resource"], found["sub"]) if one)
    query = urllib.parse.parse_qs(url.query)
    if method == "GET":
        watched = query.get("watch", ["false"])[0] in ("true", "1", "True")
        verb = "watch" if watched else "get" if found["name"] else "list"
    else:
        verb = _VERBS[method]
    applied = verb == "patch" and "force" in query and not found["sub"]
    return {(one, found["group"] or "", resource) for one in ((verb, "create") if applied else (verb,))}


class Eavesdropper(Relay):
    """Keeps the permissions that passed."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.used: set[Permission] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        heard = asyncio.StreamReader()
        listening = asyncio.ensure_future(self._listen(reader, heard))
        try:
            await super().serve(heard, writer)
        finally:
            listening.cancel()

    async def _listen(self, reader: asyncio.StreamReader, heard: asyncio.StreamReader) -> None:
        tail = b""
        while data := await reader.read(1 << 16):
            tail += data
            for method, target in _REQUEST.findall(tail):
                self.used |= permissions(method.decode(), target.decode())
            tail = tail.rpartition(b"\r\n")[2]  # the beginning of a line that is still to come
            heard.feed_data(data)
        heard.feed_eof()


@asynccontextmanager
async def eavesdropping(kubeconfig: str, folder: Path) -> AsyncIterator[tuple[Eavesdropper, str]]:
    """One in front of that kubeconfig's server, and the kubeconfig that leads through it."""
    config = yaml.safe_load(Path(kubeconfig).read_text())
    (cluster,) = config["clusters"]
    url = urllib.parse.urlsplit(cluster["cluster"]["server"])
    assert url.scheme == "http"
    one = Eavesdropper(url.port or 80)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    cluster["cluster"]["server"] = url._replace(netloc=f"127.0.0.1:{port}").geturl()
    through = folder / "eavesdropped.kubeconfig"
    through.write_text(yaml.safe_dump(config))
    try:
        yield one, str(through)
    finally:
        server.close()
