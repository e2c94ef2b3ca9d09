"""Which traces of a kickoff end its slot."""

import dataclasses
import threading

import pytest

from crew_runtime.worker.clean import MAX_GROWTH, MAX_KICKOFFS, MAX_NEW_SOCKETS, Footprint, footprint, settled, unclean

MAIN = threading.main_thread()
BEFORE = Footprint(
    cwd="/app",
    environ={"HOME": "/state"},
    files=frozenset({"0 /dev/null"}),
    sockets=3,
    memory=100,
    children=0,
    threads=frozenset({MAIN}),
)


def thread(name: str) -> threading.Thread:
    return threading.Thread(name=name)


def why(known: frozenset[threading.Thread] = frozenset(), kickoffs: int = 1, **changes: object) -> str:
    return unclean(BEFORE, dataclasses.replace(BEFORE, **changes), known, kickoffs)


def test_the_same_footprint_is_clean():
    assert why() == ""


def test_a_known_thread_is_clean():
    pool = thread("CrewAISyncHandler_4")
    assert why(known=frozenset({pool}), threads=frozenset({MAIN, pool})) == ""


def test_a_thread_of_the_runtime_is_clean():
    assert why(threads=frozenset({MAIN, thread("crewops-log")})) == ""


def test_a_few_connections_and_a_little_memory_are_clean():
    assert why(sockets=3 + MAX_NEW_SOCKETS, memory=100 + MAX_GROWTH, kickoffs=MAX_KICKOFFS - 1) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cwd": "/"}, "directory was changed to /"),
        ({"environ": {"HOME": "/state", "X": "1"}}, "changed: X"),
        ({"environ": {}}, "changed: HOME"),
        ({"files": frozenset({"0 /dev/null", "7 /etc/x"})}, "7 /etc/x"),
        ({"files": frozenset({"0 /etc/x"})}, "0 /etc/x"),
        ({"sockets": 4 + MAX_NEW_SOCKETS}, "33 sockets"),
        ({"memory": 101 + MAX_GROWTH}, "memory grew by 64 MiB"),
        ({"children": 2}, "2 child processes"),
        ({"threads": frozenset({MAIN, thread("poller")})}, "poller"),
        ({"kickoffs": MAX_KICKOFFS}, "100 kickoffs"),
    ],
)
def test_a_trace_is_named(changes, words):
    assert words in why(**changes)


def test_a_footprint_is_of_this_process():
    seen = footprint()
    assert MAIN in seen.threads
    assert seen.memory > 1e6
    assert any(one.startswith("0 ") for one in seen.files)


def test_what_the_first_kickoff_loads_for_all_is_no_leak_of_the_second():
    loaded = dataclasses.replace(BEFORE, memory=100 + 5 * MAX_GROWTH)
    budget = 12 * MAX_GROWTH
    assert unclean(settled(BEFORE, loaded, budget), loaded, frozenset(), 1) == ""
    grown = dataclasses.replace(loaded, memory=loaded.memory + MAX_GROWTH + 1)
    assert "memory grew" in unclean(settled(BEFORE, loaded, budget), grown, frozenset(), 2)


def test_a_first_kickoff_that_fills_half_of_the_slot_leaves_it_unclean():
    filled = dataclasses.replace(BEFORE, memory=100 + 8 * MAX_GROWTH)
    assert "memory grew" in unclean(settled(BEFORE, filled, 12 * MAX_GROWTH), filled, frozenset(), 1)


def test_a_first_kickoff_that_takes_little_sets_no_lower_limit():
    assert settled(BEFORE, dataclasses.replace(BEFORE, memory=1), MAX_GROWTH).memory == BEFORE.memory
