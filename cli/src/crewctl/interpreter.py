"""The Python that a crew runs in: which one, what it has, and what we lend it."""

import importlib.util
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from crewctl.errors import UsageError

ASK_SECONDS = 60
LEAST_REDIS_PY = 8
MODULES = ("crewai", "crew_runtime", "redis")
_QUESTION = """
import importlib.metadata as metadata, importlib.util as util, json, sys
def has(name):
    try:
        return util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
print(json.dumps({"has": [one for one in %r if has(one)], "redis": version("redis"), "crewai": version("crewai"),
                  "python": list(sys.version_info[:2])}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that can run a process of ours."""

    path: Path
    lent: tuple[str, ...] = ()
    """Packages that it does not have and that we put on its path."""


def choose(folder: Path, named: Path | None) -> Path:
    """As named, the project's own environment, or python3 on the PATH. Raises UsageError."""
    if named is not None:
        found = shutil.which(str(named))
        if found is None:
            raise UsageError(f"--python {named}: there is no such program")
        return Path(found).absolute()
    own = folder / ".venv" / "bin" / "python"
    if own.exists():
        return own
    found = shutil.which("python3")
    if found is None:
        raise UsageError(f"there is neither {own} nor a python3 on the PATH: name the crew's interpreter by --python")
    return Path(found).absolute()


def examine(path: Path, module: str) -> Interpreter:
    """What it has, and what it has to be lent to run `module` of ours, which an older version of the runtime may lack.

    Raises UsageError, saying what to install, when it cannot run a crew.
    """
    try:
        done = subprocess.run(
            [path, "-c", _QUESTION % ((*MODULES, module),)],
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            check=True,
        )
        told = json.loads(done.stdout.splitlines()[-1])
    except subprocess.CalledProcessError as error:
        raise UsageError(f"{path} does not run: {error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        raise UsageError(f"{path} does not run: {error}") from error
    has = set(told["has"])
    if "crewai" not in has:
        raise UsageError(
            f"{path} has no crewai: install the project in it, or name the crew's own interpreter by --python"
        )
    lent = []
    if module not in has:
        lent.append("crew_runtime")
    if "redis" not in has:
        lent.append("redis")
    elif int(told["redis"].partition(".")[0] or 0) < LEAST_REDIS_PY:
        needed = f"'redis>={LEAST_REDIS_PY},<{LEAST_REDIS_PY + 1}'"
        raise UsageError(
            f"{path} has redis-py {told['redis']}, which the runtime cannot use: {path} -m pip install {needed}"
        )
    return Interpreter(path, tuple(lent))


def lend(packages: tuple[str, ...], folder: Path) -> Path | None:
    """A folder for PYTHONPATH with links to our own copies and nothing else beside them; None when none is needed.

    Never the folder in which ours lie: what else is installed there, pydantic above all, does not fit the crew's.
    """
    if not packages:
        return None
    folder.mkdir()
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise UsageError(f"{name} is missing in crewctl's own environment too: install crewctl again")
        (folder / name).symlink_to(next(iter(spec.submodule_search_locations)), target_is_directory=True)
    return folder


def environment(base: dict[str, str], lent: Path | None) -> dict[str, str]:
    """`base` with what is lent after the user's own PYTHONPATH."""
    if lent is None:
        return base
    path = os.pathsep.join(one for one in (base.get("PYTHONPATH", ""), str(lent)) if one)
    return {**base, "PYTHONPATH": path}
