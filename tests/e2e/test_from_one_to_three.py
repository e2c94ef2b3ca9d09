"""A Redis that ran alone gets two members more, and gives them up again, and no memory is lost on the way."""

import pytest

from support.callers import calling
from support.hotel import FACT, QUESTION, WORD
from support.members import MEMBERS, memory, wait_whole
from support.selection import FAILOVER_ASKED_FOR
from support.waiting import wait_until


def test_a_redis_that_ran_alone_is_the_first_primary_of_three(hotel):
    hotel.wait_ready()
    hotel.say(hotel.replicas()[0], FACT, "alone")
    alone = hotel.pod("concierge-redis-0")["metadata"]["uid"]

    def whole():
        return memory(hotel).get("members") == "3 of 3" and hotel.pod("concierge-redis-0")["metadata"]["uid"] != alone

    with calling(hotel, retries=True) as asked:
        hotel.patch({"redis": {"managed": {"replicas": 3}}})
        wait_until(whole, "three members, all of the newest template", 180)
        hotel.wait_ready(180)
        already = asked()
        wait_until(lambda: asked() > already, "kickoffs go on, and none failed", 60)
    assert WORD in hotel.say(hotel.replicas()[0], QUESTION, "alone")


def one_member(hotel):
    return [name for name in MEMBERS if hotel.pod(name) is not None] == ["concierge-redis-0"]


def test_three_members_become_one(hotel):
    wait_whole(hotel)
    hotel.say(hotel.replicas()[0], FACT, "of three")
    before = {pod["metadata"]["name"] for pod in hotel.replicas()}
    with calling(hotel, retries=True) as asked:
        hotel.patch({"redis": {"managed": {"replicas": 1}}})
        wait_until(lambda: one_member(hotel), "one member", 210)
        hotel.wait_ready(180)
        already = asked()
        wait_until(lambda: asked() > already, "kickoffs go on, and none failed", 60)
    assert not before & {pod["metadata"]["name"] for pod in hotel.replicas()}, "none of them asks for replicas"
    for guest in ("alone", "of three"):
        assert WORD in hotel.say(hotel.replicas()[0], QUESTION, guest)


def test_volumes_that_were_left_behind_are_not_believed(hotel):
    hotel.wait_ready()
    hotel.say(hotel.replicas()[0], FACT, "while alone")
    hotel.patch({"redis": {"managed": {"replicas": 3}}})
    wait_until(lambda: memory(hotel).get("members") == "3 of 3", "three members", 180)
    hotel.wait_ready(180)
    for guest in ("alone", "of three", "while alone"):
        assert WORD in hotel.say(hotel.replicas()[0], QUESTION, guest)


@pytest.mark.timeout(600)
def test_nothing_is_left_of_a_primary_when_one_has_been_alone_for_long(hotel):
    if not FAILOVER_ASKED_FOR:
        pytest.skip("takes four minutes: FAILOVER_ROUNDS=1")
    wait_whole(hotel)
    hotel.patch({"redis": {"managed": {"replicas": 1}}})
    wait_until(lambda: one_member(hotel) and "primary" not in memory(hotel), "no primary to choose", 400)
    hotel.wait_ready()
    assert WORD in hotel.say(hotel.replicas()[0], QUESTION, "while alone")
    found = hotel.get("statefulset", "concierge-redis")
    assert found["spec"]["updateStrategy"]["type"] == "RollingUpdate"
    assert "crewops.dev/redis-primary" not in found["metadata"].get("annotations", {})
    assert "crewops.dev/redis-role" not in hotel.get("service", "concierge-redis")["spec"]["selector"]
