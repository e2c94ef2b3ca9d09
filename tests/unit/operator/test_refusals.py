import pytest

from crew_operator import desired
from crew_operator.api import parse
from crew_operator.desired import refusals
from crew_operator.desired.refusals import Running
from support.crews import crew_manifest

INPUTS = desired.Inputs(runtime_image="runtime:1", redis_image="redis:8", redis_password="p")
EXTERNAL = {"external": {"urlFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}}


def crew(**changes):
    return parse.crew_deployment(crew_manifest(**changes))


def running(**changes):
    children = {child["kind"]: child for child in desired.children(crew(**changes), INPUTS)}
    templates = children.get("StatefulSet", {}).get("spec", {}).get("volumeClaimTemplates")
    claim = templates[0] if templates else None
    return Running(deployment=children["Deployment"], stateful_set=children.get("StatefulSet"), claim=claim)


def told(new, old):
    return [str(problem) for problem in refusals.problems(crew(**new), running(**old))]


@pytest.mark.parametrize("old", [{}, {"redis": EXTERNAL}])
def test_same_spec_is_allowed(old):
    assert told(old, old) == []


def test_nothing_is_refused_while_nothing_runs():
    assert refusals.problems(crew(), Running()) == ()


def test_shrunk_storage_is_refused_with_both_sizes():
    (problem,) = told({"redis__managed__storage__size": "512Mi"}, {})
    assert problem == (
        "the volume has 1Gi and cannot shrink to 512Mi: put 1Gi back, or more @ spec.redis.managed.storage.size"
    )


def test_grown_storage_is_allowed():
    assert told({"redis__managed__storage__size": "2Gi"}, {}) == []


@pytest.mark.parametrize(("new", "old"), [({"redis": EXTERNAL}, {}), ({}, {"redis": EXTERNAL})])
def test_exchanged_redis_is_refused(new, old):
    (problem,) = told(new, old)
    assert "managed and external cannot be exchanged" in problem


def test_deleted_stateful_set_is_no_exchange():
    without = Running(deployment=running().deployment)
    assert refusals.problems(crew(), without) == ()


def test_changed_key_prefix_is_refused():
    (problem,) = told({"memory__keyPrefix": "other"}, {})
    assert "the memories under lobby/concierge would be lost from sight" in problem
