"""Kubeconfigs as real clusters hand them out: inline certificates, client certificates, credentials by a plugin."""

import base64
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from crewctl.errors import ClusterError
from crewctl.kube import Kube, namespace_of

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="no openssl to make certificates with: apt-get install openssl")


class Server:
    """An API server behind TLS, and how its last client has shown who it is."""

    port = 0
    authorization: str | None = None
    certificate = False


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cert.pem and key.pem."""
    folder = tmp_path_factory.mktemp("pki")
    command = [str(OPENSSL), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=crewctl"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def server(certificate: Path) -> Iterator[Server]:
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.authorization = self.headers.get("authorization")
            made.certificate = bool(self.connection.getpeercert())  # type: ignore[attr-defined]
            text = json.dumps({"items": [], "kind": "List"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate / "cert.pem"))
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    tls.verify_mode = ssl.CERT_OPTIONAL
    listening.socket = tls.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    made.port = listening.server_port
    yield made
    listening.shutdown()
    listening.server_close()


def inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def kubeconfig(folder: Path, server: Server, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{server.port}", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize("shown", ["token", "certificate"])
def test_a_credential_plugin_is_asked(server, certificate, tmp_path, shown):
    status = {
        "token": {"token": "of-the-plugin"},
        "certificate": {
            "clientCertificateData": (certificate / "cert.pem").read_text(),
            "clientKeyData": (certificate / "key.pem").read_text(),
        },
    }[shown]
    version = "client.authentication.k8s.io/v1"
    told = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    (tmp_path / "credential.json").write_text(json.dumps(told))
    plugin = {
        "apiVersion": version,
        "command": "cat",
        "args": [str(tmp_path / "credential.json")],
        "interactiveMode": "Never",
    }
    cluster = {"certificate-authority-data": inline(certificate / "cert.pem")}
    path = kubeconfig(tmp_path, server, cluster, {"exec": plugin})
    assert namespace_of(path) == "default"
    kube = Kube(path)
    try:
        assert kube.crews() == []
    finally:
        kube.close()
    seen = (server.authorization, server.certificate)
    assert seen == (("Bearer of-the-plugin", False) if shown == "token" else (None, True))


def test_inline_client_certificates(server, certificate, tmp_path):
    user = {
        "client-certificate-data": inline(certificate / "cert.pem"),
        "client-key-data": inline(certificate / "key.pem"),
    }
    kube = Kube(kubeconfig(tmp_path, server, {"certificate-authority": str(certificate / "cert.pem")}, user))
    try:
        assert kube.crews() == []
    finally:
        kube.close()
    assert server.certificate


def test_a_server_that_nobody_vouches_for_is_refused(server, certificate, tmp_path):
    user = {
        "client-certificate-data": inline(certificate / "cert.pem"),
        "client-key-data": inline(certificate / "key.pem"),
    }
    kube = Kube(kubeconfig(tmp_path, server, {}, user))
    try:
        with pytest.raises(ClusterError, match="CERTIFICATE_VERIFY_FAILED"):
            kube.crews()
    finally:
        kube.close()


def test_a_kubeconfig_that_is_none_is_told(tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text("current-context: nowhere\n")
    with pytest.raises(ClusterError, match="names no cluster that can be asked"):
        Kube(path)
