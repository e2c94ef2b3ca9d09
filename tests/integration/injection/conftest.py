"""A payload, and environments as crews' images have them: real installations that know nothing of us."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crew_injection import payload as payloads
from support.replica_fixtures import make, redis

__all__ = ["environment", "make", "payload", "redis"]

ROOT = Path(__file__).parents[3]
UV = ROOT / "build/uv/bin/uv"


@pytest.fixture(scope="session")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As in the runtime's image, with this machine's shell; read-only, as it is mounted."""
    made = tmp_path_factory.mktemp("opt") / "payload"
    payloads.build(made, Path("/bin/sh"))
    subprocess.run(["chmod", "-R", "a-w", made], check=True)
    return made


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`environment("crewai==1.15.30", "redis==3.5.3", python="3.12")`: a virtual environment with these, made once."""
    made: dict[tuple[str, ...], Path] = {}

    def install(*requirements: str, python: str = "") -> Path:
        key = (python, *requirements)
        if key not in made:
            folder = tmp_path_factory.mktemp("image") / "venv"
            uv = str(UV) if UV.exists() else shutil.which("uv")
            if uv is None:
                pytest.skip("needs uv to make environments: `make ready`")
            subprocess.run([uv, "venv", "-q", "--no-project", "-p", interpreter(python), folder], check=True)
            subprocess.run([uv, "pip", "install", "-q", "-p", folder, *requirements], check=True)
            made[key] = folder
        return made[key]

    return install


def interpreter(version: str) -> str:
    """A Python of that version; this one when it does not matter. Skips the test where there is none."""
    if not version or version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    named = shutil.which(f"python{version}")
    pyenv = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python"))
    for one in (*([named] if named else []), *map(str, pyenv)):
        if subprocess.run([one, "--version"], capture_output=True, check=False).returncode == 0:
            return one
    pytest.skip(f"needs a Python {version}: `uv python install {version}`")
