"""`install()`: CrewAI's memory, flow state and locks go to the shared backend from here on.

Call it before the crew's code is imported. It reaches the backend or raises; there is no local fallback.
"""

import os
import time
from dataclasses import dataclass
from typing import Any

import redis

from crew_runtime.contract import keys
from crew_runtime.contract.report import StateKind
from crew_runtime.errors import BackendError, BackendUnavailableError
from crew_runtime.redis_client import Connections, connect, mapped
from crew_runtime.settings import Settings

START_PATIENCE = 10
"""At start the backend has this many deadlines to come up: it may be starting beside us."""
PAUSE = 0.3
"""Seconds between two tries."""


@dataclass(frozen=True)
class Installation:
    """What is registered, and where it goes."""

    settings: Settings
    connections: Connections
    registered: Any
    """`crewai.seams.Registered`."""
    crewai_version: str
    where: str
    """The server and the key prefix, without credentials."""

    def state(self, crew: Any = None) -> tuple[StateKind, ...]:
        """Where each kind of state lies really, now."""
        from crew_runtime.crewai import seams

        return seams.effective_state(self.registered, crew, self.where)

    def facts(self) -> dict[str, Any]:
        """Fields of the worker's report; asks the backend. Raises BackendError."""
        storage = self.registered.storage
        return {
            "crewai_version": self.crewai_version,
            "search_mode": storage.search_mode,
            "dimension": storage.dimension,
        }


_installed: Installation | None = None


def install(settings: Settings | None = None) -> Installation:
    """Register everything and prove that the backend takes writes.

    Raises SettingsError, UnsupportedCrewAIError, and BackendError when the backend could not be reached within ten
    deadlines, refuses, or holds what does not fit. Leaves no connection and no thread behind, so that the process may
    fork.
    """
    global _installed
    settings = settings or Settings.from_env(os.environ)
    from crew_runtime.crewai import versions

    version = versions.check()
    where = _reach(settings)
    from crew_runtime.crewai import seams

    connections = Connections(settings)
    registered = seams.register(settings, connections)
    _installed = Installation(settings, connections, registered, version, where)
    try:
        registered.storage.check()
    finally:
        connections.close()
    return _installed


def installed() -> Installation | None:
    """What `install` made in this process, or the one it was forked from."""
    return _installed


def _reach(settings: Settings) -> str:
    """PING and a write, until they succeed. The answer is where."""
    end = time.monotonic() + START_PATIENCE * settings.backend_deadline
    while True:
        client = connect(settings)
        where = _where(client, settings)
        try:
            with mapped(f"reaching {where}"):
                client.ping()
                client.set(keys.health(settings.key_prefix, f"install:{os.getpid()}"), "1", px=5000)
        except BackendUnavailableError as error:
            if time.monotonic() + PAUSE > end:
                patience = START_PATIENCE * settings.backend_deadline
                raise BackendError(f"{error}; tried for {patience:g} s", error.kind) from error
            time.sleep(PAUSE)
        else:
            return where
        finally:
            client.close()
            client.connection_pool.disconnect()


def _where(client: redis.Redis, settings: Settings) -> str:
    given = client.connection_pool.connection_kwargs
    address = given.get("path") or f"{given.get('host', 'localhost')}:{given.get('port', 6379)}"
    return f"redis {address}, keys {keys.root(settings.key_prefix)}"
