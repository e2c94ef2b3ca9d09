"""A Redis of three members: the crew keeps its memory when the primary is killed, stalls, or is replaced."""

import json
import os
import signal
import time

import pytest

from support.callers import calling
from support.hotel import FACT, NOTICED, QUESTION, WORD, names
from support.waiting import wait_until

MEMBERS = [f"concierge-redis-{number}" for number in range(3)]


@pytest.fixture(scope="module")
def spec():
    return {"redis": {"managed": {"replicas": 3}}}


def memory(hotel):
    return (hotel.crew().get("status") or {}).get("memory") or {}


def wait_whole(hotel, seconds=90.0):
    """Until all three hold what is acknowledged; the answer is the primary."""
    hotel.wait_ready()
    return wait_until(
        lambda: memory(hotel).get("members") == "3 of 3" and memory(hotel).get("primary"), "three members", seconds
    )


def another_primary(hotel, before):
    return wait_until(
        lambda: memory(hotel).get("primary") not in (None, before) and memory(hotel)["primary"], "another primary", 60
    )


def test_the_status_says_who_holds_the_memory(hotel):
    primary = wait_whole(hotel)
    assert primary in MEMBERS
    roles = {name: hotel.pod(name)["metadata"]["labels"]["crewops.dev/redis-role"] for name in MEMBERS}
    assert roles == {name: "primary" if name == primary else "replica" for name in MEMBERS}
    budget = hotel.get("poddisruptionbudget", "concierge-redis")
    assert budget["spec"]["maxUnavailable"] == 1
    assert {hotel.get("pvc", f"data-{name}")["status"]["phase"] for name in MEMBERS} == {"Bound"}
    assert "all 3 members" in hotel.condition("MemoryDurable")["message"]


@pytest.mark.local_cluster
def test_a_killed_primary_is_followed_by_one_that_knows_all(hotel):
    primary = wait_whole(hotel)
    one, other = hotel.replicas()
    hotel.say(one, FACT, "kill")
    began = time.monotonic()
    os.kill(hotel.pids(primary, "redis")[0], signal.SIGKILL)
    another_primary(hotel, primary)
    assert WORD in hotel.say(other, QUESTION, "kill")
    print(f"remembered again after {time.monotonic() - began:.1f} s")
    wait_whole(hotel)
    events = json.loads(str(hotel.kubectl("get", "events", "-o", "json")))["items"]
    assert any(one["reason"] == "RedisFailedOver" and "is the primary of Redis now" in one["message"] for one in events)


@pytest.mark.local_cluster
def test_a_stalled_primary_is_replaced_as_primary_and_told_so_when_it_is_back(hotel):
    primary = wait_whole(hotel)
    one, other = hotel.replicas()
    hotel.say(one, FACT, "stall")
    pid = hotel.pids(primary, "redis")[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        another_primary(hotel, primary)
        assert WORD in hotel.say(other, QUESTION, "stall")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_whole(hotel)


@pytest.mark.local_cluster
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


@pytest.mark.parametrize("how", [(), ("--grace-period=0", "--force")], ids=["drained", "forced"])
def test_a_primary_whose_pod_goes_is_followed_and_fails_no_kickoff(hotel, how):
    primary = wait_whole(hotel)
    guest = f"pod {how}"
    hotel.say(hotel.replicas()[0], FACT, guest)
    with calling(hotel, retries=True) as asked:
        hotel.kubectl("delete", "pod", primary, "--wait=false", *how)
        another_primary(hotel, primary)
        already = asked()
        wait_until(lambda: asked() > already, "kickoffs go on, and none failed", 60)
    assert WORD in hotel.say(hotel.replicas()[1], QUESTION, guest)
    wait_whole(hotel)


def test_redis_takes_other_resources_member_by_member_and_forgets_nothing(hotel):
    primary = wait_whole(hotel)
    hotel.say(hotel.replicas()[0], FACT, "resources")
    before = {name: hotel.pod(name)["metadata"]["uid"] for name in MEMBERS}

    def replaced():
        pods = [hotel.pod(name) for name in MEMBERS]
        return all(pod and pod["metadata"]["uid"] != before[pod["metadata"]["name"]] for pod in pods)

    with calling(hotel, retries=True) as asked:
        hotel.patch({"redis": {"managed": {"resources": {"limits": {"memory": "600Mi"}}}}})
        wait_until(replaced, "all members are replaced", 120)
        assert wait_whole(hotel, 120) != primary
        already = asked()
        wait_until(lambda: asked() > already, "kickoffs go on, and none failed", 60)
    assert WORD in hotel.say(hotel.replicas()[0], QUESTION, "resources")


def test_a_new_password_reaches_every_member_and_fails_no_kickoff(hotel):
    wait_whole(hotel)
    before = {name: hotel.pod(name)["metadata"]["uid"] for name in MEMBERS}
    old = hotel.replicas()
    with calling(hotel, retries=True) as asked:
        done = hotel.crewctl("rotate", hotel.name)
        assert done.returncode == 0, done.stderr
        hotel.wait_replicas(2, but=names(old))
        already = asked()
        wait_until(lambda: asked() > already, "kickoffs go on, and none failed", 60)
    wait_whole(hotel)
    assert {name: hotel.pod(name)["metadata"]["uid"] for name in MEMBERS} == before, "no member was restarted for it"


def test_the_doctor_finds_nothing_wrong_with_it(hotel):
    wait_whole(hotel)
    done = hotel.crewctl("doctor", hotel.name)
    assert done.returncode == 0, done.stdout + done.stderr
