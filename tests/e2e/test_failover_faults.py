"""A Redis of three members whose primary is killed, stalls or is cut off: nothing that was acknowledged is forgotten.

`FAILOVER_ROUNDS=5` tries each fault so many times and prints how long each took.
"""

import contextlib
import json
import os
import signal
import time

import pytest

from support.callers import calling
from support.hotel import FACT, NOTICED, QUESTION, WORD
from support.members import MEMBERS, another_primary, memory, wait_whole
from support.real_cluster import NAMESPACE, RELEASE, RealCluster
from support.selection import FAILOVER_ASKED_FOR, FAILOVER_ROUNDS
from support.waiting import wait_until

# Kubernetes' signals of a container's processes need its node: the local cluster's, or a real one's on this machine.
pytestmark = pytest.mark.both_clusters


@pytest.fixture(scope="module")
def spec():
    return {"redis": {"managed": {"replicas": 3}}}


@pytest.fixture
def here(cluster):
    """Processes die on a real cluster as they do on the local one, which has shown it by then."""
    if isinstance(cluster, RealCluster) and not FAILOVER_ASKED_FOR:
        pytest.skip("`make test` shows it on the local cluster; here with FAILOVER_ROUNDS=1")


def kill(process):
    os.kill(process, signal.SIGKILL)
    return lambda: None


def stall(process):
    os.kill(process, signal.SIGSTOP)
    return lambda: os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("number", range(FAILOVER_ROUNDS))
@pytest.mark.parametrize("fault", [kill, stall])
@pytest.mark.usefixtures("here")
def test_a_primary_that_dies_or_stalls_is_followed_by_one_that_knows_all_and_no_kickoff_fails(hotel, fault, number):
    primary, guest = wait_whole(hotel), f"{fault.__name__} {number}"
    hotel.say(hotel.replicas()[0], FACT, guest)
    with calling(hotel, retries=True) as asked:
        began = time.monotonic()
        mend = fault(hotel.pids(primary, "redis")[0])
        try:
            another_primary(hotel, primary)
            assert WORD in hotel.say(hotel.replicas()[0], QUESTION, guest)
            print(f"{guest}: remembered again after {time.monotonic() - began:.1f} s")
        finally:
            mend()
        already = asked()
        wait_until(lambda: asked() > already, "kickoffs go on, and none failed", 60)
    wait_whole(hotel)
    events = json.loads(str(hotel.kubectl("get", "events", "-o", "json")))["items"]
    assert any(one["reason"] == "RedisFailedOver" and "is the primary of Redis now" in one["message"] for one in events)


@pytest.mark.usefixtures("here")
def test_without_two_members_it_says_so_and_guesses_nothing(hotel):
    primary = wait_whole(hotel)
    hotel.say(hotel.replicas()[0], FACT, "quorum")
    others = [name for name in MEMBERS if name != primary]
    pids = [hotel.pids(name, "redis")[0] for name in (primary, others[0])]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        found = hotel.wait_condition("MemoryReady", "False", "RedisNoQuorum", timeout=NOTICED + 10)
        assert "2 of 3" in found["message"]
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    wait_whole(hotel)
    assert WORD in hotel.say(hotel.replicas()[0], QUESTION, "quorum")


# Partitions: where NetworkPolicies are enforced --------------------------------------------------------------------


def _deny(name, selector, *addresses):
    """Those pods send nothing to these addresses."""
    others = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [f"{one}/32" for one in addresses]}}]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": selector, "policyTypes": ["Egress"], "egress": [others]},
    }


@contextlib.contextmanager
def _cut_off(hotel, primary, *, from_peers, from_operator):
    """The primary's pod, as far as that is asked for, both ways."""
    address = {name: hotel.pod(name)["status"]["podIP"] for name in MEMBERS}
    peers = [name for name in MEMBERS if name != primary]
    label = "statefulset.kubernetes.io/pod-name"
    cuts = []
    if from_peers:
        others = {"matchExpressions": [{"key": label, "operator": "In", "values": peers}]}
        cuts.append((hotel.kubectl, _deny("cut-peers", others, address[primary])))
        alone = {"matchLabels": {label: primary}}
        cuts.append((hotel.kubectl, _deny("cut-primary", alone, *(address[name] for name in peers))))
    if from_operator:
        operator = {"matchLabels": {"app.kubernetes.io/name": RELEASE}}
        cuts.append((hotel.cluster.kubectl(NAMESPACE), _deny("cut-operator", operator, address[primary])))
    try:
        for kubectl, policy in cuts:
            kubectl("apply", "-f", "-", stdin=json.dumps(policy))
        yield
    finally:
        for kubectl, policy in cuts:
            kubectl("delete", "networkpolicy", policy["metadata"]["name"], "--ignore-not-found")


@pytest.fixture
def enforced(cluster):
    if not isinstance(cluster, RealCluster):
        pytest.skip("needs a Kubernetes whose network enforces NetworkPolicies: `make e2e KUBECONFIG=...`")


def _said(hotel, guest):
    """A fact that a kickoff acknowledged with its memory; while there is no primary none does."""

    def attempt():
        answer = hotel.kickoff(hotel.replicas()[0], FACT, guest)
        told = answer.json() if answer.status_code == 200 else {}
        return told.get("status") == "completed" and told.get("memory") == "ok"

    wait_until(attempt, "a kickoff is acknowledged", 60)


@pytest.mark.parametrize("number", range(FAILOVER_ROUNDS))
@pytest.mark.parametrize("from_operator", [False, True], ids=["from its peers", "from its peers and the operator"])
@pytest.mark.usefixtures("enforced")
def test_what_was_acknowledged_before_and_in_a_partition_of_the_primary_is_remembered(hotel, from_operator, number):
    primary, guest = wait_whole(hotel), f"partition {from_operator} {number}"
    hotel.say(hotel.replicas()[0], FACT, f"{guest} before")
    began = time.monotonic()
    with _cut_off(hotel, primary, from_peers=True, from_operator=from_operator):
        _said(hotel, f"{guest} within")
        print(f"{guest}: acknowledged again after {time.monotonic() - began:.1f} s")
        another_primary(hotel, primary)
    wait_whole(hotel)
    for when in ("before", "within"):
        assert WORD in hotel.say(hotel.replicas()[1], QUESTION, f"{guest} {when}")


@pytest.mark.usefixtures("enforced")
def test_a_primary_that_only_the_operator_cannot_reach_stays_primary(hotel):
    primary = wait_whole(hotel)
    with _cut_off(hotel, primary, from_peers=False, from_operator=True):
        found = hotel.wait_condition("MemoryReady", "False", timeout=NOTICED * 9)
        began = time.monotonic()
        while time.monotonic() - began < NOTICED:
            _said(hotel, "out of the operator's sight")
        assert memory(hotel).get("primary") in (primary, None), found
    assert wait_whole(hotel) == primary
