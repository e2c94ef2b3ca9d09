import itertools

from crew_operator import healing
from crew_operator.healing import Fleet, History
from crew_operator.status.observed import Observed, RedisLook, RedisPod, RedisState


def seen(state=RedisState.WEDGED, uid="pod-1", **changes):
    return Observed(generation=1, redis_pod=RedisPod(uid=uid, ip="127.0.1.9"), redis=RedisLook(state), **changes)


def replay(steps):
    """Runs (seconds, state, uid) through; gives the times of the replacements."""
    history, replaced = History(), []
    for now, state, uid in steps:
        acts, history = healing.acts(seen(state, uid), history, now)
        replaced += [now for _ in acts]
        history = healing.replaced(history, now) if acts else history
    return replaced


def test_wedged_redis_is_replaced_after_its_patience():
    assert replay([(now, RedisState.WEDGED, "p") for now in range(100, 130, 3)]) == [121]


def test_one_answer_in_between_starts_the_count_anew():
    states = [RedisState.WEDGED] * 6 + [RedisState.OK] + [RedisState.WEDGED] * 6
    assert replay([(100 + 3 * n, state, "p") for n, state in enumerate(states)]) == []


def test_new_pod_gets_its_own_patience():
    assert replay([(100 + n, RedisState.WEDGED, "p" if n < 15 else "q") for n in range(30)]) == []


def test_pause_between_replacements_doubles():
    replaced = replay([(now, RedisState.WEDGED, "p") for now in range(1000)])
    gaps = [after - before for before, after in itertools.pairwise(replaced)]
    assert gaps == [60, 120, 240, 480]


def test_long_health_forgives():
    sick = [(now, RedisState.WEDGED, "p") for now in range(30)]
    well = [(now, RedisState.OK, "p") for now in range(30, 700)]
    again = [(now, RedisState.WEDGED, "p") for now in range(700, 800)]
    assert replay(sick + well + again) == [20, 720, 780]


def test_full_server_is_not_restarted():
    for state in set(RedisState) - {RedisState.WEDGED}:
        assert replay([(now, state, "p") for now in range(0, 600, 5)]) == []


def test_external_redis_is_left_to_its_owner():
    history = History(wedged_pod="pod-1", wedged_for=900.0)
    acts, _ = healing.acts(seen(managed=False), history, 1000)
    assert acts == ()


def test_time_in_which_nobody_looked_is_no_time_without_an_answer():
    assert replay([(100, RedisState.WEDGED, "p"), (125, RedisState.WEDGED, "p")]) == []
    assert replay([(100, RedisState.WEDGED, "p"), (1000, RedisState.WEDGED, "p"), (2000, RedisState.WEDGED, "p")]) == []
    assert replay([(now, RedisState.WEDGED, "p") for now in range(0, 200, 30)]) == [120]


def test_an_act_that_failed_is_due_again_at_the_next_look():
    history = History()
    for now in range(100, 121):
        acts, history = healing.acts(seen(), history, now)
    assert acts
    for now in (121, 122):
        acts, history = healing.acts(seen(), history, now)
        assert acts, "it was not told as done"
    acts, _ = healing.acts(seen(), healing.replaced(history, 122), 123)
    assert not acts


def test_over_all_crews_only_a_few_are_replaced_in_a_while():
    fleet, replaced = Fleet(), []
    histories = dict.fromkeys(range(50), History())
    for now in range(0, 1200, 3):
        for crew, history in histories.items():
            due, histories[crew] = healing.acts(seen(uid=f"pod-{crew}"), history, now)
            if due and fleet.takes(now):
                histories[crew] = healing.replaced(histories[crew], now)
                replaced.append(now)
    assert len(replaced) == 3 * 4
    for first in replaced:
        assert sum(first <= one < first + healing.INTERVAL for one in replaced) <= healing.AT_MOST


def test_one_that_came_to_nothing_does_not_count():
    fleet = Fleet()
    assert [fleet.takes(now) for now in (0, 1, 2, 3)] == [True, True, True, False]
    fleet.gives_back(1)
    assert [fleet.takes(now) for now in (4, 5)] == [True, False]


def test_that_acts_are_held_back_is_told_once_a_minute():
    fleet = Fleet()
    assert [now for now in range(150) if fleet.is_news(now)] == [0, 60, 120]
