"""Runs the Lua scripts of the queue: each is one atomic step, loaded with what they all share in front.

Every call ends within a deadline and raises BackendError; every call may be made twice, as redis-py does when it finds
a connection dead.
"""

from collections.abc import Sequence
from typing import Any

from crew_runtime.contract import keys
from crew_runtime.contract.scripts import QUEUE, Argument
from crew_server import lua, redis_client


class Scripts:
    """The scripts of one crew."""

    def __init__(self, client: redis_client.Client, prefix: str) -> None:
        common = lua.shared("kickoffs") + lua.of("queue", "common")
        self._scripts = {name: client.register_script(common + lua.of("queue", name)) for name in QUEUE}
        self._root = keys.root(prefix)
        self._keys = {
            "queue": keys.queue(prefix),
            "handed_back": keys.handed_back(prefix),
            "leases": keys.leases(prefix),
            "waiting": keys.waiting(prefix),
            "ends": keys.ends(prefix),
            "hooks": keys.hooks(prefix),
            "pending": keys.pending(prefix),
        }

    async def run(self, name: str, more: Sequence[Argument], given: dict[str, Argument], deadline: float) -> Any:
        """What the script answers. Raises BackendError.

        Args:
            name: A script of `contract.scripts.QUEUE`.
            more: What its ARGV go on with.
            given: Its ARGV by name, but for the root.
            deadline: Seconds.
        """
        names = QUEUE[name].names(self._keys)
        arguments = QUEUE[name].arguments({"root": self._root, **given}, more)
        async with redis_client.deadline(deadline):
            return await self._scripts[name](keys=names, args=arguments)
