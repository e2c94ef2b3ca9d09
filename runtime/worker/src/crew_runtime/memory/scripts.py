"""The Lua scripts as objects; each is called by one typed method of `store`."""

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import redis

from crew_runtime import redis_client
from crew_runtime.contract import scripts
from crew_runtime.contract.scripts import Argument, Signature
from crew_runtime.durability import Durability
from crew_runtime.redis_client import Client


class Script:
    """One script, sent once to a server and called by its hash from then on."""

    def __init__(self, signature: Signature, *shared: str) -> None:
        """`shared`: texts of the contract that come before its own."""
        self._signature = signature
        texts = [resources.files("crew_runtime.contract").joinpath("lua", f"{one}.lua") for one in shared]
        texts.append(resources.files("crew_runtime.memory").joinpath("lua", f"{signature.name}.lua"))
        self._text = "".join(one.read_text("utf-8") for one in texts)
        self._sha = ""

    def __call__(
        self,
        client: Client,
        keys: Mapping[str, str],
        arguments: Mapping[str, Argument],
        more: Sequence[Argument] = (),
        durability: Durability | None = None,
    ) -> Any:
        """Run it; a server that forgot it (restart, SCRIPT FLUSH) is told again.

        `keys`, `arguments`: by the names of its signature; `more`: what its ARGV go on with; `durability`: by which
        what it wrote is waited for.
        """
        names = self._signature.names(keys)
        parts = [len(names), *names, *self._signature.arguments(arguments, more)]
        if self._sha:
            try:
                return self._run(client, parts, durability)
            except redis.exceptions.NoScriptError:
                pass
        self._sha = str(client.script_load(self._text))
        return self._run(client, parts, durability)

    def _run(self, client: Client, parts: Sequence[str | bytes | int], durability: Durability | None) -> Any:
        command = ["EVALSHA", self._sha, *parts]
        if durability is None:
            return redis_client.command(client, command)
        return durability.write(client, command)[0]


DECLARE, EMBEDDER = Script(scripts.MEMORY_DECLARE), Script(scripts.MEMORY_EMBEDDER)
WRITE, DELETE = Script(scripts.MEMORY_WRITE), Script(scripts.MEMORY_DELETE)
TOUCH, USE, KEEP = Script(scripts.MEMORY_TOUCH), Script(scripts.MEMORY_USE, "ended"), Script(scripts.MEMORY_KEEP)
TAKE, EXTEND, RELEASE = Script(scripts.LOCK_TAKE), Script(scripts.LOCK_EXTEND), Script(scripts.LOCK_RELEASE)
MESSAGES = Script(scripts.MEMORY_MESSAGES, "messages")
