"""Promise: the member that stays of three is found by clients all the time, and is left to itself when it can begin
again without an operator.
"""

from dataclasses import replace

import pytest

from crew_operator.desired.redis_users import RedisUsers
from crew_operator.failover import controller as module
from crew_operator.failover.controller import Controller
from crew_operator.failover.decide import Alone
from crew_operator.failover.facts import Leaving, Member, Picture, Record
from crew_operator.failover.record import Found

FIRST, OTHER = (Member(f"redis-{number}", number, f"uid-{number}", f"10.0.0.{number}") for number in range(2))
RECORD = Record(5, FIRST.name, leaving=Leaving.ALONE)


class Board:
    """Keeps what it is told."""

    def __init__(self):
        self.records, self.roles = [], {}

    async def write(self, record, version):
        self.records.append(record)

    async def label(self, member, role):
        self.roles[member.name] = role

    def fence(self):
        pass


async def nobody(news):
    pass


class Clock:
    """Seconds of the monotonic clock."""

    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def controller(board):
    return Controller(board, "p", 3, RedisUsers("p", "crew", "operator"), tell=nobody, leaving=True)


async def alone(controller, *members, replicas=1, record=RECORD):
    found = Found(members, record, "1", replicas=replicas)
    seen = Picture(members, {}, record, 3, leaving=True, replicas=replicas)
    return await controller._alone(found, seen, Alone(FIRST, record.term))


async def test_one_that_goes_on_alone_is_labelled_whenever_its_pod_was_made_anew(controller, board, clock):
    """Clients are led by the label as long as another pod is there, also one that cannot end."""
    await alone(controller, FIRST, OTHER)
    assert board.roles == {FIRST.name: "primary", OTHER.name: "replica"}
    board.roles.clear()
    await alone(controller, replace(FIRST, role="primary"), replace(OTHER, role="replica"))
    assert board.roles == {}, "nothing is written when it is right"


async def test_the_record_is_of_use_until_the_file_of_one_has_reached_its_pod(controller, board, clock):
    await alone(controller, FIRST, OTHER, replicas=3)
    clock.now += 1000
    await alone(controller, FIRST, OTHER)
    clock.now += module.FILE_AFTER - 1
    await alone(controller, FIRST)
    assert board.records == [], "its container would begin as a replica of nobody"
    clock.now += 1
    await alone(controller, FIRST)
    assert board.records == [Record(5, FIRST.name, leaving=Leaving.OVER)]
    await alone(controller, FIRST, record=board.records[0])
    assert len(board.records) == 1
    assert controller.state.leaving == Leaving.OVER, "the pass is told, which forgets the record"
