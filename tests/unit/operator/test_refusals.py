import pytest

from crew_operator.api import parse
from crew_operator.desired import refusals
from crew_operator.desired.refusals import Settled
from support.crews import crew_manifest

EXTERNAL = {"external": {"urlFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}}
NOTHING = Settled()


def crew(**changes):
    return parse.crew_deployment(crew_manifest(**changes))


def begun(**changes):
    """What the status says of a crew that was begun so, read back as an operator does that has just started."""
    return refusals.settled({"memory": {**refusals.decide(crew(**changes), NOTHING).shown(), "backend": "Redis"}})


def told(new, old):
    return [str(problem) for problem in refusals.problems(crew(**new), begun(**old))]


@pytest.mark.parametrize("old", [{}, {"redis": EXTERNAL}, {"memory__keyPrefix": "mine"}])
def test_same_spec_is_allowed_as_it_is(old):
    assert told(old, old) == []
    allowed = refusals.allowed(crew(**old), begun(**old), None)
    assert allowed.key_prefix == crew(**old).key_prefix
    assert allowed.spec.redis == crew(**old).spec.redis


def test_nothing_is_refused_while_nothing_was_decided():
    assert refusals.problems(crew(), NOTHING) == ()
    assert refusals.allowed(crew(), NOTHING, None) == crew()


def test_shrunk_storage_is_refused_with_both_sizes_and_the_rest_is_followed():
    new = {"redis__managed__storage__size": "512Mi", "replicas": 7}
    assert told(new, {}) == [
        "the volume has 1Gi and cannot shrink to 512Mi: put 1Gi back, or more @ spec.redis.managed.storage.size"
    ]
    allowed = refusals.allowed(crew(**new), begun(), None)
    assert allowed.spec.redis.managed.storage.size == "1Gi"
    assert allowed.spec.replicas == 7


def test_grown_storage_is_allowed_and_cannot_be_taken_back():
    grown = crew(redis__managed__storage__size="2Gi")
    assert refusals.problems(grown, begun()) == ()
    assert refusals.decide(grown, begun()).storage == "2Gi"
    assert refusals.decide(crew(), refusals.decide(grown, begun())).storage == "2Gi"


@pytest.mark.parametrize(("new", "old"), [({"redis": EXTERNAL}, {}), ({}, {"redis": EXTERNAL})])
def test_exchanged_redis_is_refused_and_the_old_one_is_kept_as_far_as_it_is_known(new, old):
    (problem,) = told(new, old)
    assert "managed and external cannot be exchanged" in problem
    assert refusals.allowed(crew(**new), begun(**old), None) is None
    assert refusals.allowed(crew(**new), begun(**old), crew(**new)) is None
    kept = refusals.allowed(crew(replicas=7, **new), begun(**old), crew(**old))
    assert kept.spec.redis == crew(**old).spec.redis
    assert kept.spec.replicas == 7


def test_changed_key_prefix_is_refused_and_the_rest_is_followed():
    new = {"memory__keyPrefix": "other", "replicas": 7}
    (problem,) = told(new, {})
    assert "the memories under lobby/concierge would be lost from sight" in problem
    allowed = refusals.allowed(crew(**new), begun(), None)
    assert allowed.key_prefix == "lobby/concierge"
    assert allowed.spec.replicas == 7


@pytest.mark.parametrize("storage", ["nonsense", "9" * 1000])
def test_a_status_that_somebody_else_wrote_refuses_nothing_it_does_not_say(storage):
    assert refusals.problems(crew(), refusals.settled({"memory": {"storage": storage}})) == ()
