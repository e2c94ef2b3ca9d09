"""The two interpreters of a replica: this one holds the server half, another one CrewAI and the worker half."""

import os
import subprocess
from functools import cache
from pathlib import Path

VARIABLE = "CREWOPS_TEST_CREW_PYTHON"
DEFAULT = Path(__file__).parents[2] / ".venv-crew/bin/python"


@cache
def crew_python() -> str:
    """The interpreter that has CrewAI. Fails, saying what to do, when there is none: skipping would hide it."""
    python = os.environ.get(VARIABLE) or str(DEFAULT)
    try:
        subprocess.run([python, "-c", "import crew_runtime"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError) as error:
        text = f"{python} cannot import crew_runtime; run 'make ready', or set {VARIABLE}"
        raise RuntimeError(text) from error
    return python
