"""Promise: another primary is elected out of two members only, which hold all that was acknowledged; none by guess."""

from dataclasses import replace

import pytest

from crew_operator.failover import decide
from crew_operator.failover.decide import Adopt, Alone, Elect, Keep, Replace, Seal, Switch, Wait
from crew_operator.failover.facts import NOBODY, Answer, Contact, Leaving, Look, Member, Picture, Record, Suspicion
from crew_operator.failover.record import parsed, shown
from crew_runtime.contract import REDIS_PORT

A, B, C = (Member(f"redis-{number}", number, f"uid-{number}", f"10.0.0.{number}", ready=True) for number in range(3))
RECORD = Record(4, A.name)
WHOLE = replace(RECORD, whole=True)
NOW = 1000.0
GONE = Suspicion(refused=decide.REFUSALS)


def primary(**said):
    return Answer(is_primary=True, **{"term": 4, "replicas": 2, "fenced": True, **said})


def replica(**said):
    return Answer(**{"source": (A.ip, REDIS_PORT), "linked": True, "term": 4, **said})


def sealed(**said):
    return Answer(**{"source": NOBODY, "term": 4, **said})


def picture(record, *answers):
    looks = {
        one.name: Look(said) if isinstance(said, Contact) else Look(Contact.ANSWERS, said)
        for one, said in zip((A, B, C), answers, strict=True)
        if said is not None
    }
    members = tuple(
        one if said is not None else replace(one, ip="") for one, said in zip((A, B, C), answers, strict=True)
    )
    return Picture(members, looks, record, 3)


def step(seen, suspicion=GONE):
    return decide.step(seen, suspicion, NOW)


def test_a_primary_that_serves_is_kept():
    kept = step(picture(RECORD, primary(), replica(), replica()), Suspicion())
    assert kept == Keep(A, 4, whole=True)


@pytest.mark.parametrize("answer", [sealed(), replica(source=(C.ip, REDIS_PORT)), replica(source=(A.ip, 1))])
def test_who_follows_another_is_told_to_follow_it(answer):
    kept = step(picture(RECORD, primary(), answer, replica()))
    assert (kept.follow, kept.demoted, kept.whole) == ((B,), (), False)


def test_who_was_a_primary_before_is_demoted():
    kept = step(picture(RECORD, primary(), primary(term=3), replica()))
    assert (kept.follow, kept.demoted) == ((B,), (B,))


def test_data_that_do_not_name_their_term_are_named():
    assert step(picture(RECORD, primary(term=3), replica(), replica())).name_term


def test_one_that_ran_alone_needs_its_replicas_once_it_has_one():
    assert step(picture(RECORD, primary(fenced=False), replica(), None)).fence
    assert not step(picture(RECORD, primary(fenced=False), sealed(), None)).fence


# Is it gone? -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "suspicion", [Suspicion(refused=1), Suspicion(silent_since=NOW - decide.SILENT_AFTER + 0.1), Suspicion()]
)
def test_a_short_silence_is_no_proof(suspicion):
    found = step(picture(RECORD, Contact.SILENT, replica(linked=False), replica(linked=False)), suspicion)
    assert found == Wait(found.why, sure=False)


def test_a_primary_that_only_the_operator_cannot_reach_is_left_alone():
    found = step(picture(RECORD, Contact.SILENT, replica(heard=1), replica(heard=9)))
    assert isinstance(found, Wait)
    assert not found.sure


def test_replicas_that_hear_nothing_any_more_are_sealed():
    assert step(picture(RECORD, Contact.REFUSES, replica(linked=False), replica(heard=2))).members == (B, C)


@pytest.mark.parametrize("answer", [sealed(), Contact.LOADING])
def test_a_primary_that_was_started_again_is_none_at_once(answer):
    found = step(picture(RECORD, answer, replica(), replica()), Suspicion())
    assert isinstance(found, Seal)
    assert {B, C} <= set(found.members)


def test_a_primary_without_a_pod_is_gone_when_no_replica_hears_it():
    assert isinstance(step(picture(RECORD, None, replica(linked=False), replica(linked=False)), Suspicion()), Seal)


def test_suspicion_is_gathered_and_forgotten():
    def after(before, contact, at=NOW):
        looks = {A.name: Look(contact, primary() if contact is Contact.ANSWERS else None, at)}
        return decide.suspicion(Picture((A, B, C), looks, RECORD, 3), before, NOW)

    assert after(Suspicion(), Contact.REFUSES) == Suspicion(4, refused=1)
    assert after(Suspicion(4, refused=1), Contact.REFUSES) == Suspicion(4, refused=2)
    assert after(Suspicion(4, refused=1), Contact.SILENT) == Suspicion(4, silent_since=NOW)
    assert after(Suspicion(4, silent_since=5.0), Contact.SILENT) == Suspicion(4, silent_since=5.0)
    assert after(Suspicion(4, silent_since=5.0), Contact.ANSWERS) == Suspicion(4)


def test_what_was_said_against_one_primary_is_not_said_against_the_next():
    looks = {A.name: Look(Contact.REFUSES, None, NOW)}
    old = Suspicion(3, refused=9, silent_since=5.0, alone_since=5.0)
    assert decide.suspicion(Picture((A, B, C), looks, RECORD, 3), old, NOW) == Suspicion(4, refused=1)


def test_a_primary_that_is_cut_off_from_both_others_is_left_behind():
    seen = picture(RECORD, primary(replicas=0, position=99), replica(linked=False, position=7), replica(linked=False))
    suspicion = decide.suspicion(seen, Suspicion(), NOW)
    assert suspicion == Suspicion(4, alone_since=NOW)
    later = Suspicion(4, alone_since=NOW - decide.ALONE_AFTER)
    assert decide.step(seen, later, NOW).members == (B, C)
    seen = picture(RECORD, primary(replicas=0, position=99), sealed(position=7), sealed(position=6))
    assert decide.suspicion(seen, later, NOW) == later
    assert decide.step(seen, later, NOW) == Elect(B, 5, decide.step(seen, later, NOW).why)


@pytest.mark.parametrize("other", [replica(), replica(linked=False, syncing=True), None, sealed(term=0)])
def test_a_primary_whose_replicas_copy_or_are_away_is_not_cut_off(other):
    seen = picture(RECORD, primary(replicas=0), replica(linked=False), other)
    assert decide.suspicion(seen, Suspicion(4, alone_since=1.0), NOW) == Suspicion(4)


# Who is elected? ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "elected"),
    [
        (sealed(term=4), sealed(term=3, position=9, offset=9), B),
        (sealed(position=7), sealed(position=8), C),
        (sealed(position=7, offset=1), sealed(position=7, offset=2), C),
        (sealed(position=8, offset=0), sealed(position=7, offset=900), B),  # offsets begin anew with the process
        (sealed(), sealed(), B),
    ],
)
def test_the_one_with_all_that_was_acknowledged(one, other, elected):
    found = step(picture(WHOLE, Contact.REFUSES, one, other))
    assert isinstance(found, Elect)
    assert (found.member, found.term) == (elected, 5)


def test_before_all_have_held_the_same_a_volume_from_another_time_is_no_voter():
    assert isinstance(step(picture(RECORD, Contact.REFUSES, sealed(), sealed())), Elect)
    assert isinstance(step(picture(RECORD, Contact.REFUSES, sealed(), sealed(term=3, position=99))), Wait)
    everybody = step(picture(RECORD, sealed(position=1), sealed(term=3, position=99), sealed(term=3)))
    assert (everybody.member, everybody.term) == (A, 5), "what these do not have nobody has"


def test_a_primary_that_takes_writes_without_replicas_after_it_had_some_was_started_again():
    """From its own disk: acknowledged writes may be missing there."""
    found = step(picture(WHOLE, primary(fenced=False), replica(), replica()), Suspicion())
    assert found == Seal((B, C), "redis-0 was started again")
    assert isinstance(step(picture(RECORD, primary(fenced=False), replica(), replica()), Suspicion()), Keep)


def test_what_such_a_primary_has_counted_since_does_not_elect_it():
    """Each of its refused writes counts a position that stands for nothing which it holds."""
    began = primary(fenced=False, position=110, replicas=0)
    found = step(picture(WHOLE, began, sealed(position=105), sealed(position=104)), Suspicion())
    assert (found.member, found.term) == (B, 5)
    found = step(picture(WHOLE, began, sealed(position=105), None), Suspicion())
    assert found == Seal((A,), "redis-0 was started again"), "without the third member there is nobody else to ask"
    found = step(picture(WHOLE, began, sealed(position=105), sealed(term=0)), Suspicion())
    assert found == Seal((A,), "redis-0 was started again"), "nor with one that holds nothing"


def test_a_term_that_is_in_the_data_alone_is_never_used_twice():
    assert step(picture(RECORD, Contact.REFUSES, sealed(term=8), sealed())).term == 9


@pytest.mark.parametrize("other", [Contact.SILENT, Contact.REFUSES, Contact.LOADING, None, sealed(term=0, keys=5)])
def test_one_alone_is_never_elected_nor_counts_one_that_has_no_term(other):
    found = step(picture(RECORD, Contact.REFUSES, sealed(position=3), other))
    assert isinstance(found, Wait)
    assert found.sure
    assert "2 of 3" in found.why


def test_when_all_answer_what_they_do_not_have_nobody_has():
    assert step(picture(RECORD, sealed(term=0, keys=3), sealed(term=0), sealed(term=0))).member == A


# Nobody is on record -----------------------------------------------------------------------------------------------


def test_a_redis_that_runs_alone_is_adopted():
    assert step(picture(None, primary(term=0), sealed(term=0), None)) == Adopt(A, 1)
    assert step(picture(None, primary(term=6), replica(), None)) == Adopt(A, 7)


def test_two_primaries_are_sealed_before_one_is_chosen():
    assert isinstance(step(picture(None, primary(), primary(), sealed())), Seal)
    assert isinstance(step(picture(None, primary(), primary(), None)), Wait)


def test_empty_members_wait_for_all():
    assert isinstance(step(picture(None, None, sealed(term=0), sealed(term=0))), Wait)
    assert step(picture(None, sealed(term=0), sealed(term=0), sealed(term=0))).member == A
    assert step(picture(None, sealed(term=0), sealed(term=0, keys=1), sealed(term=0))).member == B


def test_two_that_hold_data_need_no_third():
    found = step(picture(None, None, sealed(term=4, position=1), sealed(term=4, position=2)))
    assert (found.member, found.term) == (C, 5)


# Replacing members -------------------------------------------------------------------------------------------------


def rollout(members, keep, *, crew_is_ready=True):
    answers = {A.name: primary(), B.name: replica(), C.name: replica()}
    looks = {name: Look(Contact.ANSWERS, said) for name, said in answers.items()}
    return decide.rollout(Picture(members, looks, RECORD, 3), keep, crew_is_ready=crew_is_ready)


KEEP = Keep(A, 4, whole=True)
OLD_A, OLD_B, OLD_C = (replace(one, outdated=True) for one in (A, B, C))


def test_replicas_are_replaced_one_by_one_and_the_primary_hands_over_last():
    assert rollout((OLD_A, OLD_B, OLD_C), replace(KEEP, primary=OLD_A)) == Replace(OLD_C)
    assert rollout((OLD_A, OLD_B, C), replace(KEEP, primary=OLD_A)) == Replace(OLD_B)
    assert rollout((OLD_A, B, C), replace(KEEP, primary=OLD_A)) == Switch(B)
    assert rollout((A, B, C), KEEP) is None


def test_a_primary_is_not_replaced_before_the_crew_waits_for_the_next_one():
    first = replace(KEEP, primary=OLD_A)
    assert rollout((OLD_A, OLD_B, C), first, crew_is_ready=False) == Replace(OLD_B)
    assert rollout((OLD_A, B, C), first, crew_is_ready=False) is None
    going = replace(A, terminating=True)
    assert rollout((going, B, C), replace(KEEP, primary=going), crew_is_ready=False) == Switch(B)


def test_nothing_is_replaced_while_one_is_away():
    assert rollout((OLD_A, OLD_B, OLD_C), replace(KEEP, whole=False)) is None
    assert rollout((OLD_A, OLD_B, replace(C, ready=False)), KEEP) is None
    assert rollout((OLD_A, OLD_B, replace(C, terminating=True)), KEEP) is None


def test_a_primary_that_is_told_to_go_hands_over_before():
    going = replace(A, terminating=True)
    assert rollout((going, B, C), replace(KEEP, primary=going, whole=False)) == Switch(B)
    assert rollout((going, replace(B, terminating=True), C), replace(KEEP, primary=going)) == Switch(C)


def test_members_with_volumes_from_another_time_leave_the_primary_alone_as_long_as_they_copy():
    """They are no reason to seal anybody: nothing can be elected out of them."""
    others = [replica(linked=False, term=3)] * 2
    before = decide.suspicion(picture(RECORD, primary(replicas=0), *others), Suspicion(), NOW)
    assert before.alone_since == 0.0
    whole = decide.suspicion(picture(WHOLE, primary(replicas=0), *others), Suspicion(), NOW)
    assert whole.alone_since == NOW


# From three to one -------------------------------------------------------------------------------------------------


def leaving(record, *answers):
    return replace(picture(record, *answers), leaving=True)


def to_one(members, keep, **options):
    answers = {A.name: primary(), B.name: replica(), C.name: replica()}
    looks = {name: Look(Contact.ANSWERS, said) for name, said in answers.items()}
    seen = Picture(members, looks, WHOLE, 3, leaving=True)
    return decide.rollout(seen, keep, **{"crew_is_ready": True, **options}), decide.is_ready_to_leave(seen, keep)


def test_the_first_member_is_replaced_as_a_replica_and_becomes_primary_then():
    assert to_one((OLD_A, OLD_B, OLD_C), replace(KEEP, primary=OLD_A)) == (Switch(OLD_B), False)
    assert to_one((OLD_A, OLD_B, OLD_C), replace(KEEP, primary=OLD_B)) == (Replace(OLD_A), False)
    assert to_one((A, OLD_B, OLD_C), replace(KEEP, primary=OLD_B)) == (Switch(A), False)
    assert to_one((A, OLD_B, OLD_C), KEEP) == (None, True)
    assert to_one((A, OLD_B, OLD_C), replace(KEEP, primary=OLD_B), crew_is_ready=False) == (None, False)
    assert to_one((A, OLD_B, OLD_C), replace(KEEP, whole=False)) == (None, False)


def test_while_the_crew_stops_to_ask_for_replicas_the_primary_from_before_comes_first_among_equals():
    """Those of its pods that ask for the primary's disk alone, or for nothing, count no position."""
    ready = replace(WHOLE, leaving=Leaving.READY)
    others = sealed(position=7, keys=9, offset=900), sealed(position=7, keys=9, offset=800)
    assert step(leaving(ready, sealed(position=7, keys=9), *others)).member == A
    assert step(leaving(WHOLE, sealed(position=7, keys=9), *others)).member == B
    assert step(leaving(ready, sealed(position=6, keys=9), *others)).member == B, "what is counted comes first"
    assert step(leaving(ready, sealed(term=0), *others)).member == B


ALONE = Record(4, A.name, leaving=Leaving.ALONE)


def test_one_that_goes_on_alone_is_the_only_one_that_can_be_primary():
    assert step(leaving(ALONE, primary(), replica(), None)) == Alone(A, 4, fenced=True)
    assert step(leaving(ALONE, primary(fenced=False, replicas=0), None, None)) == Alone(A, 4)
    assert isinstance(step(leaving(ALONE, Contact.REFUSES, sealed(), sealed())), Wait)
    assert isinstance(step(leaving(ALONE, None, sealed(), sealed())), Wait)


@pytest.mark.parametrize("others", [(None, None), (sealed(position=9), sealed(term=7)), (primary(), Contact.LOADING)])
@pytest.mark.parametrize("seen", [picture, leaving])
def test_one_that_went_on_alone_and_is_started_again_as_one_of_several_is_elected_by_itself(seen, others):
    """Whatever the others have is old. The spec wants them again, or its kubelet still has the file of three."""
    terms = [said.term for said in others if isinstance(said, Answer)]
    found = step(seen(ALONE, sealed(), *others))
    assert (found.member, found.term, found.alone) == (A, max(4, *terms, 0) + 1, True)
    assert step(seen(ALONE, replica(source=(B.ip, REDIS_PORT)), *others)).members == (A,), "it follows nobody"


def test_when_the_record_is_taken_away_at_the_end_none_is_made_anew():
    seen = leaving(None, primary(fenced=False, replicas=0), None, None)
    assert step(replace(seen, replicas=1)) == Wait("the others are gone, and so is the record", sure=False)


def test_when_the_record_is_lost_while_the_others_are_there_one_is_made_anew():
    assert step(leaving(None, primary(term=5), replica(term=5), replica(term=5))) == Adopt(A, 6)
    found = step(leaving(None, None, sealed(term=5, position=8), sealed(term=5, position=9)))
    assert (found.member, found.term) == (C, 6)


def test_one_that_went_on_alone_gets_a_new_term_when_others_come_again():
    assert step(picture(ALONE, primary(), sealed(term=4), None)) == Adopt(A, 5)
    assert step(picture(ALONE, primary(), sealed(term=9), None)) == Adopt(A, 10)


# The record --------------------------------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written():
    for record in (Record(1, "redis-0"), Record(7, "redis-2", whole=True), Record(7, "r", True, Leaving.READY), ALONE):
        assert parsed(shown(record)) == record
    assert parsed('{"term":1,"primary":"a","leaving":["x"]}') == Record(1, "a")


@pytest.mark.parametrize(
    "text", [None, "", "x", "[]", "{}", '{"term":0,"primary":"a"}', '{"term":1e999,"primary":"a"}']
)
def test_what_is_none_is_none(text):
    assert parsed(text) is None
