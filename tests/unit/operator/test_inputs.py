"""Promise: while the number of members of Redis changes, the crew's pods are made anew for that alone."""

import dataclasses

import pytest

from crew_operator import desired
from crew_operator.api import names, parse
from crew_operator.api.access import Access
from crew_operator.children import NOTHING_SEEN, Children, _Job
from crew_operator.cluster_cache import ClusterCache
from crew_operator.desired import runtime_image
from crew_operator.desired.runtime_image import Rollout
from crew_operator.failover.facts import Leaving, Record
from crew_operator.failover.record import shown
from crew_operator.live import Live
from crew_operator.references import References
from crew_operator.rolls import Generated
from crew_operator.settings import Settings
from support.crews import crew_manifest


def operator(image):
    return Children(None, ClusterCache(), Settings(runtime_image=image))


def inputs_of(children, job):
    return children._inputs_of(job, None, Generated(), Generated(), password_file=True)[1]


def live(record, replicas, durability):
    """A Redis of so many members, and a crew that was made when that was its durability."""
    annotations = {names.PRIMARY_ANNOTATION: shown(record)} if record is not None else {}
    made = parse.crew_deployment(crew_manifest(redis__managed={"replicas": 3}, memory={"durability": durability}))
    (deployment,) = [
        one for one in desired.children(made, desired.Inputs("old", "redis:8")) if one["kind"] == "Deployment"
    ]
    selector = {names.ROLE_LABEL: names.PRIMARY} if record is not None else {}
    found = Live()
    found.put({"metadata": {"name": "concierge-redis"}, "spec": {"selector": selector}}, "Service")
    found.put(
        {"metadata": {"name": "concierge-redis", "annotations": annotations}, "spec": {"replicas": replicas}},
        "StatefulSet",
    )
    found.put(deployment, "Deployment")
    return found


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        (3, live(None, 1, "Buffered")),
        (1, live(Record(4, "concierge-redis-1", whole=True), 3, "Replicated")),
        (1, live(Record(5, "concierge-redis-0", whole=True, leaving=Leaving.READY), 3, "Buffered")),
    ],
    ids=["from one to three", "from three to one", "ready to leave"],
)
def test_a_crew_that_asks_for_what_there_is_for_now_has_the_pods_that_it_wants(wanted, there):
    """A new operator's image waits for the rollout that the crew itself is about to have."""
    crew = parse.crew_deployment(crew_manifest(uid="u", redis__managed={"replicas": wanted}))
    before, after = operator("old"), operator("new")
    job = _Job(crew, Access(), there, before._plan(crew, there), References(), {}, Rollout(), (), NOTHING_SEEN)
    made = desired.children(job.plan.crew, inputs_of(before, job))[-1]
    there.put(made, "Deployment")
    job = dataclasses.replace(job, plan=after._plan(crew, there), rolled_out=runtime_image.rollout(made))
    assert inputs_of(after, job).runtime_image == "old"
    assert after._is_as_wanted(job, inputs_of(after, job))
