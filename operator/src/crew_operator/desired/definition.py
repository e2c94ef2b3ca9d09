"""A crew that is declared in the spec -> the files that CrewAI reads, in a ConfigMap that the replicas mount."""

import json
from collections.abc import Mapping
from typing import Any

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment
from crew_operator.desired import metadata
from crew_operator.desired.metadata import Manifest
from crew_runtime.contract import definition


def config_map_name(crew: CrewDeployment) -> str | None:
    """The ConfigMap with the crew's definition: the user's, or ours; None: its code is in an image."""
    told = crew.spec.crew.definition
    if told is None:
        return None
    return told.config_map_ref.name if told.config_map_ref is not None else names.definition(crew.name)


def config_map(crew: CrewDeployment, inline: Mapping[str, Any]) -> Manifest:
    """Ours."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata.of(crew, names.definition(crew.name), names.CREW),
        "data": files(inline),
    }


def files(inline: Mapping[str, Any]) -> dict[str, str]:
    """An agent in a file of its own may say all that CrewAI knows of one; inside the crew's file it may not."""
    agents: Mapping[str, Any] = inline["agents"]
    return {
        definition.CREW_FILES[0]: _text({**inline, "agents": list(agents)}),
        **{f"{name}{definition.SUFFIXES[0]}": _text(body) for name, body in agents.items()},
    }


def _text(body: Any) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"
