"""Runs the Lua scripts of the queue: each is one atomic step, loaded with what they all share in front.

Every call ends within a deadline and raises BackendError; every call may be made twice, as redis-py does when it finds
a connection dead.
"""

from collections.abc import Sequence
from typing import Any, Final

from crew_runtime.contract import keys
from crew_runtime.contract.scripts import QUEUE, Argument
from crew_server import lua, redis_client
from crew_server.durability import Durability

_PROMISES: Final = frozenset(("accept", "finish", "pause", "resume"))
"""Those whose answer tells somebody that something is kept. What others write is done again where it was lost: a lease
that is not there is a kickoff that is claimable."""


class Scripts:
    """The scripts of one crew."""

    def __init__(self, client: redis_client.Client, prefix: str, durability: Durability) -> None:
        self._durability = durability
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
        """What the script answers. Raises BackendError, of which NotAcknowledgedError has what it answered.

        Args:
            name: A script of `contract.scripts.QUEUE`.
            more: What its ARGV go on with.
            given: Its ARGV by name, but for the root.
            deadline: Seconds.
        """
        names = QUEUE[name].names(self._keys)
        arguments = QUEUE[name].arguments({"root": self._root, **given}, more)
        async with redis_client.deadline(deadline):
            if name in _PROMISES:
                return await self._durability.run(self._scripts[name], names, arguments)
            return await self._scripts[name](keys=names, args=arguments)
