"""Objects that the suite writes."""

from typing import Any


def gizmo(name: str = "one", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "suite.crewops.dev/v1",
        "kind": "Gizmo",
        "metadata": {"name": name},
        "spec": {"image": "wood", **spec},
    }


def config_map(name: str = "one", labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    container = {
        "name": "web",
        "image": "web:1",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "A", "value": "1"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
            **spec,
        },
    }
