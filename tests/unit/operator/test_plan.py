"""Promise: while the number of members changes nobody asks for a replica that is not there, or that is about to go."""

from crew_operator.api import parse
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
    assert (gone.members, gone.by_role, gone.leaving, gone.over) == (1, False, True, True)
    after = plan(crew(1), stateful_set(None, 1), service(by_role=False), deployment(""), (FIRST,))
    assert (after.members, after.by_role, after.leaving, after.over) == (1, False, False, False)
    assert after.pod_management == "Parallel", "it cannot change"


def test_a_crew_that_asked_for_no_replica_is_not_made_to():
    found = plan(crew(1), stateful_set(Record(4, SECOND, whole=True)), service(by_role=True), deployment("Fsync"), ())
    assert found.crew.spec.durability is Durability.BUFFERED


def test_three_again_in_the_middle_of_it():
    found = plan(
        crew(3), stateful_set(Record(5, FIRST, leaving=Leaving.ALONE)), service(by_role=True), deployment(""), (FIRST,)
    )
    assert (found.members, found.by_role, found.leaving, asks(found)) == (3, True, False, False)
