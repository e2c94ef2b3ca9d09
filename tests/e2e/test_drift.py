"""Whatever of a crew is deleted or changed by hand is put right, and no memory is lost."""

import json

import pytest

from support.hotel import FACT, PUT_RIGHT, QUESTION, WORD
from support.waiting import wait_until


@pytest.fixture(scope="module")
def spec():
    return {"replicas": 1}


@pytest.mark.parametrize(
    ("kind", "child"),
    [("service", "concierge"), ("service", "concierge-redis"), ("configmap", "concierge-redis-config")],
)
def test_a_deleted_child_is_made_again(hotel, kind, child):
    before = hotel.get(kind, child)
    hotel.kubectl("delete", kind, child)
    after = wait_until(lambda: hotel.get(kind, child), f"{kind}/{child} is there again", PUT_RIGHT)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after.get("data") == before.get("data")
    hotel.wait_ready()

    # A Service's new address works as soon as each node's proxy has heard of it.
    def remembers():
        return hotel.accepted(hotel.replicas()[0], FACT, "child").json()["status"] == "completed"

    wait_until(remembers, "a kickoff reaches Redis", PUT_RIGHT)


def test_a_deleted_deployment_is_made_again_and_remembers(hotel):
    hotel.say(hotel.replicas()[0], FACT, "deployment")
    hotel.kubectl("delete", "deployment", "concierge", "--wait=false")
    wait_until(lambda: not hotel.replicas(), "the replica is gone", PUT_RIGHT)
    (pod,) = hotel.wait_replicas(1)
    assert WORD in hotel.say(pod, QUESTION, "deployment")


def test_a_deleted_stateful_set_is_made_again_on_its_old_volume(hotel):
    hotel.say(hotel.replicas()[0], FACT, "statefulset")
    before = hotel.get("statefulset", "concierge-redis")
    hotel.kubectl("delete", "statefulset", "concierge-redis")

    def again():
        found = hotel.get("statefulset", "concierge-redis")
        return found and found["metadata"]["uid"] != before["metadata"]["uid"]

    wait_until(again, "the StatefulSet is there again", PUT_RIGHT)
    hotel.wait_condition("MemoryReady", "True")
    hotel.wait_ready()
    assert WORD in hotel.say(hotel.wait_replicas(1)[0], QUESTION, "statefulset")


@pytest.mark.parametrize(
    ("kind", "child", "path", "patch"),
    [
        ("deployment", "concierge", ("spec", "replicas"), '{"spec": {"replicas": 0}}'),
        ("service", "concierge-redis", ("spec", "ports"), None),
        ("configmap", "concierge-redis-config", ("data",), '{"data": {"redis.conf": "maxmemory-policy allkeys-lru"}}'),
    ],
)
def test_a_child_changed_by_hand_is_put_right(hotel, kind, child, path, patch):
    def value():
        found = hotel.get(kind, child)
        for key in path:
            found = found[key]
        return found

    wanted = value()
    if patch is None:
        port = {**wanted[0], "port": 6380}
        hotel.kubectl("replace", "-f", "-", stdin=_with_ports(hotel.get(kind, child), [port]))
    else:
        hotel.kubectl("patch", kind, child, "--type=merge", "-p", patch)
    wait_until(lambda: value() == wanted, f"{kind}/{child} is as it was", PUT_RIGHT)
    hotel.wait_replicas(1)
    hotel.wait_ready()


def test_the_password_is_made_once(hotel):
    before = hotel.secret("concierge-redis-auth", "password")
    hotel.kubectl("annotate", "crewdeployment", "concierge", "touched=yes", "--overwrite")
    hotel.patch({"crew": {"kickoffTimeout": "3m"}})
    hotel.wait_ready()
    assert hotel.secret("concierge-redis-auth", "password") == before
    assert len(before) >= 24


def _with_ports(service, ports):
    service["spec"]["ports"] = ports
    return json.dumps(service)
