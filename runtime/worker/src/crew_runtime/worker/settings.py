"""Environment -> what the processes of the worker need to know; memory's own settings are `crew_runtime.settings`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from crew_runtime.contract import env
from crew_runtime.contract.replica_reasons import ReplicaReason
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
    processes: str = env.PER_KICKOFF
    """One of `env.PROCESSES_VALUES`."""
    warm_up: str = ""
    """`module:function` that loads what the crew's first kickoff would load, or ``."""
    inputs: tuple[str, ...] | None = None
    """Names of the inputs that the crew's author declared; None when the crew's texts say which."""
    history_turns: int = 0
    """How many of the session's last turns the input `history` is filled with; 0: what is said is not kept."""

    @property
    def reuses(self) -> bool:
        """Whether a process may run more than one kickoff."""
        return self.processes != env.PER_KICKOFF


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
    processes = environ.get(env.PROCESSES, "").strip() or env.PER_KICKOFF
    if processes not in env.PROCESSES_VALUES:
        problems.append(f"{env.PROCESSES} has to be one of {', '.join(env.PROCESSES_VALUES)}, and is {processes!r}")
    history = environ.get(env.HISTORY_FORMAT, "").strip()
    if history not in ("", env.LANGCHAIN):
        problems.append(f"{env.HISTORY_FORMAT} has to be {env.LANGCHAIN} or unset, and is {history!r}")
    text = environ.get(env.HISTORY_TURNS, "").strip() or "10"
    turns = int(text) if re.fullmatch("[0-9]{1,4}", text) else 0
    if not turns:
        problems.append(f"{env.HISTORY_TURNS} has to be a whole number from 1 on, and is {text[:100]!r}")
    settings = WorkerSettings(
        socket=socket_path(environ),
        entrypoint=environ.get(env.ENTRYPOINT, "").strip(),
        definition=environ.get(env.DEFINITION, "").strip(),
        slot_memory=int(number(env.SLOT_MEMORY, 1024) * MIB),
        grace_period=number(env.GRACE_PERIOD, 30),
        fail_closed=on_failure == "FailClosed",
        processes=processes,
        inputs=_names(environ.get(env.INPUTS)),
        warm_up=environ.get(env.WARM_UP, "").strip(),
        history_turns=turns if history else 0,
    )
    if problems:
        raise StartError(ReplicaReason.INVALID_SETTINGS, "; ".join(problems))
    return settings


def _names(text: str | None) -> tuple[str, ...] | None:
    """Of a list parted by commas; an empty one is no names, which is not the same as no list."""
    return None if text is None else tuple(name for one in text.split(",") if (name := one.strip()))
