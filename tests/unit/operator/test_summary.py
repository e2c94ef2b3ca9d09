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
