"""The first steps in the crew's interpreter: environment, folders, settings, CrewAI with all its seams registered.

Raises StartError with a reason for the replica's report whenever a step cannot be taken.
"""

import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from crew_runtime import telemetry
from crew_runtime.contract.replica_reasons import BackendReason, ReplicaReason
from crew_runtime.errors import (
    BackendError,
    CrewRuntimeError,
    DimensionMismatchError,
    SettingsError,
    StoreMismatchError,
    UnsupportedCrewAIError,
)
from crew_runtime.settings import Settings
from crew_runtime.worker.errors import StartError

if TYPE_CHECKING:
    from crew_runtime.installation import Installation

TRACEBACK_FRAMES = 12


def check_home() -> None:
    """CrewAI writes a key file below HOME while it is imported."""
    home = Path("~").expanduser()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        message = f"HOME ({home}) cannot be written, and CrewAI writes there on import: {error}. Set HOME to a volume."
        raise StartError(ReplicaReason.HOME_NOT_WRITABLE, message) from error


def extend_path(path: list[str], cwd: Path) -> None:
    """Put the working directory and its `src` first, as for `python -m` started there."""
    for folder in (cwd / "src", cwd):
        if folder.is_dir():
            text = str(folder)
            while text in path:
                path.remove(text)
            path.insert(0, text)


def prepare() -> None:
    """All that comes before any import of CrewAI."""
    telemetry.turn_off_unattended(os.environ)
    check_home()
    extend_path(sys.path, Path.cwd())


def install() -> "Installation":
    """Import CrewAI and register every seam that it has. The answer is for the report."""
    try:
        from crew_runtime import installation

        return installation.install(Settings.from_env(os.environ))
    except CrewRuntimeError as error:
        raise StartError(_reason(error), str(error)) from error
    except Exception as error:
        # CrewAI itself or what it brings cannot be imported in this image.
        raise StartError(ReplicaReason.CREWAI_BROKEN, f"importing CrewAI failed: {error!r}", _tail(error)) from error


def _reason(error: CrewRuntimeError) -> str:
    match error:
        case SettingsError():
            return ReplicaReason.INVALID_SETTINGS
        case UnsupportedCrewAIError():
            return ReplicaReason.CREWAI_UNSUPPORTED
        case DimensionMismatchError():
            return ReplicaReason.DIMENSION_MISMATCH
        case StoreMismatchError():
            return ReplicaReason.STORE_MISMATCH
        case BackendError() if error.kind == BackendReason.AUTH_FAILED:
            return ReplicaReason.BACKEND_AUTH_FAILED
        case BackendError():
            return ReplicaReason.BACKEND_UNAVAILABLE
    return ReplicaReason.START_FAILED


def _tail(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)[-TRACEBACK_FRAMES:])
