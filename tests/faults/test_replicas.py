"""A replica's processes die one by one: what dies costs what it ran, and nothing else."""

import contextlib
import json
import os
import signal

import httpx
import pytest

from support.hotel import FACT, NOTICED, PATIENT_MEMORY, QUESTION, WORD
from support.waiting import wait_until


@pytest.fixture(scope="module")
def spec():
    return PATIENT_MEMORY


def main_process(hotel, pod, container):
    return hotel.pids(pod["metadata"]["name"], container)[0]


def kill_and_wait_for_another(hotel, pod, container):
    old = main_process(hotel, pod, container)
    os.kill(old, signal.SIGKILL)

    def another():
        found = hotel.pids(pod["metadata"]["name"], container)
        return found and found[0] != old

    wait_until(another, f"the container {container} runs again", 60)
    # What the pod's status says of it may still be of the one that was killed.
    wait_until(lambda: answers(hotel, pod), "the API of its pod answers", 60)


def answers(hotel, pod):
    try:
        return bool(hotel.cluster.ask(pod, "inputs", token=hotel.token()).status_code)
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("container", ["server", "crew"])
def test_a_killed_container_comes_back_in_the_same_pod_and_remembers(slow_hotel, container):
    hotel = slow_hotel
    (pod,) = hotel.replicas()
    session = f"killed-{container}"
    hotel.say(pod, FACT, session)
    kill_and_wait_for_another(hotel, pod, container)
    hotel.wait_ready()
    (after,) = hotel.wait_replicas(1)
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert WORD in hotel.say(after, QUESTION, session)


@pytest.mark.parametrize("container", ["server", "crew"])
def test_a_kickoff_whose_server_or_zygote_was_killed_starts_again(slow_hotel, container):
    (pod,) = slow_hotel.wait_replicas(1)
    kickoff = start(slow_hotel, pod, f"again-{container}")
    kill_and_wait_for_another(slow_hotel, pod, container)
    slow_hotel.wait_ready()
    seen = wait_ended(slow_hotel, pod, kickoff)
    assert (seen["status"], seen["memory"], seen["attempt"]) == ("completed", "ok", 2), seen
    assert WORD in slow_hotel.say(slow_hotel.wait_replicas(1)[0], QUESTION, f"again-{container}")


def test_a_stopped_server_shows_within_10_s_though_its_stream_stays_open(slow_hotel):
    """The kernel goes on for it: only the kubelet's probes find that nobody answers."""
    (pod,) = slow_hotel.wait_replicas(1)
    slow_hotel.wait_watched()
    pid = main_process(slow_hotel, pod, "server")
    os.kill(pid, signal.SIGSTOP)
    try:
        slow_hotel.wait_condition("CrewAvailable", "False", timeout=NOTICED)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    slow_hotel.wait_ready()


def test_a_kickoff_whose_zygote_was_killed_ends_as_lost_where_the_spec_says_fail(slow_hotel):
    pod = roll_out(slow_hotel, {"onReplicaLoss": "Fail"})
    kickoff = start(slow_hotel, pod, "zygote")
    kill_and_wait_for_another(slow_hotel, pod, "crew")
    seen = wait_ended(slow_hotel, pod, kickoff)
    assert (seen["status"], seen["reason"]) == ("error", "WorkerLost"), seen
    roll_out(slow_hotel, {"onReplicaLoss": "Retry"})


def test_a_killed_slot_costs_its_kickoff_and_no_other(slow_hotel):
    (pod,) = slow_hotel.wait_replicas(1)
    zygote = main_process(slow_hotel, pod, "crew")
    kickoffs = [start(slow_hotel, pod, f"slot-{number}") for number in range(2)]
    os.kill(slot_of(slow_hotel, pod, kickoffs[0]), signal.SIGKILL)
    seen = [wait_ended(slow_hotel, pod, kickoff) for kickoff in kickoffs]
    assert sorted(one["status"] for one in seen) == ["completed", "error"], seen
    (lost,) = [one for one in seen if one["status"] == "error"]
    assert lost["reason"] == "Crashed"
    assert "SIGKILL" in lost["error"]
    assert main_process(slow_hotel, pod, "crew") == zygote


def test_a_deleted_replica_hands_its_kickoff_back_or_finishes_it(slow_hotel):
    (pod,) = slow_hotel.wait_replicas(1)
    kickoff = start(slow_hotel, pod, "drained")
    slow_hotel.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    (new,) = slow_hotel.wait_replicas(1, {pod["metadata"]["name"]})
    seen = wait_ended(slow_hotel, new, kickoff)
    assert seen["status"] == "completed", seen
    assert seen["memory"] == "ok", seen
    assert WORD in slow_hotel.say(new, QUESTION, "drained")


def roll_out(hotel, crew):
    """Change spec.crew and wait for the pod that has it."""
    (before,) = hotel.wait_replicas(1)
    hotel.patch({"crew": crew})
    (pod,) = hotel.wait_replicas(1, {before["metadata"]["name"]})
    hotel.wait_ready()
    return pod


def start(hotel, pod, session):
    """A kickoff that is in its first task."""
    response = hotel.accepted(pod, f"slowly: {FACT}", session, wait=0)
    assert response.is_success, response.text
    kickoff = response.json()["kickoff_id"]

    def running():
        seen = hotel.status(pod, kickoff)
        return seen["status"] == "running" and not seen["queued"]

    wait_until(running, f"kickoff {kickoff} has a slot", 30)
    return kickoff


def wait_ended(hotel, pod, kickoff):
    def ended():
        seen = hotel.status(pod, kickoff)
        return seen if seen.get("kickoff_id") and seen["status"] != "running" else None

    return wait_until(ended, f"kickoff {kickoff} ended", 60)


def slot_of(hotel, pod, kickoff):
    """The process that runs a kickoff, as the server's log says."""
    for line in str(hotel.kubectl("logs", pod["metadata"]["name"], "-c", "server")).splitlines():
        if kickoff in line and "kickoff started" in line:
            return json.loads(line)["pid"]
    raise AssertionError(f"the server's log does not say which process runs {kickoff}")
