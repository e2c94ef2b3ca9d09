"""An API server to test against: the embedded one, or the one of KUBECONFIG. One suite for both, so neither drifts."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import queue
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

Manifest = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
SECONDS = 15.0
"""For anything that takes a controller's turn."""
_numbers = itertools.count(1)


class RefusedError(Exception):
    """The API server said no."""

    def __init__(self, status: Manifest) -> None:
        super().__init__(status.get("message"))
        self.code: int = status.get("code", 0)
        self.reason: str = status.get("reason", "")
        self.causes: list[Manifest] = (status.get("details") or {}).get("causes") or []


@dataclass
class KubeApi:
    """A server, by HTTP and by kubectl."""

    kubeconfig: Path
    http: httpx.Client
    kubectl_path: Path
    is_real: bool
    namespace: str = "default"

    def at(self, group_version: str, plural: str, name: str = "", *, cluster: bool = False) -> str:
        """The path of a resource in this namespace."""
        root = f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"
        scope = "" if cluster else f"/namespaces/{self.namespace}"
        return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: str) -> Manifest:
        """One request. Raises RefusedError."""
        content = None if body is None else json.dumps(body)
        answer = self.http.request(method, path, content=content, headers={"Content-Type": kind}, params=query)
        if answer.is_error and "json" not in answer.headers.get("content-type", ""):
            raise RefusedError({"code": answer.status_code, "message": answer.text})
        found: Manifest = answer.json()
        if answer.is_error:
            raise RefusedError(found)
        return found

    def get(self, path: str, **query: str) -> Manifest:
        return self.ask("GET", path, **query)

    def create(self, path: str, body: Manifest, **query: str) -> Manifest:
        return self.ask("POST", path, body, **query)

    def apply(self, path: str, body: Manifest, manager: str = "tester", **query: str) -> Manifest:
        return self.ask("PATCH", path, body, APPLY, fieldManager=manager, **query)

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl says, both outputs."""
        command = [str(self.kubectl_path), f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(args)}: {done.stderr or done.stdout}")
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def watch(self, path: str, **query: str) -> Iterator[Iterator[Manifest]]:
        """The events of a watch."""
        params = {"watch": "1", "timeoutSeconds": "10", **query}
        with self.http.stream("GET", path, params=params) as answer:
            answer.read() if answer.is_error else None
            yield (json.loads(line) for line in answer.iter_lines() if line)

    def in_namespace(self) -> "KubeApi":
        """The same server, in a new namespace."""
        name = f"suite-{os.getpid()}-{next(_numbers)}"
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return KubeApi(self.kubeconfig, self.http, self.kubectl_path, self.is_real, name)


T = TypeVar("T")


def eventually(look: Callable[[], T], seconds: float = SECONDS) -> T:
    """The first true thing that `look` returns; while it raises AssertionError or RefusedError it is not yet."""
    ends = time.monotonic() + seconds
    while True:
        try:
            found = look()
            if found or time.monotonic() > ends:
                assert found, "it never became true"
                return found
        except (AssertionError, RefusedError):
            if time.monotonic() > ends:
                raise
        time.sleep(0.05)


def gone(look: Callable[[], object]) -> bool:
    """Whether `look` finds nothing any more."""
    try:
        look()
    except RefusedError as error:
        return error.code == 404
    return False


@contextlib.contextmanager
def embedded(folder: Path) -> Iterator[KubeApi]:
    """The embedded server, in a thread of its own."""
    from crew_programs import kubectl
    from localcluster.apiserver import ApiServer

    started: queue.Queue[ApiServer | BaseException] = queue.Queue()
    loop = asyncio.new_event_loop()
    ending = asyncio.Event()

    async def serve() -> None:
        async with ApiServer() as server:
            started.put(server)
            await ending.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    server = started.get(timeout=10)
    assert isinstance(server, ApiServer)
    config = server.kubeconfig(folder / "kubeconfig")
    try:
        with httpx.Client(base_url=server.url, timeout=15, trust_env=False) as http:
            yield KubeApi(config, http, kubectl.find(), is_real=False)
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(10)
        loop.close()


@contextlib.contextmanager
def real(kubeconfig: Path) -> Iterator[KubeApi]:
    """The server that a kubeconfig names."""
    from crew_programs import kubectl

    config = yaml.safe_load(kubeconfig.read_text())
    context = next(one for one in config["contexts"] if one["name"] == config["current-context"])["context"]
    cluster = next(one for one in config["clusters"] if one["name"] == context["cluster"])["cluster"]
    user = next(one for one in config["users"] if one["name"] == context["user"])["user"]
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    with httpx.Client(
        base_url=cluster["server"], headers=headers, verify=_tls(cluster, user), timeout=15, trust_env=False
    ) as http:
        yield KubeApi(kubeconfig, http, kubectl.find(), is_real=True)


def _tls(cluster: Manifest, user: Manifest) -> ssl.SSLContext | bool:
    if not cluster["server"].startswith("https"):
        return False
    data = cluster.get("certificate-authority-data")
    tls = ssl.create_default_context(
        cafile=cluster.get("certificate-authority"), cadata=base64.b64decode(data).decode() if data else None
    )
    if "client-certificate-data" in user:
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for part in ("client-certificate-data", "client-key-data"):
                paths.append(Path(folder, part))
                paths[-1].write_bytes(base64.b64decode(user[part]))
            tls.load_cert_chain(*paths)
    elif "client-certificate" in user:
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
    return tls
