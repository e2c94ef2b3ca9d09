"""`pods/NAME/proxy`: HTTP to a pod through the API server. A pod that runs is asked in tests/integration/cluster."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from support.kube_api import MERGE, KubeApi, RefusedError
from support.workloads import pod


class Echo(BaseHTTPRequestHandler):
    """Tells what it was asked."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        told = f"{self.command} {self.path} {body.decode()} {self.headers.get('authorization', 'nobody')}".encode()
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Type", "text/echo")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def waiting(api_server: KubeApi) -> str:
    """A pod that no node takes; the path of it."""
    body = pod("one", {"name": "main", "image": "none:1", "ports": [{"name": "web", "containerPort": 1}]})
    body["spec"]["nodeSelector"] = {"suite.crewops.dev/none": "none"}
    api_server.create(api_server.at("v1", "pods"), body)
    return api_server.at("v1", "pods", "one")


@pytest.fixture
def answering(api_server: KubeApi, waiting: str) -> str:
    """The pod with an address at which this process answers."""
    if api_server.is_real:
        pytest.skip("a real API server proxies to no loopback address; it needs a node, and a pod that runs on it")
    api_server.ask("PATCH", f"{waiting}/status", {"status": {"podIP": "127.0.0.1"}}, MERGE)
    return waiting


def test_discovery_tells_of_it(api_server: KubeApi) -> None:
    found = next(one for one in api_server.get("/api/v1")["resources"] if one["name"] == "pods/proxy")
    assert (found["kind"], found["namespaced"]) == ("PodProxyOptions", True)
    assert sorted(found["verbs"]) == ["create", "delete", "get", "patch", "update"]


def test_a_pod_that_is_not_there_is_named(api_server: KubeApi) -> None:
    with pytest.raises(RefusedError, match='pods "none" not found') as refused:
        api_server.get(api_server.at("v1", "pods", "http:none:8081/proxy/report"))
    assert (refused.value.code, refused.value.reason) == (404, "NotFound")


def test_a_pod_without_an_address_is_refused(api_server: KubeApi, waiting: str) -> None:
    with pytest.raises(RefusedError, match="address not allowed") as refused:
        api_server.get(f"{waiting}/proxy/")
    assert refused.value.code == 400


@pytest.mark.parametrize("name", ["http:one:8080:more", "ftp:one:21"])
def test_a_name_that_says_nothing_is_refused(api_server: KubeApi, waiting: str, name: str) -> None:
    with pytest.raises(RefusedError) as refused:
        api_server.get(api_server.at("v1", "pods", f"{name}/proxy/"))
    assert refused.value.code == 400


@pytest.mark.parametrize("form", ["http:one:{}", "one:{}"])
def test_path_query_body_and_method_arrive(api_server: KubeApi, answering: str, port: int, form: str) -> None:
    path = api_server.at("v1", "pods", form.format(port))
    answer = api_server.http.post(f"{path}/proxy/a/b", params={"c": "d"}, content="told")
    assert answer.text == "POST /a/b?c=d told nobody"
    assert answer.headers["content-type"] == "text/echo"
    assert api_server.http.delete(f"{path}/proxy").text == "DELETE /  nobody"


def test_the_api_servers_credentials_stay_there(api_server: KubeApi, answering: str, port: int) -> None:
    path = f"{api_server.at('v1', 'pods', f'one:{port}')}/proxy/"
    assert api_server.http.get(path, headers={"Authorization": "Bearer secret"}).text.endswith("nobody")


def test_the_pods_own_error_is_passed_on(api_server: KubeApi, answering: str, port: int) -> None:
    answer = api_server.http.get(f"{api_server.at('v1', 'pods', f'one:{port}')}/proxy/missing")
    assert (answer.status_code, answer.text) == (404, "GET /missing  nobody")


@pytest.mark.parametrize("name", ["http:one:1", "one", "http:one:web"])
def test_nobody_at_that_port_is_said(api_server: KubeApi, answering: str, name: str) -> None:
    """Without a port it is the first one of the containers, and a name is looked up."""
    with pytest.raises(RefusedError, match="error trying to reach service") as refused:
        api_server.get(api_server.at("v1", "pods", f"{name}/proxy/"))
    assert (refused.value.code, refused.value.reason) == (503, "ServiceUnavailable")
