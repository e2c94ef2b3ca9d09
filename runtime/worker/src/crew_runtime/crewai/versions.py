"""Is the installed CrewAI one whose state can be moved? Found by looking for the seams, not by comparing numbers."""

import importlib
from importlib import metadata

from crew_runtime.errors import UnsupportedCrewAIError

FIRST = "1.14.7"
"""The first release with all of SEAMS."""
SEAMS = (
    ("crewai.memory.storage.factory", "set_memory_storage_factory"),
    ("crewai.flow.persistence.factory", "set_flow_persistence_factory"),
    ("crewai_core.lock_store", "set_lock_backend"),
)


def installed() -> str:
    """The version of the installed CrewAI, without importing it. Raises UnsupportedCrewAIError when there is none."""
    try:
        return metadata.version("crewai")
    except metadata.PackageNotFoundError as error:
        message = f"CrewAI is not installed in this interpreter: add crewai>={FIRST} to the image"
        raise UnsupportedCrewAIError(message) from error


def check() -> str:
    """The version, having imported CrewAI and found every seam. Raises UnsupportedCrewAIError."""
    version = installed()
    missing = [f"{module}.{name}" for module, name in SEAMS if not _has(module, name)]
    if missing:
        raise UnsupportedCrewAIError(
            f"CrewAI {version} cannot keep its state on a shared backend (it lacks {', '.join(missing)}): "
            f"install crewai>={FIRST}"
        )
    return version


def _has(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        # A dependency of CrewAI that is missing is another fault, and has to be told as such.
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        return False
