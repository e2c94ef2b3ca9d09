"""Which inputs a crew's texts ask for, and which of them a kickoff lacks."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_\-]*)}")
"""Source: crewai.utilities.string_utils, 1.15.30. `Crew.fetch_inputs` takes anything in braces, JSON examples too."""


def asked_for(crew: Any) -> tuple[str, ...]:
    """The names in the texts of a Crew's tasks and agents, sorted."""
    texts: list[str | None] = []
    for task in crew.tasks:
        texts += [task.description, task.expected_output, task.output_file]
    for agent in crew.agents:
        texts += [agent.role, agent.goal, agent.backstory]
    return tuple(sorted({name for text in texts for name in _PLACEHOLDER.findall(text or "")}))


def missing(needed: Iterable[str], given: Mapping[str, Any]) -> list[str]:
    """The needed names that were not given, in their order."""
    return [name for name in needed if name not in given]
