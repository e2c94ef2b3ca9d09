"""The operator or the API server goes away for a while: crews serve on, and what was missed is put right after."""

import os
import signal
import time

import pytest

from support.hotel import FACT, QUESTION, WORD
from support.waiting import wait_until


@pytest.fixture(scope="module")
def spec():
    return {"replicas": 1}


def test_a_killed_operator_comes_back_and_puts_right_what_it_missed(hotel, cluster):
    hotel.say(hotel.replicas()[0], FACT, "operator")
    old = cluster.operator_pid()
    os.kill(old, signal.SIGKILL)
    hotel.kubectl("delete", "service", "concierge")
    assert WORD in hotel.say(hotel.replicas()[0], QUESTION, "operator"), "the crew needs no operator to serve"
    wait_until(lambda: cluster.operator_pid() not in (None, old), "the operator runs again", 30)
    wait_until(lambda: hotel.get("service", "concierge"), "the Service is there again", 60)
    hotel.wait_ready(60)


def test_a_crew_made_without_an_operator_is_taken_up_by_the_next(hotel, cluster):
    old = cluster.operator_pid()
    os.kill(old, signal.SIGKILL)
    hotel.patch({"crew": {"kickoffTimeout": "90s"}})
    hotel.wait_ready()
    env = hotel.get("deployment", "concierge")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "CREWOPS_KICKOFF_TIMEOUT", "value": "90"} in env


def test_an_operator_that_dies_while_redis_is_down_leaves_no_stale_status(hotel, cluster):
    os.kill(cluster.operator_pid(), signal.SIGKILL)
    os.kill(hotel.redis_pid(), signal.SIGKILL)
    hotel.wait_ready(90)
    assert WORD in hotel.say(hotel.wait_replicas(1)[0], QUESTION, "operator")


def test_an_api_server_that_stalled_finds_everything_as_it_was(hotel, cluster):
    """The local API server's process is the Services' proxy as well, so the crew is without Redis meanwhile."""
    (pod,) = hotel.wait_replicas(1)
    hotel.say(pod, FACT, "apiserver")
    os.kill(cluster.apiserver_pid(), signal.SIGSTOP)
    try:
        time.sleep(8)  # how long it is away: the test's subject
    finally:
        os.kill(cluster.apiserver_pid(), signal.SIGCONT)
    hotel.kubectl("delete", "service", "concierge")
    wait_until(lambda: hotel.get("service", "concierge"), "the operator works again", 60)
    hotel.wait_ready(60)
    (after,) = hotel.wait_replicas(1)
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert WORD in hotel.say(after, QUESTION, "apiserver")
