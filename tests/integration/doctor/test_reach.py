"""How `crewctl doctor` gets to a replica: an API server that lets it through, and one that does not."""

import base64
import contextlib
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from crew_operator.api import names
from crew_runtime.contract import HEALTH_PORT, HTTP_PORT
from crewctl import bounded
from crewctl.doctor import gather
from crewctl.doctor.reach import Pod, Reach, UnreachableError
from crewctl.errors import UnreadableError
from crewctl.kube import Kube
from crewctl.kubeconfigs import namespace_of

ADDRESS = "127.213.7.1"
"""A pod's; nobody else on this machine uses it."""
POD = Pod("concierge-1", ADDRESS)
GZIP = b"\x1f\x8b"
"""How a compressed answer begins."""
PROXY = f"/api/v1/namespaces/lobby/pods/http:concierge-1:{HEALTH_PORT}/proxy/"


class Api:
    """An API server that answers the proxy's paths as it is told."""

    status = 200
    path = ""
    body: Any = None
    headers: Any = None

    def __init__(self) -> None:
        self.routes: dict[str, tuple[int, Any]] = {}
        """End of a path -> its answer; `status` and `body` for all others."""


def serve(address: str, port: int, answer: Callable[[str, bytes, Any], tuple[int, Any]]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            code, told = answer(self.path, body, self.headers)
            text = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            if text.startswith(GZIP):
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who asked does not read on
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

    def answer(path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        made.path, made.headers, told = path, headers, made.body
        for end, answered in made.routes.items():
            if path.partition("?")[0].endswith(end):
                return answered
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
    server = serve(ADDRESS, HEALTH_PORT, lambda path, *_: (200, {"replica": "concierge-1", "phase": "ready"}))
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def kube(api: Api, tmp_path: Path) -> Iterator[Kube]:
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
    yield kube
    kube.close()


@pytest.fixture
def reach(kube: Kube) -> Reach:
    return Reach(kube)


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


FAILURES = {"failures": [{"time": 1.0, "kind": "CrewFailed", "message": "boom", "kickoff_id": "k1"}]}


def test_texts_of_failures_are_asked_of_the_api_with_its_token(reach, api):
    api.body = FAILURES
    (told,) = reach.failures(POD, "t0ken")
    assert (told.message, told.kickoff_id) == ("boom", "k1")
    assert api.path == f"/api/v1/namespaces/lobby/pods/http:concierge-1:{HTTP_PORT}/proxy/failures"
    # The API server keeps Authorization for itself.
    assert (api.headers["x-api-key"], api.headers["authorization"]) == ("t0ken", "Bearer t")


def test_a_replica_that_does_not_tell_its_texts_is_no_fault_of_the_reading(reach, api):
    for status, body in [(401, {"reason": "Unauthorized"}), (404, {"reason": "NotFound"})]:
        api.status, api.body = status, body
        with pytest.raises(UnreachableError, match=f"{status} {body['reason']}"):
            reach.failures(POD, None)
    api.status, api.body = 200, {"failures": "none"}
    with pytest.raises(UnreachableError, match="no replica"):
        reach.failures(POD, "t0ken")


SECRET = {"data": {"token": base64.b64encode(b"t0ken\n").decode()}}
FORBIDDEN = {"kind": "Status", "message": "secrets is forbidden", "code": 403}
HIDDEN = {"failures": [{**FAILURES["failures"][0], "message": ""}]}


@pytest.mark.parametrize(
    ("routes", "text", "missing"),
    [
        ({"/failures": (200, FAILURES)}, "boom", ""),
        ({"/secrets/api": (403, FORBIDDEN)}, "", "the token of the API"),
        ({"/secrets/api": (200, {"data": {}})}, "", "the Secret api has no token"),
        ({"/failures": (401, {"reason": "Unauthorized"})}, "", "401 Unauthorized"),
        # A runtime from before tells the texts in its report.
        ({"/report": (200, {"replica": "concierge-1", **FAILURES}), "/failures": (404, {})}, "boom", ""),
    ],
)
def test_doctor_has_the_texts_of_failures_or_why_not(kube, api, routes, text, missing):
    labels = names.selector("concierge", names.CREW)
    pod = {
        "metadata": {"name": "concierge-1", "uid": "1", "labels": labels},
        "spec": {"containers": []},
        "status": {"podIP": ADDRESS},
    }
    api.routes = {
        **routes,
        "/pods": (200, {"items": [pod]}),
        "/secrets/api": routes.get("/secrets/api", (200, SECRET)),
        "/report": routes.get("/report", (200, {"replica": "concierge-1", **HIDDEN})),
    }
    api.body = {}
    crew = {
        "metadata": {"name": "concierge"},
        "status": {"api": {"auth": "Token", "tokenFrom": {"secretKeyRef": {"name": "api", "key": "token"}}}},
    }
    (found,) = gather.gather(kube, crew).replicas
    (failure,) = found.failures
    assert (failure.kind, failure.message) == ("CrewFailed", text)
    assert missing in found.texts_missing
    assert bool(found.texts_missing) is bool(missing)


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


def padded(size: int) -> bytes:
    """A report of so many bytes."""
    return json.dumps({"replica": "concierge-1", "phase": "ready"}).encode().ljust(size)


REFUSED = [
    (padded(bounded.MOST + 1), "its answer is longer than 1024 KiB"),
    (gzip.compress(padded(64 * bounded.MOST)), "its answer is compressed"),
]


@pytest.mark.parametrize(("body", "why"), REFUSED, ids=["too long", "compressed"])
def test_what_is_too_long_or_compressed_is_not_read_on_whichever_way_it_comes(reach, api, body, why):
    api.body = body
    for ask in (reach.report, reach.readiness, lambda pod: reach.failures(pod, "t0ken")):
        with pytest.raises(UnreadableError, match=why):
            ask(POD)
    assert why in reach.proof(POD, "write", "n").error
    assert api.headers["accept-encoding"] == "identity"
    api.status, api.body = 403, None
    server = serve(ADDRESS, HEALTH_PORT, lambda *_: (200, body))
    try:
        with pytest.raises(UnreadableError, match=why):
            reach.report(POD)
    finally:
        server.shutdown()
        server.server_close()


def test_an_answer_of_the_bound_is_read(reach, api):
    api.body = padded(bounded.MOST)
    assert reach.report(POD).phase == "ready"


def test_json_that_is_too_deep_is_no_replicas(reach, api):
    api.body = b"[" * 100_000
    with pytest.raises(UnreachableError, match="no replica"):
        reach.report(POD)
    assert not reach.readiness(POD).ready


def test_doctor_tells_of_an_answer_that_it_did_not_read(kube, api):
    about = {"name": "concierge-1", "uid": "1", "labels": names.selector("concierge", names.CREW)}
    pod = {"metadata": about, "spec": {"containers": []}, "status": {"podIP": ADDRESS}}
    api.routes = {"/pods": (200, {"items": [pod]}), "/report": (200, REFUSED[0][0])}
    api.body = {}
    (found,) = gather.gather(kube, {"metadata": {"name": "concierge"}}).replicas
    assert found.report is None
    assert found.unreadable == REFUSED[0][1]
