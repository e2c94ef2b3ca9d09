"""A crew keeps its memory when it scales, restarts and rolls out."""

import pytest

from support.hotel import FACT, PATIENT_MEMORY, QUESTION, WORD, names

UNKNOWN = "I don't know"


@pytest.fixture(scope="module")
def spec():
    return PATIENT_MEMORY


def test_what_one_replica_is_told_the_other_one_knows(hotel):
    one, other = hotel.replicas()
    told, asked = hotel.accepted(one, FACT, "ada").json(), hotel.accepted(other, QUESTION, "ada").json()
    assert WORD in asked["result"]["output"]
    # a replica that is idle runs what it accepts
    assert [told["replica"], asked["replica"]] == [one["metadata"]["name"], other["metadata"]["name"]]


def test_another_session_is_told_nothing(hotel):
    one, other = hotel.replicas()
    hotel.say(one, FACT, "session-1")
    assert WORD in hotel.say(other, QUESTION, "session-1")
    # the prefix of a name is not the name
    assert hotel.say(other, QUESTION, "session-10").startswith(UNKNOWN)


def test_new_replicas_know_what_the_deleted_ones_were_told(hotel):
    old = hotel.replicas()
    hotel.say(old[0], FACT, "bob")
    hotel.kubectl("delete", "pods", *names(old), "--wait=false")
    for pod in hotel.wait_replicas(2, names(old)):
        assert WORD in hotel.say(pod, QUESTION, "bob")


def test_a_rollout_keeps_the_memory_and_drops_no_kickoff(hotel):
    old = hotel.replicas()
    hotel.say(old[0], FACT, "carol")
    hotel.patch({"crew": {"env": [{"name": "ROLLOUT", "value": "2"}]}})
    new = hotel.wait_replicas(2, names(old))
    hotel.wait_ready()
    assert WORD in hotel.say(new[0], QUESTION, "carol")


def test_scaling_up_gives_replicas_that_know(hotel):
    hotel.say(hotel.replicas()[0], FACT, "dave")
    hotel.kubectl("scale", f"crewdeployment/{hotel.name}", "--replicas=3")
    for pod in hotel.wait_replicas(3):
        assert WORD in hotel.say(pod, QUESTION, "dave")
    hotel.wait_ready()
    status = hotel.crew()["status"]
    assert (status["replicas"], status["readyReplicas"]) == (3, 3)
    hotel.kubectl("scale", f"crewdeployment/{hotel.name}", "--replicas=2")
    hotel.wait_replicas(2)


def test_the_status_says_what_was_proven(hotel):
    hotel.wait_ready()
    assert hotel.wait_condition("MemoryShared", "True")["message"]
    status = hotel.crew()["status"]
    assert status["crew"]["crewaiVersion"].startswith("1.15")
    assert status["memory"]["dimension"] == 384
