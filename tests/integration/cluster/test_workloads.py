"""Deployments, StatefulSets and Services over real processes."""

import httpx
import pytest

from localcluster.cluster import Cluster
from support.kube_api import MERGE, KubeApi, eventually, gone
from support.workloads import WWW, container, web, workload


def pods(kube: KubeApi, app: str) -> list[dict]:
    found = kube.get(kube.at("v1", "pods"), labelSelector=f"app={app}")["items"]
    return [one for one in found if not one["metadata"].get("deletionTimestamp")]


def ready(kube: KubeApi, plural: str, name: str, count: int) -> bool:
    found = kube.get(kube.at("apps/v1", plural, name))
    status = found.get("status") or {}
    return (
        status.get("observedGeneration") == found["metadata"]["generation"]
        and status.get("readyReplicas", 0) == status.get("updatedReplicas", 0) == status.get("replicas", 0) == count
    )


def fetch(address: str, port: int = 80) -> str:
    with httpx.Client(trust_env=False, timeout=5) as http:
        return http.get(f"http://{address}:{port}/").text.strip()


def deploy(kube: KubeApi, replicas: int = 2, answer: str = "one", **spec: object) -> None:
    serving = web(answer, lifecycle=spec.pop("lifecycle")) if "lifecycle" in spec else web(answer)
    body = workload("Deployment", "web", replicas, serving, volumes=WWW, **spec)
    kube.apply(kube.at("apps/v1", "deployments", "web"), body)


def test_deployment_keeps_its_number(kube: KubeApi) -> None:
    deploy(kube)
    eventually(lambda: ready(kube, "deployments", "web", 2))
    victim = pods(kube, "web")[0]["metadata"]["name"]
    kube.ask("DELETE", kube.at("v1", "pods", victim))
    eventually(lambda: victim not in {one["metadata"]["name"] for one in pods(kube, "web")})
    eventually(lambda: ready(kube, "deployments", "web", 2))
    assert "successfully rolled out" in kube.kubectl("rollout", "status", "deploy/web", "--timeout=10s")


def test_rolling_update_never_leaves_its_service_without_an_answer(kube: KubeApi) -> None:
    # As on any cluster: a pod goes on answering for a moment after its Service has left it.
    graceful = {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "1"]}}}}
    deploy(kube, strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}, **graceful)
    service = {
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    address = kube.create(kube.at("v1", "services"), service)["spec"]["clusterIP"]
    eventually(lambda: ready(kube, "deployments", "web", 2))
    eventually(lambda: kube.get(kube.at("v1", "endpoints", "web"))["subsets"][0].get("addresses"))
    deploy(kube, answer="two", strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}, **graceful)
    answers = []
    while not ready(kube, "deployments", "web", 2):
        answers.append(fetch(address))
    assert set(answers) <= {"one", "two"}
    assert {fetch(address) for _ in range(4)} == {"two"}
    sets = kube.get(kube.at("apps/v1", "replicasets"))["items"]
    assert sorted(one["spec"]["replicas"] for one in sets) == [0, 2]


def test_recreate_ends_the_old_before_the_new(kube: KubeApi) -> None:
    deploy(kube, strategy={"type": "Recreate"})
    eventually(lambda: ready(kube, "deployments", "web", 2))
    old = {one["metadata"]["uid"] for one in pods(kube, "web")}
    deploy(kube, answer="two", strategy={"type": "Recreate"})
    eventually(
        lambda: ready(kube, "deployments", "web", 2) and not old & {one["metadata"]["uid"] for one in pods(kube, "web")}
    )


def test_rollout_that_cannot_become_ready_keeps_the_old_pods(kube: KubeApi) -> None:
    deploy(kube)
    eventually(lambda: ready(kube, "deployments", "web", 2))
    broken = workload("Deployment", "web", 2, container("exit 1"), progressDeadlineSeconds=2)
    kube.apply(kube.at("apps/v1", "deployments", "web"), broken)

    def reason() -> str:
        conditions = kube.get(kube.at("apps/v1", "deployments", "web"))["status"]["conditions"]
        return next(one["reason"] for one in conditions if one["type"] == "Progressing")

    eventually(lambda: reason() == "ProgressDeadlineExceeded")
    assert kube.get(kube.at("apps/v1", "deployments", "web"))["status"]["readyReplicas"] == 2


def test_deployment_scales_both_ways(kube: KubeApi) -> None:
    deploy(kube, 1)
    kube.kubectl("scale", "deploy/web", "--replicas=3")
    eventually(lambda: ready(kube, "deployments", "web", 3))
    kube.kubectl("scale", "deploy/web", "--replicas=0")
    eventually(lambda: pods(kube, "web") == [])


def test_deleted_deployment_takes_its_processes_along(kube: KubeApi, running: Cluster) -> None:
    deploy(kube)
    eventually(lambda: ready(kube, "deployments", "web", 2))
    names = [one["metadata"]["name"] for one in pods(kube, "web")]
    kube.kubectl("delete", "deploy", "web")
    eventually(lambda: all(not running.pod_processes(kube.namespace, name) for name in names))


def test_service_without_ready_pods_refuses_connections(kube: KubeApi) -> None:
    service = {
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    address = kube.create(kube.at("v1", "services"), service)["spec"]["clusterIP"]
    with pytest.raises(httpx.ConnectError):
        fetch(address)
    deploy(kube, 1)
    eventually(lambda: ready(kube, "deployments", "web", 1))
    eventually(lambda: kube.get(kube.at("v1", "endpoints", "web"))["subsets"][0].get("addresses"))

    def answered() -> bool:
        try:
            return fetch(address) == "one"
        except httpx.ConnectError:
            return False

    eventually(answered)


def database(
    kube: KubeApi, replicas: int = 1, script: str = "date +%N >> /data/log; exec sleep 600", **spec: object
) -> str:
    claim = {"metadata": {"name": "data"},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}  # fmt: skip
    one = container(script, volumeMounts=[{"name": "data", "mountPath": "/data"}])
    body = workload("StatefulSet", "db", replicas, one, serviceName="db", volumeClaimTemplates=[claim], **spec)
    path = kube.at("apps/v1", "statefulsets", "db")
    kube.apply(path, body)
    return path


def test_stateful_pod_keeps_name_address_and_data(kube: KubeApi, running: Cluster) -> None:
    database(kube)
    eventually(lambda: ready(kube, "statefulsets", "db", 1))
    before = pods(kube, "db")[0]
    kube.kubectl("delete", "pod", "db-0")
    after = eventually(lambda: ready(kube, "statefulsets", "db", 1) and pods(kube, "db")[0])
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["status"]["podIP"] == before["status"]["podIP"]
    claim = kube.get(kube.at("v1", "persistentvolumeclaims", "data-db-0"))
    assert claim["status"]["phase"] == "Bound"
    lines = running.folder / "volumes" / claim["spec"]["volumeName"] / "log"
    eventually(lambda: len(lines.read_text().split()) == 2)


def test_stateful_pods_come_one_after_another_and_go_backwards(kube: KubeApi) -> None:
    path = database(kube, 3)
    eventually(lambda: ready(kube, "statefulsets", "db", 3))
    made = {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in pods(kube, "db")}
    assert sorted(made) == ["db-0", "db-1", "db-2"]
    kube.ask("PATCH", path, {"spec": {"replicas": 1}}, MERGE)
    eventually(lambda: [one["metadata"]["name"] for one in pods(kube, "db")] == ["db-0"])
    assert len(kube.get(kube.at("v1", "persistentvolumeclaims"))["items"]) == 3


def test_new_template_replaces_stateful_pods(kube: KubeApi) -> None:
    path = database(kube, 2)
    eventually(lambda: ready(kube, "statefulsets", "db", 2))
    old = {one["metadata"]["uid"] for one in pods(kube, "db")}
    database(kube, 2, script="exec sleep 601")
    eventually(
        lambda: ready(kube, "statefulsets", "db", 2) and not old & {one["metadata"]["uid"] for one in pods(kube, "db")}
    )
    status = kube.get(path)["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert "roll out complete" in kube.kubectl("rollout", "status", "sts/db", "--timeout=10s")


def test_claims_go_with_their_set_when_it_says_so(kube: KubeApi, running: Cluster) -> None:
    path = database(kube, persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete"})
    eventually(lambda: ready(kube, "statefulsets", "db", 1))
    volume = kube.get(kube.at("v1", "persistentvolumeclaims", "data-db-0"))["spec"]["volumeName"]
    kube.ask("DELETE", path)
    eventually(lambda: gone(lambda: kube.get(kube.at("v1", "persistentvolumeclaims", "data-db-0"))))
    eventually(lambda: not (running.folder / "volumes" / volume).exists())


def test_claims_stay_when_their_set_goes_by_default(kube: KubeApi) -> None:
    path = database(kube)
    eventually(lambda: ready(kube, "statefulsets", "db", 1))
    kube.ask("DELETE", path)
    eventually(lambda: pods(kube, "db") == [])
    assert kube.get(kube.at("v1", "persistentvolumeclaims", "data-db-0"))["status"]["phase"] == "Bound"
