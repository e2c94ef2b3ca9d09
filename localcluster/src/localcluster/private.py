"""Files for their owner alone: the API server's address is its password, and logs and volumes are the crew's."""

import os
from pathlib import Path

UMASK = 0o077
"""Of a process whose files are all of this kind."""


def folder(path: Path) -> Path:
    """Make a folder of ours, or close one that an older version left open."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write(path: Path, text: str) -> None:
    """Whole or not at all; what another mode had before has 0600 now."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
