"""The Lua scripts as objects; each is called by one typed method of `store`."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

import redis

from crew_runtime import redis_client
from crew_runtime.redis_client import Client


class Script:
    """One script, sent once to a server and called by its hash from then on."""

    def __init__(self, name: str, *shared: str) -> None:
        """`shared`: texts of the contract that come before its own."""
        texts = [resources.files("crew_runtime.contract").joinpath("lua", f"{one}.lua") for one in shared]
        texts.append(resources.files("crew_runtime.memory").joinpath("lua", f"{name}.lua"))
        self._text = "".join(one.read_text("utf-8") for one in texts)
        self._sha = ""

    def __call__(self, client: Client, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        """Run it; a server that forgot it (restart, SCRIPT FLUSH) is told again."""
        if self._sha:
            try:
                return self._run(client, keys, arguments)
            except redis.exceptions.NoScriptError:
                pass
        self._sha = str(client.script_load(self._text))
        return self._run(client, keys, arguments)

    def _run(self, client: Client, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        return redis_client.command(client, ["EVALSHA", self._sha, len(keys), *keys, *arguments])


DECLARE, EMBEDDER = Script("declare"), Script("embedder")
WRITE, DELETE = Script("write"), Script("delete")
TOUCH, USE, KEEP = Script("touch"), Script("use", "ended"), Script("keep")
TAKE, EXTEND, RELEASE = Script("take"), Script("extend"), Script("release")
