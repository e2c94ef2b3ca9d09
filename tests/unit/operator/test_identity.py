import random

from crew_operator.status import identity
from crew_operator.status.identity import Servers
from crew_operator.status.observed import RedisLook, RedisState


def replay(looks, servers=None):
    """Follows (run_id, data_id); gives the servers and at which looks a new one was told."""
    servers, told = servers or Servers(), []
    for number, (run_id, data_id) in enumerate(looks):
        servers, another = identity.follow(servers, RedisLook(RedisState.OK, run_id=run_id, data_id=data_id))
        told += [number] if another else []
    return servers, told


def test_a_restart_is_told_once():
    servers, told = replay([("a", "d")] * 3 + [("b", "d")] * 3)
    assert told == [3]
    assert not servers.several


def test_a_restart_while_no_operator_looked_is_told():
    assert replay([("b", "d")] * 3, identity.known("a"))[1] == [0]
    assert replay([("a", "d")] * 3, identity.known("a"))[1] == []
    assert replay([("a", "d")] * 3, identity.known(""))[1] == []


def test_servers_that_take_turns_are_told_once_each_and_are_several():
    for count in (2, 3, 5):
        turns = [(f"server-{number % count}", "d") for number in range(100)]
        servers, told = replay(turns)
        assert told == list(range(1, count))
        assert servers.several
        assert not servers.apart


def test_servers_behind_a_balancer_at_random_come_to_rest():
    chance = random.Random(7)
    _, told = replay([(chance.choice("abcd"), "d") for _ in range(500)])
    assert len(told) == 3


def test_a_restart_behind_a_balancer_is_told_once():
    turns = [("ab"[number % 2], "d") for number in range(20)] + [("ac"[number % 2], "d") for number in range(20)]
    assert replay(turns)[1] == [1, 21]


def test_servers_that_hold_different_data_are_apart_until_one_is_alone():
    turns = [("ab"[number % 2], "d" + "ab"[number % 2]) for number in range(20)]
    servers, _ = replay(turns)
    assert servers.apart
    servers, told = replay([("a", "da")] * (identity.ALONE_AFTER + 1), servers)
    assert (servers.several, servers.apart, told) == (False, False, [])


def test_an_emptied_server_that_takes_turns_with_nobody_is_not_apart():
    servers, told = replay([("a", "d1"), ("a", "d2"), ("b", "d2"), ("b", "d3")])
    assert (servers.apart, told) == (False, [2])


def test_a_server_that_does_not_say_its_id_is_known_by_its_data():
    assert replay([("", "d1")] * 3 + [("", "d2")] * 3)[1] == [3]
    assert replay([("", "")] * 3)[1] == []


def test_a_look_without_an_answer_says_nothing():
    servers, _ = replay([("a", "d")])
    assert identity.follow(servers, RedisLook(RedisState.WEDGED)) == (servers, False)


def test_what_is_remembered_has_a_bound():
    servers, _ = replay([(str(number), "d") for number in range(1000)])
    assert len(servers.seen) == identity.MOST
