"""What a failed end-to-end test leaves for whoever looks into it: logs, Events and the resources, in files."""

import re
from pathlib import Path
from typing import Any

from crew_programs.errors import ProgramError

ROOT = Path(__file__).parents[2] / "build" / "e2e"


def collect(test: str, cluster: Any, namespace: str) -> Path:
    """Write all that there is of a namespace, and the operator's log, into a folder of the test's name."""
    folder = ROOT / re.sub(r"[^\w.-]+", "-", test).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    kubectl = cluster.kubectl(namespace)

    def write(name: str, *words: str) -> None:
        try:
            text = str(kubectl(*words))
        except ProgramError as error:
            text = str(error)
        (folder / name).write_text(text)

    write("events.txt", "get", "events", "--sort-by=.metadata.creationTimestamp")
    write("crewdeployments.yaml", "get", "crewdeployments", "-o", "yaml")
    write("describe.txt", "describe", "crewdeployments")
    write("objects.yaml", "get", "deployments,statefulsets,pods,persistentvolumeclaims,services", "-o", "yaml")
    for pod in cluster.api(namespace).pods({}):
        for one in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            name = pod["metadata"]["name"]
            write(f"{name}.{one['name']}.log", "logs", name, "-c", one["name"])
            status = pod.get("status", {})
            known = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
            if any(each["name"] == one["name"] and each.get("restartCount") for each in known):
                write(f"{name}.{one['name']}.previous.log", "logs", name, "-c", one["name"], "--previous")
    (folder / "operator.log").write_text(cluster.operator_log())
    return folder
