"""CrewAI's checkpoints on the shared store: what one replica wrote, any other restores.

The providers of a CheckpointConfig are a closed list, and a restore makes its own provider from the path alone, so
there is no seam (1.15.30). Hence the patch of this room: what JsonProvider, the default, would write into a file goes
to Redis under the file's path, and is looked for there before the disk. A path that only the disk knows is still read
from it. SqliteProvider, which only a crew's own code asks for, stays what it is, and is reported as local.
"""

import asyncio
import inspect
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crewai.state.provider import json_provider
from crewai.state.provider.json_provider import JsonProvider

from crew_runtime.contract import keys
from crew_runtime.durability import Command
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Client
from crew_runtime.sessions import binding

TTL = 7 * 24 * 3600.0
"""Seconds that a checkpoint is kept, as a kickoff is, when sessions live for ever."""
EXPECTED: Mapping[str, tuple[str, ...]] = {
    "checkpoint": ("self", "data", "location", "parent_id", "branch"),
    "acheckpoint": ("self", "data", "location", "parent_id", "branch"),
    "prune": ("self", "location", "max_keep", "branch"),
    "from_checkpoint": ("self", "location"),
    "afrom_checkpoint": ("self", "location"),
}
"""Parameters of each method that is patched."""
_MARK = "__crew_runtime_checkpoints__"


class Checkpoints:
    """The checkpoints in Redis: a STRING each, and the order of those of one branch."""

    def __init__(self, guard: Guard, prefix: str, session_ttl: float | None = None) -> None:
        self._guard = guard
        self._prefix = prefix
        self._ttl_ms = int((session_ttl or TTL) * 1000)

    def write(self, path: str, data: str) -> None:
        """Keep one."""
        session = binding.session()
        key, branch = keys.checkpoint(self._prefix, session, path), self._branch(session, str(Path(path).parent))

        commands: list[Command] = [
            ("SET", key, data, "PX", self._ttl_ms),
            ("ZADD", branch, repr(time.time()), path),
            ("PEXPIRE", branch, self._ttl_ms),
        ]
        self._guard.call("checkpoint", lambda client: self._guard.durability.transaction(client, *commands))

    def read(self, path: str) -> str | None:
        """One of this session's or of the crew's; None when there is none."""
        names = [keys.checkpoint(self._prefix, whose, path) for whose in dict.fromkeys((binding.session(), None))]
        found = self._guard.call("checkpoint", lambda client: client.mget(names))
        data = next((one for one in found if one is not None), None)
        return None if data is None else data.decode("utf-8", "surrogatepass")

    def prune(self, folder: str, keep: int) -> int:
        """Remove the oldest of a branch; how many."""
        session = binding.session()
        branch = self._branch(session, folder)

        def ask(client: Client) -> int:
            old: list[bytes] = client.zrange(branch, 0, -keep - 1)
            if old:
                names = [keys.checkpoint(self._prefix, session, one.decode()) for one in old]
                self._guard.durability.transaction(client, ("ZREM", branch, *old), ("UNLINK", *names))
            return len(old)

        return self._guard.call("checkpoint", ask)

    def _branch(self, session: str | None, folder: str) -> str:
        return keys.checkpoint_branch(self._prefix, session, folder)


_checkpoints: Checkpoints | None = None


def patch(checkpoints: Checkpoints) -> None:
    """Have JsonProvider keep its checkpoints there; nothing is changed where `obstacle` finds something."""
    global _checkpoints
    if obstacle():
        return
    _checkpoints = checkpoints
    if not hasattr(JsonProvider, _MARK):
        _wrap(JsonProvider)


def obstacle() -> str:
    """Why the patch does not fit this CrewAI, or ``."""
    if not callable(getattr(json_provider, "_build_path", None)):
        return "this CrewAI's JsonProvider names its files in a way that is not known"
    for method, parameters in EXPECTED.items():
        one = getattr(JsonProvider, method, None)
        if one is None or tuple(inspect.signature(one).parameters) != parameters:
            return f"JsonProvider.{method} of this CrewAI is not the one that is known"
    return ""


def in_force() -> bool:
    """Whether a checkpoint that is written now goes to the shared store."""
    return _checkpoints is not None and hasattr(JsonProvider, _MARK)


def _store() -> Checkpoints:
    assert _checkpoints is not None  # noqa: S101 - the methods are patched only after it was set
    return _checkpoints


def _wrap(provider: type[JsonProvider]) -> None:
    from_file = provider.from_checkpoint

    def checkpoint(
        self: JsonProvider, data: str, location: str, *, parent_id: str | None = None, branch: str = "main"
    ) -> str:
        path = str(json_provider._build_path(location, branch, parent_id))
        _store().write(path, data)
        return path

    async def acheckpoint(
        self: JsonProvider, data: str, location: str, *, parent_id: str | None = None, branch: str = "main"
    ) -> str:
        return await asyncio.to_thread(checkpoint, self, data, location, parent_id=parent_id, branch=branch)

    def prune(self: JsonProvider, location: str, max_keep: int, *, branch: str = "main") -> int:
        return _store().prune(str(Path(location) / branch), max_keep)

    def from_checkpoint(self: JsonProvider, location: str) -> str:
        found = _store().read(location)
        return from_file(self, location) if found is None else found

    async def afrom_checkpoint(self: JsonProvider, location: str) -> str:
        return await asyncio.to_thread(from_checkpoint, self, location)

    patched: tuple[Any, ...] = (checkpoint, acheckpoint, prune, from_checkpoint, afrom_checkpoint)
    for one in patched:
        setattr(provider, one.__name__, one)
    setattr(provider, _MARK, True)
