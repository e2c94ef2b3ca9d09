"""Which image of the runtime a crew gets: the one that its spec names, the one that it runs with, or the operator's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment
from crew_operator.desired import drift, pod_template
from crew_operator.desired.metadata import Inputs


def chosen(crew: CrewDeployment, inputs: Inputs, live: Mapping[str, Any] | None) -> Inputs:
    """The inputs with the image that the crew runs with, as long as the crew itself asks for no other pods.

    A new operator brings a new image; to roll every crew of a cluster for it is not the operator's to decide.

    Args:
        inputs: with the operator's image.
        live: the crew's Deployment; None while there is none.
    """
    if (named := crew.spec.crew.runtime.image) is not None:
        return replace(inputs, runtime_image=named)
    template = ((live or {}).get("spec") or {}).get("template") or {}
    containers = (template.get("spec") or {}).get("initContainers") or ()
    images = [str(one.get("image")) for one in containers if one.get("name") == names.SERVER_CONTAINER]
    if not images:
        return inputs
    kept = replace(inputs, runtime_image=images[0])
    return kept if drift.holds(pod_template.of(crew, kept), template) else inputs
