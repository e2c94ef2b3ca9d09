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

from crewctl import kubeconfigs
from crewctl.errors import ClusterError
from crewctl.kube import Kube
from crewctl.kubeconfigs import namespace_of

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


def plugin(folder: Path, script: str, **more: Any) -> dict[str, Any]:
    """A user whose credentials come from a script beside the kubeconfig."""
    made = folder / "plugin"
    made.write_text(f"#!/bin/sh\n{script}\n")
    made.chmod(0o755)
    about = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "./plugin", "interactiveMode": "Never"}
    return {"exec": about | more}


def authorization(path: Path) -> str | None:
    return kubeconfigs.access(path).headers.get("Authorization")


def test_a_plugin_beside_the_kubeconfig_is_given_what_it_needs(server, tmp_path):
    script = """case "$KUBERNETES_EXEC_INFO" in *client.authentication.k8s.io/v1beta1*) ;; *) exit 3;; esac
printf '{"status": {"token": "%s-%s"}}' "$WHO" "$1" """
    user = plugin(tmp_path, script, args=["now"], env=[{"name": "WHO", "value": "ada"}])
    assert authorization(kubeconfig(tmp_path, server, {}, user)) == "Bearer ada-now"


@pytest.mark.parametrize(
    ("script", "more", "said"),
    [
        ("exit 4", {}, "has ended with 4"),
        ("echo no JSON", {}, "names no cluster that can be asked"),
        ("""printf '{"status": {"token": "a\\\\nb"}}'""", {}, "printable ASCII"),
        ("exec sleep 60", {}, "has said nothing in 0.3 s"),
        ("exec head -c 2000000 /dev/zero", {}, "more than 1048576 bytes"),
        ("true", {"apiVersion": "client.authentication.k8s.io/v9"}, "speaks client.authentication.k8s.io/v9"),
        ("true", {"command": "no-such-plugin", "installHint": "Buy it."}, "no-such-plugin is not there. Buy it."),
        ("true", {"interactiveMode": "Always"}, "there is no terminal"),
    ],
    ids=["fails", "no answer", "two lines", "hangs", "never ends", "another version", "not installed", "asks"],
)
def test_a_plugin_that_gives_nothing_is_told(server, tmp_path, monkeypatch, script, more, said):
    monkeypatch.setattr(kubeconfigs, "PLUGIN_SECONDS", 0.3 if "sleep" in script else 60)
    path = kubeconfig(tmp_path, server, {}, plugin(tmp_path, script, **more))
    with pytest.raises(ClusterError) as told:
        kubeconfigs.access(path)
    assert said in str(told.value)


def test_files_are_looked_for_beside_the_kubeconfig(server, certificate, tmp_path):
    shutil.copy(certificate / "cert.pem", tmp_path / "ca.pem")
    (tmp_path / "token").write_text("of-a-file\n")
    user = {"tokenFile": "token", "token": "of-before"}
    kube = Kube(kubeconfig(tmp_path, server, {"certificate-authority": "ca.pem"}, user))
    try:
        assert kube.crews() == []
    finally:
        kube.close()
    assert server.authorization == "Bearer of-a-file"


def test_a_server_that_nobody_need_vouch_for_is_asked(server, tmp_path):
    user = {"username": "ada", "password": "x"}
    kube = Kube(kubeconfig(tmp_path, server, {"insecure-skip-tls-verify": True}, user))
    try:
        assert kube.crews() == []
    finally:
        kube.close()
    assert server.authorization == f"Basic {base64.b64encode(b'ada:x').decode()}"


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({"token": "sch\u00f6n"}, "printable ASCII"),
        ({"tokenFile": "nowhere"}, "nowhere"),
        ({"client-certificate-data": "%"}, "names no cluster"),
        ("ada", "names no cluster"),
    ],
    ids=["provider", "token", "file", "certificate", "no map"],
)
def test_a_user_who_cannot_be_is_told(server, tmp_path, user, said):
    with pytest.raises(ClusterError) as told:
        kubeconfigs.access(kubeconfig(tmp_path, server, {}, user))
    assert said in str(told.value)


@pytest.mark.parametrize("text", ["[]", "a: [", "contexts: 5\ncurrent-context: x\n", "\x00"])
def test_what_is_no_kubeconfig_is_told(tmp_path, text):
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(ClusterError):
        kubeconfigs.access(path)


def test_no_secret_is_shown(server, tmp_path):
    assert "hush" not in repr(kubeconfigs.access(kubeconfig(tmp_path, server, {}, {"token": "hush"})))
