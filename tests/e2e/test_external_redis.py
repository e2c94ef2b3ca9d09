"""A Redis that somebody else runs, with TLS and a password, in another namespace."""

import json
import secrets
import shutil
import subprocess

import pytest

from support.hotel import FACT, PATIENT_MEMORY, QUESTION, READY, WORD, Hotel
from support.pods import restricted
from support.real_cluster import RealCluster
from support.waiting import wait_until

NAME = "keyvault"
PASSWORD = "s3cret/with:signs"
IN_URL = "s3cret%2Fwith%3Asigns"


@pytest.fixture(scope="module", autouse=True)
def possible(cluster):
    if not isinstance(cluster, RealCluster):
        pytest.skip("needs a redis image with TLS: `make e2e KUBECONFIG=...`")
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl for a certificate: apt-get install openssl")


@pytest.fixture(scope="module")
def store(cluster):
    """The namespace of a Redis that speaks TLS only."""
    namespace = f"store-{secrets.token_hex(3)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": namespace, "labels": labels}
    kubectl = cluster.kubectl("default")
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
    yield namespace
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture(scope="module")
def certificate(cluster, store, tmp_path_factory):
    """PEM of the server's certificate, which is its own authority; the server runs with it."""
    folder = tmp_path_factory.mktemp("tls")
    host = f"{NAME}.{store}.svc"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    command += ["-addext", f"subjectAltName=DNS:{host}", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"]
    subprocess.run(command, check=True, capture_output=True)
    kubectl = cluster.kubectl(store)
    kubectl("create", "secret", "tls", NAME, f"--cert={folder / 'tls.crt'}", f"--key={folder / 'tls.key'}")
    options = {"port": "0", "tls-port": "6379", "tls-auth-clients": "no", "requirepass": PASSWORD, "dir": "/tmp"}
    options |= {"tls-cert-file": "/tls/tls.crt", "tls-key-file": "/tls/tls.key", "appendonly": "yes"}
    container = {
        "name": "redis",
        "image": "redis:8",
        "args": ["redis-server", *(word for key, value in options.items() for word in (f"--{key}", value))],
        "securityContext": restricted(999),
        "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
    }
    volumes = [{"name": "tls", "secret": {"secretName": NAME}}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {"containers": [container], "volumes": volumes},
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    kubectl("expose", "pod", NAME, "--port=6379")
    kubectl("wait", "pod", NAME, "--for=jsonpath={.status.phase}=Running", "--timeout=60s")
    wait_until(lambda: "Ready to accept" in str(kubectl("logs", NAME)), "the external Redis serves", 60)
    return (folder / "tls.crt").read_text()


@pytest.fixture(scope="module")
def hotel(cluster, namespace, store, certificate):
    made = Hotel(cluster, namespace)
    url = f"rediss://:{IN_URL}@{NAME}.{store}.svc:6379/0"
    for one in (
        {"kind": "Secret", "metadata": {"name": "store"}, "stringData": {"url": url}},
        {"kind": "ConfigMap", "metadata": {"name": "authority"}, "data": {"ca.pem": certificate}},
    ):
        made.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", **one}))
    external = {
        "urlFrom": {"secretKeyRef": {"name": "store", "key": "url"}},
        "caFrom": {"configMapKeyRef": {"name": "authority", "key": "ca.pem"}},
    }
    made.apply(redis={"managed": None, "external": external}, **PATIENT_MEMORY)
    made.wait_ready()
    return made


def test_replicas_share_it(hotel):
    told, asked = hotel.replicas()
    hotel.say(told, FACT, "ada")
    assert WORD in hotel.say(asked, QUESTION, "ada")
    assert hotel.get("statefulset", f"{hotel.name}-redis") is None


def test_password_is_nowhere_but_in_its_secret(hotel):
    shown = json.dumps([hotel.crew(), hotel.get("deployment", hotel.name)])
    assert PASSWORD not in shown
    assert IN_URL not in shown


def test_crew_that_trusts_another_authority_says_so(hotel):
    """The system's own authorities know nothing of this server."""
    hotel.patch({"redis": {"external": {"caFrom": None}}})

    def named():
        found = hotel.condition("MemoryReady")
        return found["status"] == "False" and "certificate" in found["message"].lower()

    wait_until(named, "the certificate is named", READY)
    hotel.patch({"redis": {"external": {"caFrom": {"configMapKeyRef": {"name": "authority", "key": "ca.pem"}}}}})
    hotel.wait_ready()
    assert WORD in hotel.say(hotel.replicas()[0], QUESTION, "ada")
