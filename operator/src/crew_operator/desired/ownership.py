"""Whose is an object that bears the name of a child? Decided from its metadata alone, before anything is written.

The operator has the right to change every Service of the cluster, whoever creates a CrewDeployment may not have it.
"""

from collections.abc import Mapping
from typing import Any

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment
from crew_operator.errors import Problem

Object = Mapping[str, Any]


def is_ours(crew: CrewDeployment, live: Object) -> bool:
    """True for what this CrewDeployment controls, and for what it or its namesake left behind.

    What has lost its owner (a backup that was restored without owners, a CrewDeployment that was deleted and made
    again) is known by the labels that the operator put on it. Only one CrewDeployment can have a name at a time, so an
    owner of our kind and name with another uid is gone.
    """
    controller = _controller(live)
    if controller is None:
        return _is_labelled(crew, live)
    if controller.get("uid") == crew.uid:
        return True
    return _is_namesake(crew, controller) and _is_labelled(crew, live)


def is_our_claim(crew: CrewDeployment, live: Object) -> bool:
    """The same for the volume of Redis, which its StatefulSet makes: with the labels of its selector."""
    labels = live["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in names.selector(crew.name, names.REDIS).items())


def problem(crew: CrewDeployment, kind: str, live: Object) -> Problem:
    """What to tell of an object that is not ours."""
    name = str(live["metadata"]["name"])
    if kind == "PersistentVolumeClaim":
        needed = _own_labels(crew) if name == names.files(crew.name) else names.selector(crew.name, names.REDIS)
        labels = ",".join(f"{key}={value}" for key, value in needed.items())
        do = f"delete it, take another name for the crew, or give it to this crew by the labels {labels}"
        return Problem("metadata.name", f"the claim {name} exists and was not made for this crew: {do}")
    do = "delete or rename it, or take another name for the crew"
    return Problem("metadata.name", f"the {kind} {name} exists and {_whose(live)}: {do}")


def _whose(live: Object) -> str:
    controller = _controller(live)
    if controller is None:
        return "is not this crew's"
    return f"belongs to the {controller.get('kind')} {controller.get('name')}"


def _controller(live: Object) -> Mapping[str, Any] | None:
    return next((one for one in live["metadata"].get("ownerReferences") or () if one.get("controller")), None)


def _is_namesake(crew: CrewDeployment, controller: Mapping[str, Any]) -> bool:
    group = str(controller.get("apiVersion") or "").partition("/")[0]
    return (group, controller.get("kind"), controller.get("name")) == (names.GROUP, names.KIND, crew.name)


def _is_labelled(crew: CrewDeployment, live: Object) -> bool:
    labels = live["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in _own_labels(crew).items())


def _own_labels(crew: CrewDeployment) -> dict[str, str]:
    return {names.OWNER_LABEL: crew.name, names.MANAGED_BY_LABEL: names.FIELD_MANAGER}
