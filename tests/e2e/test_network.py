"""Who reaches a crew and its Redis, and what a replica that does not says of it: where NetworkPolicies are enforced."""

import json
import secrets

import pytest

from support.hotel import FACT, QUESTION, READY, WORD
from support.pods import restricted_pod
from support.real_cluster import NAMESPACE, RELEASE, RealCluster, images
from support.waiting import wait_until

CONNECT = """
import socket, sys, time
ends, last = time.monotonic() + float(sys.argv[3]), "never tried"
while time.monotonic() < ends:
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()
    except OSError as error:
        last = type(error).__name__
        time.sleep(0.2)
    else:
        sys.exit("it was let in")
sys.exit("kept out: " + last)
"""


@pytest.fixture(scope="module", autouse=True)
def enforced(cluster):
    if not isinstance(cluster, RealCluster):
        pytest.skip("needs a Kubernetes whose network enforces NetworkPolicies: `make e2e KUBECONFIG=...`")


IN, OUT = "it was let in", "kept out: TimeoutError"
NOT_LONG, LONG = 6, 30
"""Seconds. A network needs a moment for a new pod or a new policy, so who is to be let in asks longer."""
MONITORING = {"app.kubernetes.io/name": "prometheus"}
"""By the chart's own values."""


def _ask(cluster, namespace, name, place, labels=None, seconds=NOT_LONG):
    """What a pod with these labels sees of a place: a host and a port."""
    host, port = place
    command = ["python", "-c", CONNECT, host, str(port), str(seconds)]
    made = restricted_pod(name, f"{images()}/crew-runtime:dev", command, labels, restartPolicy="Never")
    kubectl, api = cluster.kubectl(namespace), cluster.api(namespace)
    kubectl("apply", "-f", "-", stdin=json.dumps(made))

    def ended():
        found = api.get(f"/api/v1/namespaces/{namespace}/pods/{name}") or {}
        return found.get("status", {}).get("phase") in ("Succeeded", "Failed")

    wait_until(ended, f"the pod {name} has tried", 60 + seconds)
    return str(kubectl("logs", name)).strip()


@pytest.fixture(scope="module")
def elsewhere(cluster):
    """Another namespace."""
    name = f"elsewhere-{secrets.token_hex(3)}"
    kubectl = cluster.kubectl("default")
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def api(hotel):
    return f"{hotel.name}.{hotel.namespace}.svc", 8000


@pytest.fixture
def health(hotel):
    """Of one replica."""
    return hotel.replicas()[0]["status"]["podIP"], 8081


def test_a_stranger_is_refused_and_the_crew_is_served(hotel):
    told, asked = hotel.replicas()
    hotel.say(told, FACT, "ada")
    assert WORD in hotel.say(asked, QUESTION, "ada")
    redis = f"{hotel.name}-redis", 6379
    assert _ask(hotel.cluster, hotel.namespace, "stranger", redis) == OUT
    replica = {"crewops.dev/crewdeployment": hotel.name, "app.kubernetes.io/component": "crew"}
    assert _ask(hotel.cluster, hotel.namespace, "relative", redis, replica, LONG) == IN
    hotel.kubectl("delete", "pod", "relative", "--wait=false")  # else it counts as a replica


def test_the_health_port_is_for_the_operator_and_monitoring(hotel, elsewhere, health):
    hotel.wait_ready()  # the operator reads there
    assert _ask(hotel.cluster, hotel.namespace, "curious", health) == OUT
    assert _ask(hotel.cluster, elsewhere, "prometheus", health, MONITORING, LONG) == IN


def test_the_api_is_reached_from_its_own_namespace_or_from_where_the_spec_says(hotel, elsewhere, api):
    assert _ask(hotel.cluster, hotel.namespace, "neighbour", api, seconds=LONG) == IN
    assert _ask(hotel.cluster, elsewhere, "outsider", api) == OUT
    named = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": elsewhere}}}
    hotel.patch({"crew": {"api": {"allowFrom": [named]}}})
    hotel.wait_ready()
    assert _ask(hotel.cluster, elsewhere, "invited", api, seconds=LONG) == IN
    assert _ask(hotel.cluster, hotel.namespace, "replaced", api) == OUT
    hotel.patch({"crew": {"api": {"allowFrom": None}}})
    hotel.wait_ready()


def test_the_operator_is_reached_by_monitoring_alone(hotel, elsewhere):
    pod, *_ = hotel.cluster.api(NAMESPACE).pods({"app.kubernetes.io/name": RELEASE})
    figures = pod["status"]["podIP"], 8080
    assert _ask(hotel.cluster, hotel.namespace, "spy", figures) == OUT
    assert _ask(hotel.cluster, elsewhere, "scraper", figures, MONITORING, LONG) == IN


def test_a_crew_that_is_cut_off_says_so_and_recovers(hotel):
    hotel.wait_ready()
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "cut"},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/component": "crew"}},
            "policyTypes": ["Egress"],
            # Names may still be asked for.
            "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}],
        },
    }
    hotel.kubectl("apply", "-f", "-", stdin=json.dumps(policy))
    hotel.wait_condition("Ready", "False", timeout=60)
    hotel.wait_condition("CrewAvailable", "False", timeout=60)
    assert "Redis" in hotel.condition("CrewAvailable")["message"]
    hotel.kubectl("delete", "networkpolicy", "cut")
    hotel.wait_ready(READY)
    assert WORD in hotel.say(hotel.replicas()[1], QUESTION, "ada")
