"""The crew's image is Python, CrewAI and the crew; and what is said of images that do not do."""

import pytest

from support.hotel import FACT, QUESTION, WORD, names
from support.real_cluster import RealCluster, images

OF_OURS = "import importlib.util as util; print(util.find_spec('crew_runtime'), util.find_spec('redis'))"
NOT_ROOT = {"securityContext": {"runAsUser": 65532}}


def odd(python):
    """An interpreter of the image that has strange ones."""
    return {"crew": {"image": "PREFIX/odd:dev", "runtime": {"python": python}}}


@pytest.fixture(scope="module", autouse=True)
def real(cluster):
    if not isinstance(cluster, RealCluster):
        pytest.skip("needs real images: `make e2e KUBECONFIG=...`")


@pytest.fixture(scope="module")
def spec():
    return {"replicas": 1}


def test_image_that_knows_nothing_of_us_remembers(hotel):
    (pod,) = hotel.replicas()
    name = pod["metadata"]["name"]
    assert hotel.kubectl("exec", name, "-c", "crew", "--", "python3", "-c", OF_OURS).split() == ["None", "None"]
    hotel.say(pod, FACT, "ada")
    assert WORD in hotel.say(pod, QUESTION, "ada")
    found = hotel.condition("RuntimeCompatible")
    assert found["status"] == "True"
    assert found["message"].startswith("CrewAI 1.")
    assert "python" in found["message"].partition(", in ")[2]


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        ({"crew": {"runtime": {"python": "/opt/none/python"}}}, "InterpreterUnusable", "there is no /opt/none/python"),
        ({"crew": {"image": "PREFIX/crew-operator:dev"}}, "CrewAIMissing", "/opt/operator/bin/python3: Python 3."),
        ({"crew": {"image": "redis:8"}, "template": NOT_ROOT}, "NoPython", "the image has no Python"),
        ({"crew": {"image": "python:3.13-slim"}}, "ImageRunsAsRoot", "runAsNonRoot"),
        ({"crew": {"entrypoint": "concierge.nowhere:crew"}}, "EntrypointBroken", "concierge.nowhere"),
        ({"crew": {"image": "PREFIX/odd:dev"}}, "CrewAITooOld", "with crewai 1.14.6"),
        (odd("/opt/foreign/bin/python"), "InterpreterBroken", "/opt/foreign/bin/python"),
        (odd("/root/venv/bin/python"), "InterpreterUnusable", "/root/venv/bin/python"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_image_that_does_not_do_is_told_and_the_old_replica_serves_on(hotel, change, reason, says):
    hotel.wait_ready()
    (old,) = hotel.replicas()
    before = {name: hotel.crew()["spec"]["crew"][name] for name in ("image", "entrypoint")}
    asked = dict(change["crew"])
    if "image" in asked:
        asked["image"] = asked["image"].replace("PREFIX", images())
    hotel.patch({**change, "crew": asked})
    try:
        found = hotel.wait_condition("RuntimeCompatible", "False", reason)
        assert says in found["message"]
        assert hotel.condition("Ready")["reason"] == reason
        assert names(hotel.replicas()) == names([old])
        assert WORD in hotel.say(old, QUESTION, "ada")
    finally:
        hotel.patch({"crew": {**before, "runtime": {"python": None}}, "template": None})
    hotel.wait_ready()


def test_entrypoint_of_the_image_is_kept_when_asked_for(hotel):
    """python:3.13-slim's CMD is python3, its ENTRYPOINT none: what is given as arguments is what runs."""
    hotel.patch({"crew": {"runtime": {"imageEntrypoint": "Keep"}}})
    hotel.wait_ready()
    deployment = hotel.get("deployment", hotel.name)
    (crew,) = deployment["spec"]["template"]["spec"]["containers"]
    assert "command" not in crew
    assert WORD in hotel.say(hotel.replicas()[0], QUESTION, "ada")
    hotel.patch({"crew": {"runtime": {"imageEntrypoint": "Replace"}}})
    hotel.wait_ready()
