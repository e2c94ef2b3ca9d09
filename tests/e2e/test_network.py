"""Who reaches a crew's Redis, and what a replica that does not says of it: where NetworkPolicies are enforced."""

import json

import pytest

from support.hotel import FACT, QUESTION, READY, WORD
from support.pods import restricted_pod
from support.real_cluster import RealCluster, images
from support.waiting import wait_until

CONNECT = """
import socket, sys, time
ends, last = time.monotonic() + float(sys.argv[2]), "never tried"
while time.monotonic() < ends:
    try:
        socket.create_connection((sys.argv[1], 6379), 2).close()
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


def _ask(hotel, name, labels, seconds):
    """What a pod with these labels sees of Redis. A network needs a moment for a new pod, so it asks that long."""
    command = ["python", "-c", CONNECT, f"{hotel.name}-redis", str(seconds)]
    made = restricted_pod(name, f"{images()}/crew-runtime:dev", command, labels, restartPolicy="Never")
    hotel.kubectl("apply", "-f", "-", stdin=json.dumps(made))

    def ended():
        return (hotel.pod(name) or {}).get("status", {}).get("phase") in ("Succeeded", "Failed")

    wait_until(ended, f"the pod {name} has tried", 60 + seconds)
    return str(hotel.kubectl("logs", name)).strip()


def test_a_stranger_is_refused_and_the_crew_is_served(hotel):
    told, asked = hotel.replicas()
    hotel.say(told, FACT, "ada")
    assert WORD in hotel.say(asked, QUESTION, "ada")
    assert _ask(hotel, "stranger", {}, 6) == "kept out: TimeoutError"
    replica = {"crewops.dev/crewdeployment": hotel.name, "app.kubernetes.io/component": "crew"}
    assert _ask(hotel, "relative", replica, 30) == "it was let in"


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
