"""What Helm does to the operator is nothing to the crews: they and their Redis run on, and remember."""

import pytest

from crew_programs.errors import ProgramError
from support.hotel import FACT, PATIENT_MEMORY, QUESTION, WORD
from support.real_cluster import NAMESPACE, RELEASE, RealCluster, images
from support.waiting import wait_until

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def spec():
    return PATIENT_MEMORY


@pytest.fixture(scope="module")
def release(cluster):
    if not isinstance(cluster, RealCluster):
        pytest.skip("needs a Kubernetes that takes a Helm release: `make e2e KUBECONFIG=...`")
    return cluster


@pytest.fixture
def pods(hotel):
    """Each pod of the crew, and when its containers last started."""

    def look():
        found = hotel.api.pods({"crewops.dev/crewdeployment": hotel.name})
        return {
            pod["metadata"]["uid"]: sorted(
                one["state"]["running"]["startedAt"]
                for one in pod["status"].get("initContainerStatuses", []) + pod["status"]["containerStatuses"]
                if "running" in one["state"]
            )
            for pod in found
        }

    return look


OF_THE_IMAGE = """
import importlib.util as util, os, shutil
print(util.find_spec("crewai"), util.find_spec("pip"), shutil.which("gcc") or shutil.which("cc"), os.getuid())
"""


def test_the_operators_image_holds_nothing_that_it_does_not_need(release):
    kubectl = release.kubectl(NAMESPACE)
    (name, *_) = _operators(release)
    assert str(kubectl("exec", name, "--", "python", "-c", OF_THE_IMAGE)).split() == ["None", "None", "None", "65532"]
    with pytest.raises(ProgramError, match="Read-only file system"):
        kubectl("exec", name, "--", "python", "-c", "open('/opt/operator/more', 'w')")


def test_an_upgrade_restarts_no_crew_and_no_redis(release, hotel, pods):
    before = pods()
    hotel.say(hotel.replicas()[0], FACT, "ada")
    release.install(podAnnotations={"upgraded": "yes"}, resources={"limits": {"memory": "400Mi"}})
    hotel.patch({"crew": {"concurrency": 2}})  # as it is: the new operator reconciles it, and finds nothing to do
    hotel.wait_ready()
    assert pods() == before
    assert WORD in hotel.say(hotel.replicas()[1], QUESTION, "ada")


def test_an_operator_with_another_runtime_rolls_no_crew_until_the_crew_rolls_itself(release, hotel, pods):
    before = pods()
    old, new = f"{images()}/crew-runtime:dev", f"{images()}/crew-runtime:another"
    release.install(runtimeImage=new)
    hotel.patch({"crew": {"concurrency": 2}})  # as it is
    hotel.wait_ready()
    assert pods() == before
    assert _runtime(hotel) == old
    hotel.patch({"crew": {"env": [{"name": "ASKED", "value": "by the crew"}]}})
    wait_until(lambda: _runtime(hotel) == new, "the crew's own rollout takes the operator's runtime", 30)
    # there is no such image: what ran goes on, and the crew may name the runtime itself
    hotel.wait_condition("Progressing", "False", "ImageNotPulled")
    hotel.patch({"crew": {"runtime": {"image": old}}})
    hotel.wait_ready()
    release.install()
    hotel.patch({"crew": {"runtime": {"image": None}, "env": None}})
    hotel.wait_ready()
    assert _runtime(hotel) == old


def _runtime(hotel):
    """The image of the sidecar in the crew's Deployment."""
    template = hotel.get("deployment", hotel.name)["spec"]["template"]["spec"]
    return next(one["image"] for one in template["initContainers"] if one["name"] == "server")


def test_of_two_operators_one_acts_and_the_other_follows_it(release, hotel):
    release.install(replicaCount=2)
    kubectl = release.kubectl(NAMESPACE)
    # not one of the release before, which may still be on its way out
    leader = wait_until(lambda: _holder(kubectl) if _holder(kubectl) in _operators(release) else "", "one leads", 60)
    kubectl("delete", "pod", leader, "--grace-period=0", "--force")
    wait_until(lambda: _holder(kubectl) not in ("", leader), "another leads", 20)
    hotel.kubectl("scale", f"crewdeployment/{hotel.name}", "--replicas=3")
    hotel.wait_replicas(3)
    hotel.kubectl("scale", f"crewdeployment/{hotel.name}", "--replicas=2")
    hotel.wait_ready()
    release.install()


def _operators(release):
    """The names of the operator's pods that are not about to go."""
    pods = release.api(NAMESPACE).pods({"app.kubernetes.io/name": RELEASE})
    return {one["metadata"]["name"] for one in pods if not one["metadata"].get("deletionTimestamp")}


def _holder(kubectl):
    """The pod that leads."""
    found = str(kubectl("get", "lease", RELEASE, "-o", "jsonpath={.spec.holderIdentity}", "--ignore-not-found"))
    return found.partition("_")[0]


def test_crews_run_on_without_an_operator_and_a_new_one_takes_them_over(release, hotel, pods):
    hotel.wait_condition("Progressing", "True", "RolloutComplete")
    wait_until(lambda: len(pods()) == 3, "two replicas and their Redis, and nothing of what other tests rolled", 60)
    before = pods()
    hotel.say(hotel.replicas()[0], FACT, "bob")
    release.stop()
    assert hotel.crew()["metadata"]["name"] == hotel.name, "its CRD, and so all CrewDeployments, are kept"
    assert WORD in hotel.say(hotel.replicas()[1], QUESTION, "bob")
    release.install()
    hotel.wait_ready()
    assert pods() == before
    hotel.kubectl("scale", f"crewdeployment/{hotel.name}", "--replicas=3")
    for pod in hotel.wait_replicas(3):
        assert WORD in hotel.say(pod, QUESTION, "bob")
