"""What people do to a crew that runs: docs/day-two.md has the same by hand."""

import json
import time

import pytest

from support.callers import calling
from support.hotel import FACT, PATIENT_MEMORY, QUESTION, READY, WORD, Hotel, names
from support.waiting import wait_until


@pytest.fixture(scope="module")
def spec():
    return PATIENT_MEMORY


@pytest.fixture
def remembered(hotel, request):
    """A guest of the test's own, who told one replica a fact."""
    guest = request.node.name
    hotel.wait_ready()
    hotel.say(hotel.replicas()[0], FACT, guest)

    def everywhere():
        hotel.wait_ready()
        for pod in hotel.replicas():
            assert WORD in hotel.say(pod, QUESTION, guest)

    return everywhere


@pytest.fixture
def asked(hotel):
    """Somebody asks the crew all the time; `asked()` is how many kickoffs ended, and there has to be no failure."""
    with calling(hotel) as look:
        yield look


def rolled(hotel, asked, old):
    """Until none of the old replicas is left, and kickoffs of both clients beyond."""
    hotel.wait_replicas(2, but=names(old))
    hotel.wait_ready()
    wait_until(lambda: not set(names(old)) & set(every_pod(hotel)), "the old replicas are gone", READY)
    already = asked()
    wait_until(lambda: asked() > already, "kickoffs go on", 60)


def every_pod(hotel):
    """The names of all its pods, those that are about to go included."""
    return str(hotel.kubectl("get", "pods", "-o", "jsonpath={.items[*].metadata.name}")).split()


@pytest.mark.parametrize(
    "change",
    [
        {"crew": {"image": "concierge:next"}},
        {
            "crew": {"env": [{"name": "CONCIERGE_TONE", "value": "formal"}]},
            "template": {"resources": {"requests": {"cpu": "60m"}}},
        },
    ],
    ids=["image", "env-and-resources"],
)
def test_a_rollout_fails_no_request(hotel, remembered, asked, change):
    old = hotel.replicas()
    if "image" in change.get("crew", {}):
        change = {"crew": {"image": hotel.cluster.image(change["crew"]["image"])}}
    hotel.patch(change)
    rolled(hotel, asked, old)
    remembered()


def test_kubectl_rollout_restart_is_left_to_its_work(hotel, remembered, asked):
    old = hotel.replicas()
    hotel.kubectl("rollout", "restart", f"deployment/{hotel.name}")
    hotel.kubectl("rollout", "status", f"deployment/{hotel.name}", "--timeout=120s", timeout=130)
    rolled(hotel, asked, old)
    remembered()


def test_a_new_password_fails_no_kickoff(hotel, remembered, asked):
    old, redis = every_pod(hotel), hotel.get("pod", f"{hotel.name}-redis-0")["metadata"]["uid"]
    password = hotel.secret(f"{hotel.name}-redis-auth", "password")
    # A kubelet that nobody hurries takes up to 90 s to show a pod what is new in a Secret.
    done = hotel.crewctl("rotate", hotel.name, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("Redis takes the new password alone\n")
    new = hotel.secret(f"{hotel.name}-redis-auth", "password")
    assert new != password
    assert new not in done.stdout
    already = asked()
    wait_until(lambda: asked() > already, "kickoffs go on", 60)
    assert every_pod(hotel) == old, "no pod was made anew for it"
    assert hotel.get("pod", f"{hotel.name}-redis-0")["metadata"]["uid"] == redis
    remembered()
    assert "no CrewDeployment nobody" in hotel.crewctl("rotate", "nobody").stderr


def test_kubectl_scale(hotel, remembered):
    hotel.kubectl("scale", f"crewdeployment/{hotel.name}", "--replicas=4")
    hotel.wait_replicas(4)
    remembered()
    hotel.kubectl("scale", f"crewdeployment/{hotel.name}", "--replicas=2")
    hotel.wait_replicas(2)
    remembered()


def test_the_volume_grows(hotel, remembered):
    if not _expands(hotel):
        pytest.skip("needs a storage class with allowVolumeExpansion as the cluster's default")
    hotel.patch({"redis": {"managed": {"storage": {"size": "2Gi"}}}})
    wait_until(lambda: _capacity(hotel) == "2Gi", "the volume has 2Gi", 60)
    remembered()


def _capacity(hotel):
    """Of Redis' volume, as the claim has it."""
    return hotel.get("pvc", f"data-{hotel.name}-redis-0")["status"]["capacity"]["storage"]


def _expands(hotel):
    classes = json.loads(str(hotel.kubectl("get", "storageclasses", "-o", "json")))["items"]
    default = "storageclass.kubernetes.io/is-default-class"
    return any(
        one.get("allowVolumeExpansion") and (one["metadata"].get("annotations") or {}).get(default) == "true"
        for one in classes
    )


def test_crews_of_one_name_in_two_namespaces_know_nothing_of_each_other(hotel, remembered, cluster, request):
    other = Hotel(cluster, f"{hotel.namespace}-too", hotel.name)
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other.namespace}}
    cluster.kubectl("default")("apply", "-f", "-", stdin=json.dumps(made))
    try:
        other.apply(replicas=1)
        other.wait_ready()
        assert WORD not in other.say(other.replicas()[0], QUESTION, request.node.name)
        remembered()
    finally:
        other.kubectl("delete", "crewdeployment", other.name)
        cluster.kubectl("default")("delete", "namespace", other.namespace, "--wait=false")


@pytest.mark.alone
def test_the_operator_dies_in_the_middle_of_everything(hotel, remembered, cluster):
    """It comes back to half-done work each time, and ends where an undisturbed one would."""
    hotel.kubectl("scale", f"crewdeployment/{hotel.name}", "--replicas=3")
    cluster.kill_operator()
    hotel.wait_replicas(3)
    old = hotel.replicas()
    grown = {"redis": {"managed": {"storage": {"size": "3Gi"}}}} if _expands(hotel) else {}
    crew = {"image": cluster.image("concierge"), "env": [{"name": "CONCIERGE_TONE", "value": "casual"}]}
    hotel.patch({"crew": crew, "template": {"resources": {"requests": {"cpu": "70m"}}}, **grown})
    time.sleep(0.5)
    cluster.kill_operator()
    hotel.wait_replicas(3, but=names(old))
    if grown:
        wait_until(lambda: _capacity(hotel) == "3Gi", "the volume has 3Gi", 60)
    hotel.kubectl("delete", "statefulset", f"{hotel.name}-redis")
    cluster.kill_operator()
    wait_until(lambda: hotel.get("statefulset", f"{hotel.name}-redis"), "Redis is made again", READY)
    old = hotel.replicas()
    hotel.kubectl("rollout", "restart", f"deployment/{hotel.name}")
    hotel.patch({"replicas": 2})
    cluster.kill_operator()
    hotel.wait_replicas(2, but=names(old))
    remembered()


@pytest.mark.alone
def test_deleted_and_made_again_in_the_operators_absence(hotel, remembered, cluster):
    before = hotel.crew()["spec"]
    storage = {"size": before["redis"]["managed"]["storage"]["size"]}  # the volume that is kept does not shrink
    hotel.kubectl("delete", "crewdeployment", hotel.name, "--wait=false")
    cluster.kill_operator()
    wait_until(lambda: hotel.get("statefulset", f"{hotel.name}-redis") is None, "its children are collected", READY)
    hotel.apply(redis={"managed": {"storage": storage}})
    cluster.kill_operator()
    remembered()
