"""The Memory objects behind a crew or a flow."""

from typing import Any


def of_owner(owner: Any) -> Any:
    """The one of a Crew itself, or None."""
    found = getattr(owner, "_memory", None)
    return getattr(found, "_memory", None) or found


def of(owner: Any) -> list[Any]:
    """Those of a Crew, its agents and manager, or of a Flow, each once. Source: Crew._drain_memory_writes, 1.15.30."""
    agents = [*(getattr(owner, "agents", None) or ()), *(one.agent for one in getattr(owner, "tasks", None) or ())]
    holders = [owner, getattr(owner, "manager_agent", None), *agents]
    found = [getattr(owner, "_memory", None), *(getattr(one, "memory", None) for one in holders)]
    backing = [getattr(one, "_memory", None) or one for one in found if one is not None and not isinstance(one, bool)]
    return list({id(one): one for one in backing if hasattr(one, "drain_writes")}.values())
