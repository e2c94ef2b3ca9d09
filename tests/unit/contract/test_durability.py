import pytest

from crew_runtime.contract import durability
from crew_runtime.contract.durability import FSYNC, HURRY_MS, HURRY_SECONDS, REPLICATED, Patience


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def waits(patience):
    return patience.milliseconds(patience.until())


@pytest.mark.parametrize("deadline", [0.05, 2.0, 600.0])
def test_a_wait_ends_before_its_call_and_is_never_for_ever(clock, deadline):
    patience = Patience(deadline, clock)
    assert 0 < waits(patience) < deadline * 1000
    until = patience.until()
    clock.now += deadline
    assert patience.milliseconds(until) == 1, "0 is for ever"


def test_after_one_that_came_short_the_next_ones_hurry_and_one_waits_in_full_again(clock):
    patience = Patience(2.0, clock)
    full = waits(patience)
    patience.fell_short()
    assert waits(patience) <= HURRY_MS < full
    clock.now += HURRY_SECONDS / 2
    patience.fell_short()
    clock.now += HURRY_SECONDS / 2
    assert waits(patience) == pytest.approx(full, abs=1), "what had hurried does not put it off"
    patience.fell_short()
    patience.restored()
    assert waits(patience) == pytest.approx(full, abs=1)


@pytest.mark.parametrize(
    ("wanted", "answer", "held"),
    [
        (REPLICATED, 1, True),
        (REPLICATED, 2, True),
        (REPLICATED, 0, False),
        (FSYNC, [1, 0], True),
        (FSYNC, [0, 1], False),
        (FSYNC, [], False),
        (FSYNC, "1", False),
        (REPLICATED, None, False),
        (FSYNC, ["1", 0], False),
    ],
)
def test_only_a_count_is_an_acknowledgement(wanted, answer, held):
    assert durability.holds(wanted, answer) is held


def test_what_is_asked_for_is_asked_of_redis():
    assert durability.wait(FSYNC, 1600) == ("WAITAOF", "1", "0", "1600")
    assert durability.wait(REPLICATED, 1600) == ("WAIT", "1", "1600")
