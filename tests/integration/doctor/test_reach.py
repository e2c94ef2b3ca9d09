"""How `crewctl doctor` gets to a replica: an API server that lets it through, and one that does not."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from crew_runtime.contract import HEALTH_PORT
from crewctl.doctor.reach import Pod, Reach, UnreachableError
from crewctl.kube import Kube, namespace_of

ADDRESS = "127.213.7.1"
"""A pod's; nobody else on this machine uses it."""
POD = Pod("concierge-1", ADDRESS)
PROXY = f"/api/v1/namespaces/lobby/pods/http:concierge-1:{HEALTH_PORT}/proxy/"


class Api:
    """An API server that answers the proxy's paths as it is told."""

    status = 200
    path = ""
    body: Any = None


def serve(address: str, port: int, answer: Callable[[str, bytes], tuple[int, Any]]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            code, told = answer(self.path, body)
            text = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((address, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()

    def answer(path: str, body: bytes) -> tuple[int, Any]:
        made.path, told = path, made.body
        if made.status in (401, 403, 503) and told is None:
            told = {"kind": "Status", "status": "Failure", "message": "not for you", "code": made.status}
        return made.status, told

    server = serve("127.0.0.1", 0, answer)
    made.port = server.server_port  # type: ignore[attr-defined]
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def pod() -> Iterator[None]:
    """The replica itself, at its own address."""
    server = serve(ADDRESS, HEALTH_PORT, lambda path, _: (200, {"replica": "concierge-1", "phase": "ready"}))
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def reach(api: Api, tmp_path: Path) -> Iterator[Reach]:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{api.port}"}}],  # type: ignore[attr-defined]
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "lobby"}}],
        "current-context": "x",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    kube = Kube(path, namespace_of(path))
    yield Reach(kube)
    kube.close()


def test_the_proxy_is_asked_first(reach, api):
    api.body = {"replica": "concierge-1"}
    assert reach.report(POD).replica == "concierge-1"
    assert api.path == f"{PROXY}report"
    assert not reach.directly


def test_a_replicas_own_503_is_its_answer(reach, api):
    api.status, api.body = 503, {"ready": False, "reason": "MemoryTimeout", "message": "no answer"}
    found = reach.readiness(POD)
    assert (found.ready, found.reason) == (False, "MemoryTimeout")
    api.body = {"type": "about:blank", "detail": "the worker has no prober"}
    assert reach.proof(POD, "write", "n").error == "the worker has no prober"


@pytest.mark.parametrize("status", [403, 503])
def test_the_pod_itself_is_asked_where_the_proxy_is_of_no_use(reach, api, pod, status):
    api.status = status
    assert reach.report(POD).phase == "ready"
    assert reach.directly


def test_both_failures_are_told(reach, api):
    api.status = 403
    with pytest.raises(UnreachableError, match=r"403 not for you.*127\.213\.7\.1 itself"):
        reach.report(POD)
    step = reach.proof(POD, "read", "n")
    assert not step.done
    assert "not for you" in step.error


def test_what_is_no_replica_is_told(reach, api):
    api.body = ["something else"]
    with pytest.raises(UnreachableError, match="no replica"):
        reach.report(POD)
