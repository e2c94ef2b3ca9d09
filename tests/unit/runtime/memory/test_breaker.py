"""The breaker, on a clock of its own."""

from crew_runtime.guard.breaker import FIRST_PAUSE, LONGEST_PAUSE, Breaker


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def made():
    clock = Clock()
    return Breaker(clock, 2.0), clock


def test_it_is_closed_at_first():
    breaker, _ = made()
    assert not breaker.is_open
    assert breaker.why == ""


def test_after_a_hang_nobody_asks_until_the_pause_is_over():
    breaker, clock = made()
    breaker.opened("no answer")
    assert (breaker.is_open, breaker.why) == (True, "no answer")
    assert not breaker.may_try()
    clock.now += FIRST_PAUSE - 0.01
    assert not breaker.may_try()
    clock.now += 0.02
    assert breaker.may_try()


def test_new_work_tries_at_once_and_waits_longer_when_that_fails():
    breaker, clock = made()
    breaker.opened("x")
    breaker.hopeful()
    assert [breaker.may_try(), breaker.may_try()] == [True, False]
    breaker.opened("x")
    clock.now += FIRST_PAUSE
    assert not breaker.may_try()


def test_hope_opens_nothing():
    breaker, _ = made()
    breaker.hopeful()
    assert not breaker.is_open


def test_one_caller_tries_and_the_others_keep_failing():
    breaker, clock = made()
    breaker.opened("x")
    clock.now += FIRST_PAUSE
    assert [breaker.may_try() for _ in range(5)] == [True, False, False, False, False]


def test_a_try_that_never_ended_does_not_close_the_door_for_ever():
    breaker, clock = made()
    breaker.opened("x")
    clock.now += FIRST_PAUSE
    assert breaker.may_try()
    clock.now += FIRST_PAUSE
    assert breaker.may_try()


def test_the_pause_doubles_up_to_a_limit():
    breaker, clock = made()
    pauses = []
    for _ in range(6):
        breaker.opened("x")
        begun = clock.now
        while not breaker.may_try():
            clock.now += 0.125
        pauses.append(clock.now - begun)
    assert pauses == [0.5, 1.0, 2.0, 2.0, 2.0, 2.0]
    assert pauses[-1] == LONGEST_PAUSE


def test_an_answer_closes_it_and_the_next_pause_is_short_again():
    breaker, clock = made()
    for _ in range(4):
        breaker.opened("x")
    breaker.closed()
    assert (breaker.is_open, breaker.why) == (False, "")
    breaker.opened("y")
    clock.now += FIRST_PAUSE
    assert breaker.may_try()


def test_answers_that_come_just_in_time_one_after_the_other_are_a_hang():
    breaker, _ = made()
    breaker.answered(1.2)
    assert not breaker.is_open
    breaker.answered(1.2)
    assert (breaker.is_open, breaker.why) == (True, "its last answers took 2.4 s")
    breaker.answered(0.1)
    assert not breaker.is_open


def test_a_slow_answer_now_and_then_is_none():
    breaker, _ = made()
    for seconds in (1.9, 0.1, 1.9, 0.9, 1.9):
        breaker.answered(seconds)
        assert not breaker.is_open


def test_new_work_counts_its_own_slow_answers():
    breaker, _ = made()
    breaker.answered(1.9)
    breaker.hopeful()
    breaker.answered(1.9)
    assert not breaker.is_open


def test_a_short_deadline_takes_no_busy_cpu_for_a_hang():
    breaker = Breaker(Clock(), 0.2)
    for _ in range(9):
        breaker.answered(0.19)
    assert not breaker.is_open
