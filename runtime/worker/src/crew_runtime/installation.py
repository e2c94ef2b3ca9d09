"""`install()`: from here on, CrewAI in this process keeps its state on the shared backend, or the call fails.

There is no local fallback. Call it before any import of code that uses CrewAI.
"""

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crew_runtime import redis_client, telemetry
from crew_runtime.contract import keys
from crew_runtime.contract.report import StateKind
from crew_runtime.durability import Durability
from crew_runtime.errors import BackendError, BackendUnavailableError, NotAcknowledgedError
from crew_runtime.redis_client import Client, Connections
from crew_runtime.settings import Settings

if TYPE_CHECKING:
    from crew_runtime.crewai.state.registration import Registered

START_PATIENCE = 10
"""How much longer than a call the start may take, in units of the backend's deadline: Redis may be starting too."""
LOOK_EVERY = 0.25
"""Seconds."""
HEALTH_SECONDS = 60


@dataclass(frozen=True)
class Installation:
    """What was installed."""

    settings: Settings
    connections: Connections
    registered: "Registered"
    crewai_version: str
    search_mode: str
    """`index` or `plain`."""
    dimension: int | None
    """Of the vectors in the store when it was installed; None: it held none."""

    def facts(self) -> dict[str, Any]:
        """Fields of the worker's report; asks the backend. Raises BackendError."""
        storage = self.registered.storage
        return {
            "crewai_version": self.crewai_version,
            "search_mode": storage.search_mode,
            "dimension": storage.dimension,
            "vector_type": storage.vector_type,
        }

    def state(self, crew: object = None) -> tuple[StateKind, ...]:
        """Where each kind of CrewAI's state lies now; to be asked after the user's code was imported.

        `crew`: kept alive while it is looked for; everything alive is looked at.
        """
        from crew_runtime.crewai.state import registration

        found = registration.effective_state()
        del crew
        return found


_installed: Installation | None = None


def installed() -> Installation | None:
    """What `install` made in this process, or in the one that it was forked from."""
    return _installed


def install(settings: Settings | None = None) -> Installation:
    """Register our storage with CrewAI, once the backend answered a PING and a write.

    Leaves neither a thread nor a connection, so the process may fork; each process connects at its first call.

    Args:
        settings: By default from the CREWOPS_* variables.

    Raises:
        SettingsError: The variables cannot be used.
        BackendUnavailableError: No answer within ten times the deadline of a call.
        BackendError: The backend refuses us, takes no writes, or holds what does not fit (DimensionMismatchError,
            StoreMismatchError).
        UnsupportedCrewAIError: CrewAI is missing or has no seams.
    """
    global _installed
    settings = settings or Settings.from_env(os.environ)
    telemetry.turn_off(os.environ)
    connections = Connections(settings)
    try:
        # Before CrewAI, whose import takes seconds: a wrong address should not.
        wait_for_backend(settings, connections)

        from crew_runtime.crewai import versions
        from crew_runtime.crewai.state import registration

        version = versions.check()
        registered = registration.register(settings, connections)
        storage = registered.storage
        storage.check()
        _installed = Installation(settings, connections, registered, version, storage.search_mode, storage.dimension)
    finally:
        connections.close()
    return _installed


def wait_for_backend(settings: Settings, connections: Connections) -> None:
    """Until it took a write. Raises BackendError: at once when waiting would not help."""
    patience = settings.backend_deadline * START_PATIENCE
    ends = time.monotonic() + patience
    while True:
        try:
            with redis_client.mapped("start"):
                _ping_and_write(connections.redis, settings)
        except BackendUnavailableError as error:
            if time.monotonic() >= ends:
                raise BackendUnavailableError(
                    f"Redis at {redis_client.address(settings)} could not be reached for {patience:g} s ({error}): "
                    "check spec.redis and that its pod runs",
                    error.kind,
                ) from error
            time.sleep(LOOK_EVERY)
        except BackendError as error:
            raise BackendError(
                f"Redis at {redis_client.address(settings)} cannot be used: {error}", error.kind
            ) from error
        else:
            return


def _ping_and_write(client: Client, settings: Settings) -> None:
    client.ping()
    # A full server and a replica still answer PING.
    written = keys.health(settings.key_prefix, f"start:{os.uname().nodename}")
    try:
        Durability(settings).write(client, ("SET", written, "1", "EX", HEALTH_SECONDS))
    except NotAcknowledgedError as error:
        if not error.possible:
            raise
        # A disk that is slow for a moment, or a replica that starts, is no reason not to.
