"""Environment -> what the processes of the worker need to know; memory's own settings are `crew_runtime.settings`."""

from collections.abc import Mapping
from dataclasses import dataclass

from crew_runtime.contract import env
from crew_runtime.worker.errors import StartError
from crew_runtime.worker.limits import MIB


@dataclass(frozen=True)
class WorkerSettings:
    """Read once, by the zygote; every child inherits it or reads the same environment."""

    socket: str
    """Path of the server's Unix socket."""
    entrypoint: str
    definition: str
    slot_memory: int
    """Bytes that one kickoff may take."""
    grace_period: float
    """Seconds from SIGTERM until the container is killed."""
    fail_closed: bool
    """Whether a kickoff whose memory failed ends as an error."""


def socket_path(environ: Mapping[str, str]) -> str:
    """Apart from the rest, so that what is wrong with the rest can be told."""
    return environ.get(env.SOCKET) or env.DEFAULT_SOCKET


def read(environ: Mapping[str, str]) -> WorkerSettings:
    """Raises StartError with all that is wrong."""
    problems: list[str] = []

    def number(name: str, default: float) -> float:
        text = environ.get(name, "").strip()
        try:
            value = float(text) if text else default
        except ValueError:
            value = -1.0
        if not 0 < value < float("inf"):
            problems.append(f"{name} has to be a number above 0, and is {text!r}")
        return value

    on_failure = environ.get(env.MEMORY_ON_FAILURE) or "FailClosed"
    if on_failure not in ("FailClosed", "Degrade"):
        problems.append(f"{env.MEMORY_ON_FAILURE} has to be FailClosed or Degrade, and is {on_failure!r}")
    settings = WorkerSettings(
        socket=socket_path(environ),
        entrypoint=environ.get(env.ENTRYPOINT, "").strip(),
        definition=environ.get(env.DEFINITION, "").strip(),
        slot_memory=int(number(env.SLOT_MEMORY, 1024) * MIB),
        grace_period=number(env.GRACE_PERIOD, 30),
        fail_closed=on_failure == "FailClosed",
    )
    if problems:
        raise StartError("InvalidSettings", "; ".join(problems))
    return settings
