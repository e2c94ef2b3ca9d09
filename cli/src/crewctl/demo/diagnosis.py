"""What to look at when a step failed: the resource as kubectl describes it, its pods, the last lines of their logs."""

from crew_programs.errors import ProgramError
from crew_runtime.contract import resource
from crewctl import kube
from crewctl.demo.stage import Stage
from crewctl.errors import CrewctlError

LOG_LINES = 8
MAX_LINE = 600
"""Characters; a traceback in a JSON log is longer, and its beginning says enough."""


def of(stage: Stage) -> str:
    """The findings as text; what cannot be had is said in its place."""
    parts = [
        _section(stage, "describe", "crewdeployment", stage.name),
        _section(stage, "get", "pods", "-o", "wide"),
    ]
    for pod in _pods(stage):
        name = pod["metadata"]["name"]
        parts += [_section(stage, "logs", name, "-c", one, f"--tail={LOG_LINES}") for one in _containers(pod)]
    return "\n".join(parts)


def _section(stage: Stage, *args: str) -> str:
    try:
        text = "\n".join(line[:MAX_LINE] for line in stage.kubectl(*args).splitlines())
    except (CrewctlError, ProgramError) as error:
        text = str(error)
    return f"--- kubectl {' '.join(args)}\n{text}"


def _pods(stage: Stage) -> list[kube.Manifest]:
    try:
        return stage.api.pods({resource.OWNER_LABEL: stage.name})
    except CrewctlError:
        return []


def _containers(pod: kube.Manifest) -> list[str]:
    spec = pod["spec"]
    return [str(one["name"]) for one in [*spec.get("initContainers", []), *spec["containers"]]]
