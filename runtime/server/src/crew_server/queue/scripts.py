"""Runs the Lua scripts of the queue: each is one atomic step, loaded with what they all share in front.

Every call ends within a deadline and raises BackendError; every call may be made twice, as redis-py does when it finds
a connection dead.
"""

from typing import Any, Final

from crew_runtime.contract import keys
from crew_server import lua, redis_client

NAMES: Final = (
    *("accept", "claim", "watch", "restore", "finish", "settle"),
    *("release", "look", "tell", "keep", "pause", "resume", "bury"),
)


class Scripts:
    """The scripts of one crew."""

    def __init__(self, client: redis_client.Client, prefix: str) -> None:
        common = lua.shared("kickoffs") + lua.of("queue", "common")
        self._scripts = {name: client.register_script(common + lua.of("queue", name)) for name in NAMES}
        self._root = keys.root(prefix)
        self._keys = [
            keys.queue(prefix),
            keys.handed_back(prefix),
            keys.leases(prefix),
            keys.waiting(prefix),
            keys.ends(prefix),
            keys.hooks(prefix),
            keys.pending(prefix),
        ]

    async def run(self, name: str, *args: Any, deadline: float) -> Any:
        """What the script answers. Raises BackendError."""
        async with redis_client.deadline(deadline):
            return await self._scripts[name](keys=self._keys, args=[self._root, *args])
