"""How often the memory of slots is looked at."""

import itertools

import pytest

from crew_runtime.worker import limits, processes


@pytest.fixture
def memory(monkeypatch):
    """Of a process with a budget of 100 bytes: set `memory[0]` to what it has."""
    has = [1000]
    monkeypatch.setattr(processes, "anonymous", lambda _pid: has[0])
    return has


def test_what_loading_takes_is_not_counted_and_more_than_the_budget_is(memory):
    watched = limits.Watched(1, 100)
    assert not watched.exceeded()
    watched.start()
    seen = []
    for has in (1000, 1050, 1050, 1040, 1100, 1101):
        memory[0] = has
        seen.append((watched.exceeded(), watched.grew))
    assert seen == [(False, False), (False, True), (False, False), (False, False), (False, True), (True, True)]


def test_looks_are_seldom_while_nothing_grows_and_at_once_when_something_does():
    at_rest = itertools.accumulate([False] * 6, lambda last, grew: limits.next_look(last, grew=grew), initial=0.05)
    assert list(at_rest) == [0.05, 0.1, 0.2, 0.4, 0.4, 0.4, 0.4]
    assert limits.next_look(0.4, grew=True) == 0.05
