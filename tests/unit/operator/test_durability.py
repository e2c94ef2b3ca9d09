"""Which looks at the canary mean that Redis has lost memories, and which do not."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crew_operator.status import durability
from crew_operator.status.durability import Ledger
from crew_operator.status.observed import Canary, RedisLook, RedisState

STORE, OTHER = "a" * 16, "b" * 16
INTERVAL = 300.0
NOW = 1_000_000.0


def canary(number, time=int(NOW), store=STORE):
    return Canary(store, number, time)


def look(found, written="", state=RedisState.OK):
    return RedisLook(state, canary=None if found is None else str(found), canary_written=str(written))


def seen(ledger, found, now=NOW):
    return durability.follow(ledger, look(found), now)


def test_a_new_store_gets_a_canary_and_has_to_have_it_when_it_was_found_again():
    begun = durability.next_canary(Ledger(), "", STORE, INTERVAL, NOW)
    assert begun == f"{STORE} 1 {int(NOW)}"
    ledger = durability.follow(Ledger(), look("", begun), NOW)
    assert (ledger.kept, str(ledger.written)) == (None, begun)
    assert seen(ledger, begun, NOW + 1).kept is None, "it may not be on the disk yet"
    assert str(seen(ledger, begun, NOW + 2).kept) == begun


def test_what_went_with_a_server_before_it_was_on_its_disk_is_no_loss():
    ledger = Ledger(kept=canary(4), written=canary(5))
    assert seen(ledger, canary(4), NOW + 9).loss is None
    assert seen(Ledger(written=canary(1)), "", NOW + 9) == Ledger(written=canary(1))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("", "nothing of what it held"),
        ("made up by somebody", "nothing of what it held"),
        (canary(4, int(NOW) - 86400), "the state of 1970-01-11T13:46:40Z"),
        (canary(9, store=OTHER), "another store"),
    ],
)
def test_a_store_without_what_it_has_to_have_has_lost_it(found, words):
    ledger = seen(Ledger(kept=canary(5)), found)
    assert ledger.loss is not None
    assert words in ledger.loss.message
    assert "last seen in it at 1970-01-12T13:46:40Z" in ledger.loss.message
    assert ledger.loss.id in ledger.loss.remedy


def test_a_loss_stays_one_loss_and_is_not_written_over():
    lost = seen(Ledger(kept=canary(5)), "")
    assert seen(lost, "", NOW + 60).loss == lost.loss
    assert durability.next_canary(lost, "", OTHER, INTERVAL, NOW + 999) == ""
    unseen = Ledger(kept=canary(5))
    assert durability.next_canary(unseen, "", OTHER, INTERVAL, NOW + 999) == "", "in the look that sees it"


def test_it_ends_when_the_memories_are_back():
    lost = seen(Ledger(kept=canary(5)), canary(2))
    assert seen(lost, canary(5)) == Ledger(kept=canary(5))


def test_it_ends_when_somebody_accepts_this_loss_and_no_other():
    lost = seen(Ledger(kept=canary(5)), canary(2))
    assert durability.accepted(lost, None) == lost
    assert durability.accepted(lost, "another") == lost
    begun = durability.accepted(lost, lost.loss.id)
    assert seen(begun, canary(2)) == Ledger(kept=canary(2)), "what is there counts from then on"
    assert durability.next_canary(begun, "", OTHER, INTERVAL, NOW) == str(canary(1, store=OTHER))


def test_one_is_written_each_interval_with_the_next_number():
    ledger = Ledger(kept=canary(5))
    assert durability.next_canary(ledger, str(canary(5)), OTHER, INTERVAL, NOW + INTERVAL - 1) == ""
    assert durability.next_canary(ledger, str(canary(5)), OTHER, INTERVAL, NOW + INTERVAL) == (
        f"{STORE} 6 {int(NOW + INTERVAL)}"
    )
    assert durability.next_canary(ledger, str(canary(5)), OTHER, INTERVAL, NOW - 60).startswith(f"{STORE} 6 "), (
        "a clock that was put back"
    )


def test_what_another_operator_wrote_is_taken_over():
    assert seen(Ledger(kept=canary(5)), canary(9)) == Ledger(kept=canary(9))
    assert seen(Ledger(), canary(9)) == Ledger(kept=canary(9))


@pytest.mark.parametrize("found", [look(None), look("", state=RedisState.LOADING), look("", state=RedisState.WEDGED)])
def test_a_look_that_saw_nothing_says_nothing(found):
    ledger = Ledger(kept=canary(5))
    assert durability.follow(ledger, found, NOW) is ledger


def test_the_status_carries_it_to_the_next_operator():
    lost = seen(Ledger(kept=canary(5)), "")
    told = {"memory": durability.shown(lost)}
    assert durability.recorded(told) == lost
    assert durability.recorded({}) == Ledger()
    assert durability.recorded({"memory": {"canary": {"store": STORE, "number": "x", "time": "y"}}}) == Ledger()


@given(
    st.sampled_from([Ledger(), Ledger(kept=canary(5))]),
    st.from_regex(r"(a{16}|b{16}) [0-9]{1,20} [0-9]{1,20}", fullmatch=True),
)
@example(Ledger(), f"{STORE} 7 999999999999")
@example(Ledger(kept=canary(5)), f"{STORE} 4 999999999999")
def test_whatever_a_crew_writes_there_can_be_told(ledger, text):
    seen_so = seen(ledger, text)
    told = durability.shown(seen_so)
    assert durability.recorded({"memory": {name: value for name, value in told.items() if value}}) == seen_so


@given(st.text(max_size=60))
def test_whatever_lies_there_is_judged(text):
    ledger = seen(Ledger(kept=canary(5)), text)
    assert (ledger.loss is None) == (durability.parsed(text) is not None and ledger.kept == durability.parsed(text))


@given(st.lists(st.sampled_from(["look", "wait", "write", "crash"]), max_size=30))
def test_a_store_that_loses_no_more_than_two_seconds_is_never_called_one_that_lost(steps):
    """Any order of looks, canaries and crashes of a Redis that is on its disk after less than two seconds."""
    now, held, on_disk, ledger = NOW, "", "", Ledger()
    written_at = now
    for step in steps:
        if now - written_at >= durability.SYNCED:
            on_disk = held
        if step == "wait":
            now += 1
        elif step == "crash":
            held = on_disk
        else:
            interval = 0.0 if step == "write" else INTERVAL
            new = durability.next_canary(ledger, held, OTHER, interval, now)
            ledger = durability.follow(ledger, replace(look(held), canary_written=new), now)
            if new:
                held, written_at = new, now
    assert ledger.loss is None
