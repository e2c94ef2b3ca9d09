"""CrewDeployments for tests: a good one, and modifiers that change one thing of it."""

from copy import deepcopy
from typing import Any

GOOD: dict[str, Any] = {
    "apiVersion": "crewops.dev/v1alpha1",
    "kind": "CrewDeployment",
    "metadata": {"namespace": "lobby", "name": "concierge"},
    "spec": {
        "replicas": 2,
        "crew": {"image": "registry.example/concierge:1.4.0", "entrypoint": "concierge.crew:Concierge"},
        "redis": {"managed": {}},
    },
}


def crew_manifest(**changes: Any) -> dict[str, Any]:
    """A good CrewDeployment; `crew__concurrency=8` sets spec.crew.concurrency, None removes a field, `name` renames."""
    manifest = deepcopy(GOOD)
    for key, value in changes.items():
        if key in ("name", "namespace", "uid", "generation"):
            manifest["metadata"][key] = value
            continue
        *path, last = key.split("__")
        place = manifest["spec"]
        for part in path:
            place = place.setdefault(part, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return manifest
