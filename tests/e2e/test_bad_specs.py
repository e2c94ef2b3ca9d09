"""A spec that cannot work is refused or says why, and the running crew stays as it was."""

import json

import pytest

from crew_programs.errors import ProgramError
from support.hotel import FACT, QUESTION, WORD, manifest, names
from support.waiting import wait_until


@pytest.fixture(scope="module")
def spec():
    return {"replicas": 1}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"replicas": "two"}, "spec.replicas"),
        ({"crew": {"concurrency": 0}}, "spec.crew.concurrency"),
        ({"crew": {"kickoffTimeout": "soon"}}, "spec.crew.kickoffTimeout"),
        ({"crew": {"entrypoint": "no colon"}}, "spec.crew.entrypoint"),
        ({"crew": {"definition": {"configMapRef": {"name": "x"}}}}, "set either image and entrypoint, or definition"),
        ({"memory": {"isolation": "Everyone"}}, "spec.memory.isolation"),
        ({"redis": {"external": {"urlFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}}}, "managed and external"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_schema_forbids_is_refused_by_kubectl_apply(cluster, namespace, spec, says):
    with pytest.raises(ProgramError, match=says.replace(".", r"\.")):
        cluster.kubectl(namespace)("apply", "-f", "-", stdin=json.dumps(manifest("refused", **spec)))
    assert cluster.api(namespace).crew("refused") is None


def test_storage_cannot_shrink(hotel):
    with pytest.raises(ProgramError, match="can grow but not shrink"):
        hotel.patch({"redis": {"managed": {"storage": {"size": "512Mi"}}}})
    hotel.wait_ready()


def test_an_entrypoint_that_does_not_import_says_so_and_the_old_replica_serves_on(hotel):
    (old,) = hotel.replicas()
    hotel.say(old, FACT, "entrypoint")
    hotel.patch({"crew": {"entrypoint": "concierge.crews:Concierge"}})
    found = hotel.wait_condition("Ready", "False", "EntrypointBroken", timeout=60)
    assert "concierge.crews" in found["message"]
    assert names(hotel.replicas()) == names([old])
    assert WORD in hotel.say(old, QUESTION, "entrypoint")
    hotel.patch({"crew": {"entrypoint": "concierge.crew:Concierge"}})
    hotel.wait_ready()


def test_an_attribute_that_is_not_there_is_named(hotel):
    hotel.patch({"crew": {"entrypoint": "concierge.crew:Conciergerie"}})
    found = hotel.wait_condition("Ready", "False", "EntrypointBroken", timeout=60)
    assert "Conciergerie" in found["message"]
    hotel.patch({"crew": {"entrypoint": "concierge.crew:Concierge"}})
    hotel.wait_ready()


def test_a_dimension_that_the_embedder_has_not_is_named(hotel):
    (old,) = hotel.replicas()
    hotel.say(old, FACT, "dimension")
    hotel.patch({"memory": {"embedder": {"dimension": 1536}}})
    found = hotel.wait_condition("Ready", "False", timeout=60)

    def told():
        message = hotel.condition("Ready").get("message", "")
        return "1536" in message and "384" in message

    wait_until(told, f"Ready names both dimensions (first seen: {found})", 60)
    assert WORD in hotel.say(old, QUESTION, "dimension")
    hotel.patch({"memory": {"embedder": {"dimension": 384}}})
    hotel.wait_ready()


def test_variables_of_the_operator_cannot_be_overridden_unnoticed(hotel):
    hotel.patch({"crew": {"env": [{"name": "CREWOPS_KEY_PREFIX", "value": "someone/else"}]}})
    found = hotel.wait_condition("Ready", "True", "EnvIgnored", timeout=60)
    assert "CREWOPS_KEY_PREFIX" in found["message"]
    hotel.patch({"crew": {"env": None}})
    hotel.wait_ready()


def test_an_unreachable_external_redis_is_named(cluster, namespace):
    from support.hotel import Hotel

    kubectl = cluster.kubectl(namespace)
    url = "redis://:hush@127.0.0.1:1/0"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nowhere"}, "stringData": {"url": url}}
    kubectl("apply", "-f", "-", stdin=json.dumps(secret))
    hotel = Hotel(cluster, namespace, "external")
    source = {"urlFrom": {"secretKeyRef": {"name": "nowhere", "key": "url"}}}
    hotel.apply(replicas=1, redis={"managed": None, "external": source})
    found = hotel.wait_condition("MemoryReady", "False", "RedisUnreachable", timeout=60)
    assert "refused" in found["message"]
    assert hotel.crew()["status"]["memory"]["endpoint"] == "redis://127.0.0.1:1"
    assert "hush" not in json.dumps(hotel.crew())
    kubectl("delete", "crewdeployment", "external")


def test_a_secret_that_is_not_there_is_named(cluster, namespace):
    from support.hotel import Hotel

    hotel = Hotel(cluster, namespace, "no-secret")
    source = {"urlFrom": {"secretKeyRef": {"name": "not-made-yet", "key": "url"}}}
    hotel.apply(replicas=1, redis={"managed": None, "external": source})
    found = hotel.wait_condition("Ready", "False", "ReferenceNotFound", timeout=60)
    assert "not-made-yet" in found["message"]
    hotel.kubectl("delete", "crewdeployment", "no-secret")
