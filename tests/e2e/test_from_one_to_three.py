"""A Redis that ran alone gets two members more, and no memory is lost on the way."""

import pytest

from crew_programs.errors import ProgramError
from support.callers import calling
from support.hotel import FACT, QUESTION, WORD
from support.waiting import wait_until


def test_a_redis_that_ran_alone_is_the_first_primary_of_three(hotel):
    hotel.wait_ready()
    hotel.say(hotel.replicas()[0], FACT, "alone")
    alone = hotel.pod("concierge-redis-0")["metadata"]["uid"]

    def whole():
        memory = hotel.crew()["status"]["memory"]
        return memory.get("members") == "3 of 3" and hotel.pod("concierge-redis-0")["metadata"]["uid"] != alone

    with calling(hotel, retries=True) as asked:
        hotel.patch({"redis": {"managed": {"replicas": 3}}})
        wait_until(whole, "three members, all of the newest template", 180)
        hotel.wait_ready(180)
        already = asked()
        wait_until(lambda: asked() > already, "kickoffs go on, and none failed", 60)
    assert WORD in hotel.say(hotel.replicas()[0], QUESTION, "alone")
    with pytest.raises(ProgramError, match="replicas can go from 1 to 3 but not back"):
        hotel.patch({"redis": {"managed": {"replicas": 1}}})
