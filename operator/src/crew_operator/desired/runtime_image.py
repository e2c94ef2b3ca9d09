"""Which image of the runtime a crew gets: the one that its spec names, the one that it was rolled out with, or the
operator's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment
from crew_operator.desired import drift, metadata, pod_template
from crew_operator.desired.metadata import Inputs, Manifest


@dataclass(frozen=True)
class Rollout:
    """What a crew was last rolled out with, as its status says; empty where it says nothing."""

    image: str = ""
    template: str = ""
    """Digest of the pod template."""

    def shown(self) -> dict[str, str]:
        """By their names in `status.crew`."""
        return {"runtimeImage": self.image, "template": self.template}


def recorded(status: Mapping[str, Any]) -> Rollout:
    """As a status says it."""
    crew = status.get("crew") or {}
    return Rollout(str(crew.get("runtimeImage") or ""), str(crew.get("template") or ""))


def rollout(deployment: Manifest) -> Rollout:
    """What is to be recorded of a Deployment that was applied."""
    template = deployment["spec"]["template"]
    return Rollout(_image(template) or "", metadata.checksum(template))


def chosen(crew: CrewDeployment, inputs: Inputs, last: Rollout, live: Mapping[str, Any] | None) -> Inputs:
    """The inputs with the image that the crew was rolled out with, as long as the crew itself asks for no other pods.

    A new operator brings a new image; to roll every crew of a cluster for it is not the operator's to decide.

    Args:
        inputs: with the operator's image.
        last: what the status says. Somebody may have edited the Deployment since.
        live: the crew's Deployment, which is asked only where the status says nothing: an older operator made it.
    """
    if (named := crew.spec.crew.runtime.image) is not None:
        return replace(inputs, runtime_image=named)
    if last.image and last.template:
        kept = replace(inputs, runtime_image=last.image)
        return kept if metadata.checksum(pod_template.of(crew, kept)) == last.template else inputs
    template = ((live or {}).get("spec") or {}).get("template") or {}
    if (image := _image(template)) is None:
        return inputs
    kept = replace(inputs, runtime_image=image)
    return kept if drift.holds(pod_template.of(crew, kept), template) else inputs


def is_rolled_out(crew: CrewDeployment, inputs: Inputs, last: Rollout, live: Mapping[str, Any] | None) -> bool:
    """Whether the crew asks for no other pods than it has. Arguments as those of `chosen`, with the image chosen."""
    template = pod_template.of(crew, inputs)
    if last.template:
        return metadata.checksum(template) == last.template
    there = ((live or {}).get("spec") or {}).get("template") or {}
    return drift.holds(template, there)


def _image(template: Mapping[str, Any]) -> str | None:
    """Of the sidecar."""
    containers = (template.get("spec") or {}).get("initContainers") or ()
    return next((str(one.get("image")) for one in containers if one.get("name") == names.SERVER_CONTAINER), None)
