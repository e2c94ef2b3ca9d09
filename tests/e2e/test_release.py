"""What Helm does to the operator is nothing to the crews: they and their Redis run on, and remember."""

import pytest

from support.hotel import FACT, QUESTION, WORD
from support.real_cluster import NAMESPACE, RELEASE, RealCluster
from support.waiting import wait_until


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
            )
            for pod in found
        }

    return look


def test_an_upgrade_restarts_no_crew_and_no_redis(release, hotel, pods):
    before = pods()
    hotel.say(hotel.replicas()[0], FACT, "ada")
    release.install(podAnnotations={"upgraded": "yes"}, resources={"limits": {"memory": "400Mi"}})
    hotel.patch({"crew": {"concurrency": 2}})  # as it is: the new operator reconciles it, and finds nothing to do
    hotel.wait_ready()
    assert pods() == before
    assert WORD in hotel.say(hotel.replicas()[1], QUESTION, "ada")


def test_of_two_operators_one_acts_and_the_other_follows_it(release, hotel):
    release.install(replicaCount=2)
    kubectl = release.kubectl(NAMESPACE)
    wait_until(lambda: _holder(kubectl), "one leads", 60)
    leader = _holder(kubectl)
    kubectl("delete", "pod", leader, "--grace-period=0", "--force")
    wait_until(lambda: _holder(kubectl) not in ("", leader), "another leads", 30)
    hotel.kubectl("scale", f"crewdeployment/{hotel.name}", "--replicas=3")
    hotel.wait_replicas(3)
    hotel.kubectl("scale", f"crewdeployment/{hotel.name}", "--replicas=2")
    hotel.wait_ready()
    release.install()


def _holder(kubectl):
    """The pod that leads."""
    found = str(kubectl("get", "lease", RELEASE, "-o", "jsonpath={.spec.holderIdentity}", "--ignore-not-found"))
    return found.partition("_")[0]


def test_crews_run_on_without_an_operator_and_a_new_one_takes_them_over(release, hotel, pods):
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
