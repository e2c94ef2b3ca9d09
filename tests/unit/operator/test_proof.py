import pytest

from crew_operator import proof
from crew_operator.status.observed import Observed, Proof, Replica

REPLICA = Replica(name="a", uid="a", ip="10.0.0.1", ready=True)
SEEN = Observed(generation=1, replicas=(REPLICA,))
INTERVAL = 300.0


def made(age, *, ok=True, subject=SEEN.subject):
    return Proof(time=1000 - age, subject=subject, ok=ok, replicas=1, latency=0.1, message="")


@pytest.mark.parametrize(
    ("last", "holds", "due"),
    [
        (None, 2000, True),
        (made(10, subject="others"), 2000, True),
        (made(299), 0, False),
        (made(300), 0, True),
        (made(3000), 1001, False),
        (made(3000), 1000, True),
        (made(10), 0, False),
        (made(9, ok=False), 0, False),
        (made(10, ok=False), 2000, True),
    ],
)
def test_a_proof_counts_for_its_interval_and_one_of_an_operator_before_until_it_is_this_crews_turn(last, holds, due):
    assert proof.due(SEEN, last, 1000, INTERVAL, holds) is due


def test_without_a_replica_there_is_nothing_to_prove():
    assert not proof.due(Observed(generation=1), None, 1000, INTERVAL)
