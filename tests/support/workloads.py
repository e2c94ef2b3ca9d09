"""Small workloads for the local cluster: Python and sh, no more."""

from typing import Any

SERVER = "exec python -u -m http.server --bind $POD_IP --directory /www 8080"
POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


def container(script: str = "exec sleep 600", name: str = "main", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "python:test", "command": ["sh", "-c", script], **more}


def pod(name: str = "one", *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    body = {"terminationGracePeriodSeconds": 2, "containers": list(containers) or [container()], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": body}


def workload(kind: str, name: str, replicas: int, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    template = pod(name, *containers)
    extra = {key: spec.pop(key) for key in ("volumes", "initContainers") if key in spec}
    template["spec"].update(extra)
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": template["spec"]},
            **spec,
        },
    }


def web(answer: str = "hello", **more: Any) -> dict[str, Any]:
    """A container that serves `answer` at port 8080 of its pod."""
    return container(
        f"mkdir -p /www && echo {answer} > /www/index.html && {SERVER}",
        env=[POD_IP],
        ports=[{"name": "http", "containerPort": 8080}],
        readinessProbe={"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        volumeMounts=[{"name": "www", "mountPath": "/www"}],
        **more,
    )


WWW = [{"name": "www", "emptyDir": {}}]
