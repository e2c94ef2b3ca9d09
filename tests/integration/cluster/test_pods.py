"""One pod: order, probes, restarts, environment, volumes, the end."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from localcluster.cluster import Cluster
from support.kube_api import MERGE, KubeApi, eventually, gone
from support.workloads import POD_IP, WWW, container, pod, web


def started(kube: KubeApi, body: dict, phase: str = "Running") -> dict:
    kube.create(kube.at("v1", "pods"), body)
    path = kube.at("v1", "pods", body["metadata"]["name"])

    def look() -> dict | None:
        found = kube.get(path)
        return found if found["status"].get("phase") == phase else None

    found = eventually(look)
    assert found is not None
    return found


def main_state(kube: KubeApi, name: str = "one") -> dict:
    return kube.get(kube.at("v1", "pods", name))["status"]["containerStatuses"][0]


def log(kube: KubeApi, name: str = "one", **query: str) -> str:
    return kube.http.get(kube.at("v1", "pods", f"{name}/log"), params=query).text


def is_ready(kube: KubeApi, name: str = "one") -> bool:
    conditions = kube.get(kube.at("v1", "pods", name))["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def test_pod_serves_at_its_own_address(kube: KubeApi) -> None:
    started(kube, pod("one", web(), volumes=WWW))
    eventually(lambda: is_ready(kube))
    address = kube.get(kube.at("v1", "pods", "one"))["status"]["podIP"]
    assert httpx.get(f"http://{address}:8080/", trust_env=False).text.strip() == "hello"


def test_pod_answers_through_the_api_server(kube: KubeApi) -> None:
    started(kube, pod("one", web(), volumes=WWW))
    eventually(lambda: is_ready(kube))
    path = kube.at("v1", "pods", "http:one:8080/proxy/index.html")
    assert kube.http.get(path).text.strip() == "hello"
    assert kube.http.get(kube.at("v1", "pods", "one/proxy/")).text.strip() == "hello"


def test_init_containers_run_before_sidecars_before_main(kube: KubeApi) -> None:
    """A sidecar must have passed its startup probe before the next container begins."""
    mount = [{"name": "shared", "mountPath": "/shared"}]
    probe = {"exec": {"command": ["test", "-e", "/shared/up"]}, "periodSeconds": 1}
    body = pod(
        "one",
        container("echo main >> /shared/order; cat /shared/order; exec sleep 600", volumeMounts=mount),
        initContainers=[
            container("echo first >> /shared/order", "first", volumeMounts=mount),
            container(
                "sleep 0.3; echo side >> /shared/order; touch /shared/up; exec sleep 600",
                "side",
                restartPolicy="Always",
                startupProbe=probe,
                volumeMounts=mount,
            ),
        ],
        volumes=[{"name": "shared", "emptyDir": {}}],
    )
    started(kube, body)
    eventually(lambda: log(kube).split() == ["first", "side", "main"])


def test_environment_comes_from_secrets_config_maps_and_the_pod(kube: KubeApi) -> None:
    kube.create(kube.at("v1", "secrets"), {"metadata": {"name": "s"}, "stringData": {"k": "secret"}})
    kube.create(kube.at("v1", "configmaps"), {"metadata": {"name": "c"}, "data": {"FROM_MAP": "map"}})
    env = [
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "BOTH", "value": "$(WHO)-$(KEY)-$(NONE)-$$(WHO)"},
    ]
    one = container("echo $KEY $WHO $FROM_MAP $BOTH", env=env, envFrom=[{"configMapRef": {"name": "c"}}])
    started(kube, pod("one", one, restartPolicy="Never"), "Succeeded")
    assert log(kube).strip() == "secret one map one-secret-$(NONE)-$(WHO)"


def test_missing_secret_holds_the_container_until_it_comes(kube: KubeApi) -> None:
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "late", "key": "k"}}}]
    kube.create(kube.at("v1", "pods"), pod("one", container(env=env)))
    eventually(lambda: main_state(kube)["state"]["waiting"]["reason"] == "CreateContainerConfigError")
    assert 'secret "late" not found' in main_state(kube)["state"]["waiting"]["message"]
    kube.create(kube.at("v1", "secrets"), {"metadata": {"name": "late"}, "stringData": {"k": "v"}})
    eventually(lambda: "running" in main_state(kube)["state"])


def test_unknown_image_says_how_to_register_it(kube: KubeApi) -> None:
    kube.create(kube.at("v1", "pods"), pod("one", {"name": "main", "image": "nowhere/none:1"}))
    eventually(lambda: main_state(kube)["state"]["waiting"]["reason"] == "ErrImageNeverPull")
    assert "--image nowhere/none:1=DIR" in main_state(kube)["state"]["waiting"]["message"]


def test_killed_container_is_started_again_and_says_why(kube: KubeApi, running: Cluster) -> None:
    started(kube, pod())
    pid = running.pod_processes(kube.namespace, "one", "main")[0]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: main_state(kube)["restartCount"] == 1 and "running" in main_state(kube)["state"])
    last = main_state(kube)["lastState"]["terminated"]
    assert (last["exitCode"], last["signal"], last["reason"]) == (137, 9, "Error")


def test_container_that_fails_again_and_again_backs_off(kube: KubeApi) -> None:
    one = container("echo broken; exit 3", terminationMessagePolicy="FallbackToLogsOnError")
    kube.create(kube.at("v1", "pods"), pod("one", one))
    eventually(lambda: (main_state(kube)["state"].get("waiting") or {}).get("reason") == "CrashLoopBackOff")
    last = main_state(kube)["lastState"]["terminated"]
    assert (last["exitCode"], last["message"].strip()) == (3, "broken")
    assert "broken" in log(kube, previous="true") or main_state(kube)["restartCount"] == 0


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (1, "Failed")])
def test_pod_that_is_not_restarted_ends(kube: KubeApi, code: int, phase: str) -> None:
    started(kube, pod("one", container(f"exit {code}"), restartPolicy="Never"), phase)


def test_readiness_follows_the_probe(kube: KubeApi) -> None:
    probe = {"exec": {"command": ["test", "-e", "/flag/on"]}, "periodSeconds": 1, "failureThreshold": 1}
    one = container(
        "sleep 0.5; touch /flag/on; sleep 2; rm /flag/on; exec sleep 600",
        readinessProbe=probe,
        volumeMounts=[{"name": "flag", "mountPath": "/flag"}],
    )
    started(kube, pod("one", one, volumes=[{"name": "flag", "emptyDir": {}}]))
    eventually(lambda: is_ready(kube))
    eventually(lambda: not is_ready(kube))
    assert main_state(kube)["restartCount"] == 0


def test_container_that_fails_its_liveness_probe_is_started_again(kube: KubeApi) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    started(kube, pod("one", container(livenessProbe=probe)))
    eventually(lambda: main_state(kube)["restartCount"] >= 1)
    assert main_state(kube)["lastState"]["terminated"]["signal"] == signal.SIGTERM


def test_deleted_pod_gets_a_term_signal_and_its_grace(kube: KubeApi) -> None:
    one = container("trap 'sleep 0.3; echo bye > /out/bye; exit 0' TERM; echo up; while :; do sleep 0.05; done",
                    volumeMounts=[{"name": "out", "mountPath": "/out"}])  # fmt: skip
    claim = {"metadata": {"name": "out"},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}  # fmt: skip
    kube.create(kube.at("v1", "persistentvolumeclaims"), claim)
    volumes = [{"name": "out", "persistentVolumeClaim": {"claimName": "out"}}]
    started(kube, pod("one", one, volumes=volumes))
    eventually(lambda: "up" in log(kube))
    kube.ask("DELETE", kube.at("v1", "pods", "one"))
    eventually(lambda: gone(lambda: kube.get(kube.at("v1", "pods", "one"))))
    started(kube, pod("two", container("cat /out/bye", volumeMounts=[{"name": "out", "mountPath": "/out"}]),
                      volumes=volumes, restartPolicy="Never"), "Succeeded")  # fmt: skip
    assert log(kube, "two").strip() == "bye"


def test_pod_that_ignores_the_term_signal_is_killed(kube: KubeApi, running: Cluster) -> None:
    started(kube, pod("one", container("trap '' TERM; while :; do sleep 0.05; done"), terminationGracePeriodSeconds=1))
    pid = running.pod_processes(kube.namespace, "one")[0]
    kube.ask("DELETE", kube.at("v1", "pods", "one"))
    eventually(lambda: gone(lambda: kube.get(kube.at("v1", "pods", "one"))))
    assert not Path(f"/proc/{pid}").exists()


def test_whatever_a_container_started_ends_with_it(kube: KubeApi, running: Cluster) -> None:
    """Also what has made a session of its own."""
    script = "setsid sleep 599 & echo $! > /out/pid; exec sleep 600"
    one = container(script, volumeMounts=[{"name": "out", "mountPath": "/out"}])
    started(kube, pod("one", one, volumes=[{"name": "out", "emptyDir": {}}]))
    told = running.agent.find(kube.namespace, "one").folder / "v" / "out" / "pid"
    pid = int(eventually(lambda: told.exists() and told.read_text().strip()))
    os.kill(running.pod_processes(kube.namespace, "one")[0], signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists())


def test_config_map_volume_follows_its_config_map(kube: KubeApi) -> None:
    kube.create(kube.at("v1", "configmaps"), {"metadata": {"name": "c"}, "data": {"word": "old"}})
    one = container("while :; do cat /etc/words/word; echo; sleep 0.2; done",
                    volumeMounts=[{"name": "c", "mountPath": "/etc/words"}])  # fmt: skip
    started(kube, pod("one", one, volumes=[{"name": "c", "configMap": {"name": "c"}}]))
    eventually(lambda: "old" in log(kube))
    kube.ask("PATCH", kube.at("v1", "configmaps", "c"), {"data": {"word": "new"}}, MERGE)
    eventually(lambda: "new" in log(kube, tailLines="3"))


def test_log_of_a_pod_can_be_tailed_and_followed(kube: KubeApi) -> None:
    started(kube, pod("one", container("echo a; echo b; echo c; sleep 1; echo d; exit 0"), restartPolicy="OnFailure"))
    eventually(lambda: log(kube) == "a\nb\nc\n")
    assert log(kube, tailLines="1") == "c\n"
    assert kube.kubectl("logs", "-f", "one").endswith("d\n")


def test_node_selector_that_fits_no_node_leaves_the_pod_pending(kube: KubeApi) -> None:
    kube.create(kube.at("v1", "pods"), pod("one", nodeSelector={"disk": "gold"}))
    conditions = eventually(lambda: kube.get(kube.at("v1", "pods", "one"))["status"].get("conditions"))
    assert (conditions[0]["reason"], conditions[0]["status"]) == ("Unschedulable", "False")


def test_service_name_in_words_becomes_an_address(kube: KubeApi) -> None:
    env = [{"name": "URL", "value": f"redis://db.{kube.namespace}.svc:6379/0"}, POD_IP]
    started(kube, pod("one", container("echo $URL", env=env), restartPolicy="Never"), "Succeeded")
    assert log(kube).startswith("redis://127.")
