from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from crew_operator.status import pacing
from crew_operator.status.pacing import Pace


def writes(times, *, news):
    pace, done = Pace(), []
    for now in times:
        if pacing.may_write(pace, now, news=news):
            pace = pacing.written(pace, now)
            done.append(now)
    return done


def test_a_condition_that_flips_with_each_look_is_written_ten_times_and_then_every_few_seconds():
    done = writes(range(600), news=True)
    assert done[:10] == list(range(10))
    assert 600 / pacing.EACH <= len(done) <= 600 / pacing.EACH + pacing.BURST


def test_a_message_that_changes_with_each_look_is_not_written_with_each():
    done = writes(range(60), news=False)
    assert done[:3] == [0, 5, 10]
    assert len(done) <= 12


def test_what_was_put_off_may_be_written_when_it_was_told_to_come_again():
    pace = pacing.written(Pace(), 100.0)
    for now in (100.0, 102.0, 104.99):
        again = now + pacing.quiet(pace, now)
        assert not pacing.may_write(pace, now, news=False)
        assert pacing.may_write(pace, again, news=False)
        assert again <= 100.0 + pacing.QUIET + 0.1


def test_many_crews_that_are_not_ready_share_what_their_looks_cost():
    assert [pacing.restless(1.0, 3.0, many) for many in (1, 100, 200, 2000)] == [1.0, 1.0, 2.0, 3.0]


def test_rare_changes_are_written_at_once():
    assert writes([0, 100, 200], news=False) == [0, 100, 200]
    assert writes([0, 1, 100, 101], news=True) == [0, 1, 100, 101]


def test_a_pause_earns_no_more_than_a_burst():
    burst = writes([*range(20), *range(10_000, 10_020)], news=True)
    assert len([one for one in burst if one >= 10_000]) <= pacing.BURST + 20 / pacing.EACH + 1


@given(st.text(max_size=80), st.floats(1, 3600), st.floats(0, 1e7))
def test_a_turn_comes_once_in_each_period_and_at_its_own_time(name, period, now):
    after = pacing.turn(name, period, now)
    assert 0 < after <= period
    # whenever it is asked for, it is the same one; at the turn itself the next one is a period away
    between = pacing.turn(name, period, now + after / 2) - after / 2
    assert min(abs(between), abs(between - period)) < 1e-6


def test_the_turns_of_many_are_spread_evenly():
    turns = Counter(int(pacing.turn(f"hotel/crew-{number}", 60.0, 1e6) / 6) for number in range(2000))
    assert len(turns) == 10
    assert min(turns.values()) > 150, turns
