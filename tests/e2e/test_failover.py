"""A Redis of three members: the crew keeps its memory when members are replaced, as planned or by a drained node."""

import pytest

from support.callers import calling
from support.hotel import FACT, QUESTION, WORD, names
from support.members import MEMBERS, another_primary, wait_whole
from support.waiting import wait_until


@pytest.fixture(scope="module")
def spec():
    return {"redis": {"managed": {"replicas": 3}}}


def test_the_status_says_who_holds_the_memory(hotel):
    primary = wait_whole(hotel)
    assert primary in MEMBERS
    roles = {name: hotel.pod(name)["metadata"]["labels"]["crewops.dev/redis-role"] for name in MEMBERS}
    assert roles == {name: "primary" if name == primary else "replica" for name in MEMBERS}
    budget = hotel.get("poddisruptionbudget", "concierge-redis")
    assert budget["spec"]["maxUnavailable"] == 1
    assert {hotel.get("pvc", f"data-{name}")["status"]["phase"] for name in MEMBERS} == {"Bound"}
    assert "all 3 members" in hotel.condition("MemoryDurable")["message"]


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
    old = names(hotel.replicas())
    with calling(hotel, retries=True) as asked:
        done = hotel.crewctl("rotate", hotel.name, timeout=300)
        assert done.returncode == 0, done.stderr
        already = asked()
        wait_until(lambda: asked() > already, "kickoffs go on, and none failed", 60)
    wait_whole(hotel)
    assert names(hotel.replicas()) == old, "no replica was made anew for it"
    assert {name: hotel.pod(name)["metadata"]["uid"] for name in MEMBERS} == before, "no member was restarted for it"


def test_the_doctor_finds_nothing_wrong_with_it(hotel):
    wait_whole(hotel)
    done = hotel.crewctl("doctor", hotel.name)
    assert done.returncode == 0, done.stdout + done.stderr
