"""Promise: while the number of members changes nobody asks for a replica that is not there, or that is about to go."""

import dataclasses

import pytest

from crew_operator import desired
from crew_operator.api import names, parse
from crew_operator.api.spec import Durability
from crew_operator.desired import environment
from crew_operator.failover.facts import Leaving, Record
from crew_operator.failover.plan import plan
from crew_operator.failover.record import shown
from crew_runtime.contract import env
from support.crews import crew_manifest

FIRST, SECOND = "concierge-redis-0", "concierge-redis-1"


def crew(replicas, **spec):
    return parse.crew_deployment(crew_manifest(redis__managed={"replicas": replicas}, **spec))


def stateful_set(record=None, replicas=3):
    annotations = {"crewops.dev/redis-primary": shown(record)} if record is not None else {}
    return {"metadata": {"annotations": annotations}, "spec": {"replicas": replicas, "podManagementPolicy": "Parallel"}}


def service(*, by_role):
    return {"spec": {"selector": {"crewops.dev/redis-role": "primary"} if by_role else {}}}


def deployment(durability):
    asked = [{"name": env.DURABILITY, "value": durability}] if durability else []
    made = {"spec": {"template": {"spec": {"containers": [{"name": "crew", "env": asked}]}}}}
    assert environment.asks_for_replicas(made) is (durability == "Replicated")
    return made


def asks(found):
    return found.crew.spec.durability is Durability.REPLICATED


def test_three_from_the_start():
    found = plan(crew(3), None, None, None, ())
    assert (found.members, found.by_role, found.crew_should_wait, found.leaving) == (3, True, True, False)


def test_one_that_ran_alone_is_on_record_before_others_begin_and_the_crew_asks_when_all_hold_the_same():
    alone, asking = deployment(""), deployment("Replicated")
    begun = plan(crew(3), stateful_set(None, 1), service(by_role=False), alone, (FIRST,))
    assert (begun.members, begun.by_role, asks(begun)) == (1, False, False)
    assert begun.crew_should_wait, "no switch before it does"
    known = plan(crew(3), stateful_set(Record(1, FIRST), 1), service(by_role=False), alone, (FIRST,))
    assert (known.members, known.by_role, asks(known), known.crew_should_wait) == (3, True, False, True)
    whole = plan(crew(3), stateful_set(Record(1, FIRST, whole=True)), service(by_role=True), alone, (FIRST, SECOND))
    assert (whole.members, whole.by_role, asks(whole), whole.crew_should_wait) == (3, True, True, True)
    assert asks(plan(crew(3), stateful_set(Record(2, SECOND)), service(by_role=True), asking, ()))


def test_two_of_three_leave_when_the_crew_has_stopped_to_ask_for_them():
    asking, pods = deployment("Replicated"), (FIRST, SECOND)
    by_role = service(by_role=True)
    begun = plan(crew(1), stateful_set(Record(4, SECOND, whole=True)), by_role, asking, pods)
    assert (begun.members, begun.by_role, begun.leaving, begun.crew_should_wait) == (3, True, True, True)
    ready = plan(crew(1), stateful_set(Record(5, FIRST, True, Leaving.READY)), by_role, asking, pods)
    assert (ready.members, ready.by_role, ready.leaving, ready.crew_should_wait) == (3, True, True, False)
    alone = stateful_set(Record(5, FIRST, leaving=Leaving.ALONE))
    going = plan(crew(1), alone, by_role, deployment(""), pods)
    assert (going.members, going.by_role, going.leaving, going.over) == (1, True, True, False)
    going = plan(crew(1), alone, by_role, deployment(""), (FIRST,))
    assert not going.over, "its StatefulSet may still make them"
    gone = plan(crew(1), stateful_set(Record(5, FIRST, leaving=Leaving.ALONE), 1), by_role, deployment(""), (FIRST,))
    assert (gone.members, gone.by_role, gone.leaving, gone.over) == (1, False, True, False), "its pod may have the file"
    over = Record(5, FIRST, leaving=Leaving.OVER)
    assert not plan(crew(1), stateful_set(over, 1), by_role, deployment(""), pods).over
    gone = plan(crew(1), stateful_set(over, 1), by_role, deployment(""), (FIRST,))
    assert (gone.members, gone.by_role, gone.leaving, gone.over) == (1, False, True, True)
    after = plan(crew(1), stateful_set(None, 1), service(by_role=False), deployment(""), (FIRST,))
    assert (after.members, after.by_role, after.leaving, after.over) == (1, False, False, False)
    assert after.pod_management == "Parallel", "it cannot change"


BROKEN = {
    "metadata": {"annotations": {names.PRIMARY_ANNOTATION: "{"}},
    "spec": {"replicas": 3, "podManagementPolicy": "Parallel"},
}


@pytest.mark.parametrize(
    ("there", "led"),
    [
        (BROKEN, service(by_role=True)),
        (BROKEN, None),
        (stateful_set(None), service(by_role=True)),
        (None, service(by_role=True)),
    ],
    ids=["damaged", "damaged, without a Service", "lost", "without a StatefulSet"],
)
def test_three_without_a_record_are_not_taken_for_one_that_ran_alone(there, led):
    """Two of them may hold what the first one does not."""
    found = plan(crew(1), there, led, deployment("Replicated"), ())
    assert (found.members, found.by_role, found.leaving, asks(found)) == (3, True, True, True)
    assert found.crew_should_wait
    assert not asks(plan(crew(1), there, led, deployment("Fsync"), ()))


@pytest.mark.parametrize(
    ("there", "led"),
    [
        (None, None),
        (stateful_set(None, 1), service(by_role=False)),
        (stateful_set(None, 3), service(by_role=False)),
        (stateful_set(None, 1), service(by_role=True)),
        ({**BROKEN, "spec": {"replicas": 1}}, service(by_role=True)),
    ],
    ids=["new", "alone", "scaled by hand", "over", "damaged when the others had left"],
)
def test_one_that_runs_alone_is_none_of_three(there, led):
    found = plan(crew(1), there, led, deployment(""), (FIRST,))
    assert (found.members, found.by_role, found.leaving, found.over) == (1, False, False, False)


def test_a_crew_that_asked_for_no_replica_is_not_made_to():
    found = plan(crew(1), stateful_set(Record(4, SECOND, whole=True)), service(by_role=True), deployment("Fsync"), ())
    assert found.crew.spec.durability is Durability.BUFFERED


def test_three_again_in_the_middle_of_it():
    found = plan(
        crew(3), stateful_set(Record(5, FIRST, leaving=Leaving.ALONE)), service(by_role=True), deployment(""), (FIRST,)
    )
    assert (found.members, found.by_role, found.leaving, asks(found)) == (3, True, False, False)


def begins_sealed(replicas, record, live=3):
    """Whether a container that is started now takes no write, and what the template stands for."""
    inputs = desired.Inputs(runtime_image="r", redis_image="redis:8", redis_password="p")
    spec, there = crew(replicas), stateful_set(record, live) if live else None
    by_role = service(by_role=record is not None) if live else None
    found = plan(spec, there, by_role, deployment("Replicated"), (FIRST,))
    made = desired.children(found.crew, dataclasses.replace(inputs, redis_members=found.members))
    told = next(one for one in made if one["kind"] == "ConfigMap")["data"]["redis.conf"]
    template = next(one for one in made if one["kind"] == "StatefulSet")["spec"]["template"]
    assert ("replicaof" in told) is ("min-replicas-to-write" in told)
    return "replicaof" in told, template["metadata"]["annotations"][names.CONFIG_ANNOTATION]


@pytest.mark.parametrize("stage", [Leaving.NO, Leaving.READY])
def test_while_two_of_three_leave_no_member_begins_as_a_primary(stage):
    assert begins_sealed(1, Record(5, FIRST, whole=True, leaving=stage))[0]


@pytest.mark.parametrize("stage", [Leaving.ALONE, Leaving.OVER])
def test_one_that_goes_on_alone_begins_by_itself(stage):
    assert not begins_sealed(1, Record(5, FIRST, leaving=stage))[0]
    assert not begins_sealed(1, Record(5, FIRST, leaving=stage), 1)[0]
    assert begins_sealed(3, Record(5, FIRST, leaving=stage))[0], "it has others again"


def test_a_member_of_three_begins_as_a_primary_only_where_it_runs_alone_and_is_not_on_record():
    assert begins_sealed(3, None, 0)[0]
    assert not begins_sealed(3, None, 1)[0], "nobody could tell it what it is"
    assert begins_sealed(3, Record(1, FIRST), 1)[0]


def test_pods_are_made_anew_once_while_two_leave():
    """The one that stays is of the last template from the beginning."""
    stages = [Record(5, FIRST, whole=True, leaving=stage) for stage in Leaving]
    templates = {begins_sealed(1, one)[1] for one in stages} | {begins_sealed(1, None, 1)[1]}
    assert len(templates) == 1
    assert templates != {begins_sealed(3, Record(5, FIRST, whole=True))[1]}
