"""What a status keeps for the operator that reads it next."""

from dataclasses import replace

import pytest

from crew_operator.status import summary
from support.observations import good, replica

WHO = summary.Identity("lobby", "concierge")
NOW = 1_790_000_000.0


def told(seen, before=None):
    return summary.status(before or {}, seen, WHO, NOW)


def test_the_next_operator_finds_the_proof_and_has_nothing_to_write():
    first = told(replace(good(), proof=replace(good().proof, time=NOW)))
    found = summary.last_proof(first)
    assert found == replace(good().proof, time=NOW)
    assert not summary.differs(first, told(replace(good(), proof=found), first))


def test_a_proof_of_other_pods_is_found_and_does_not_count():
    first = told(good())
    seen = replace(good(), replicas=(replica("a"), replica("c")), proof=summary.last_proof(first))
    shared = next(one for one in told(seen, first)["conditions"] if one["type"] == "MemoryShared")
    assert (shared["status"], shared["reason"]) == ("Unknown", "ProofPending")


@pytest.mark.parametrize(
    "change",
    [
        {"ok": False, "message": "b did not find it"},
        {"subject": "another"},
    ],
)
def test_the_proof_before_one_that_failed_is_not_taken_for_the_last(change):
    first = told(good())
    then = told(replace(good(), proof=replace(good().proof, **change)), first)
    assert then["memory"]["lastProof"], "it is still told when there was one"
    assert summary.last_proof(then) is None


@pytest.mark.parametrize("left", [{}, {"conditions": []}, {"memory": {"lastProof": {"time": "yesterday"}}}])
def test_a_status_of_nothing_proves_nothing(left):
    assert summary.last_proof(left) is None


def test_how_the_api_is_protected_is_written_and_no_reason_to_write_again():
    seen = good(api={"auth": "Token", "tokenFrom": None, "asBefore": ["allowFrom"]})
    first = told(seen)
    assert first["api"] == {"auth": "Token", "asBefore": ["allowFrom"]}
    assert not summary.differs(first, told(seen, first))
    assert summary.differs({**first, "api": {"auth": "None"}}, told(seen, first))


def proven(time, **changes):
    seen = replace(good(), **changes)
    return replace(seen, proof=replace(good().proof, time=time, subject=seen.subject))


def test_a_proof_that_says_the_same_again_is_written_hourly():
    first = told(proven(NOW))
    again = told(proven(NOW + 300, redis=replace(good().redis, latency=0.5)), first)
    assert not summary.differs(first, again)
    assert again == first
    later = told(proven(NOW + summary.PROOF_TOLD), first)
    assert summary.differs(first, later)
    assert later["memory"]["lastProof"]["time"] > first["memory"]["lastProof"]["time"]


def test_a_proof_goes_with_what_is_written_for_another_reason():
    first = told(proven(NOW))
    seen = proven(NOW + 300)
    second = told(replace(seen, generation=2), first)
    assert summary.differs(first, second)
    assert second["memory"]["lastProof"]["time"] == "2026-09-21T14:18:20Z"


def test_a_proof_of_other_replicas_is_written_at_once():
    first = told(proven(NOW))
    second = told(proven(NOW + 10, replicas=(replica("a"), replica("c"))), first)
    assert second["memory"]["lastProof"] != first["memory"]["lastProof"]


def test_a_proof_from_the_future_is_replaced():
    """Another operator's clock was ahead."""
    first = told(proven(NOW + 86_400))
    assert summary.differs(first, told(proven(NOW), first))
