"""Where CrewAI keeps memories by itself, without the runtime."""

import os
from pathlib import Path


def memories() -> Path:
    """Of the working directory's project, as `LanceDBStorage()` finds it (1.15.30)."""
    if folder := os.environ.get("CREWAI_STORAGE_DIR"):
        return Path(folder) / "memory"
    from crewai_core.paths import db_storage_path

    return Path(db_storage_path()) / "memory"
