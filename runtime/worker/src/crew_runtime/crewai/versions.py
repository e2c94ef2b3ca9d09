"""Whether the installed CrewAI can move its state: asked of its modules, not of its version number."""

import importlib
import importlib.metadata
import importlib.util

from crew_runtime.errors import UnsupportedCrewAIError

OLDEST = "1.14.7"
"""The first with the factories."""
SEAMS = (
    ("crewai.memory.storage.factory", "set_memory_storage_factory"),
    ("crewai.flow.persistence.factory", "set_flow_persistence_factory"),
    ("crewai_core.lock_store", "set_lock_backend"),
)


def check() -> str:
    """The installed version. Raises UnsupportedCrewAIError when there is none, or it lacks a seam."""
    try:
        version = importlib.metadata.version("crewai")
    except importlib.metadata.PackageNotFoundError as error:
        raise UnsupportedCrewAIError(f"CrewAI is not installed here: install crewai >= {OLDEST}") from error
    missing = [f"{module}.{name}" for module, name in SEAMS if not _has(module, name)]
    if missing:
        raise UnsupportedCrewAIError(
            f"CrewAI {version} has no {', '.join(missing)}: install crewai >= {OLDEST}, the first that can keep its "
            "state elsewhere"
        )
    return version


def _has(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return False
