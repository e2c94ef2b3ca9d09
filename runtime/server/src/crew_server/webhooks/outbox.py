"""What is still to be delivered, in Redis: written by the queue's scripts with what it tells of (`tell` in
`queue/lua/common.lua`), taken here for a lease, settled when the receiver has answered.

A webhook is one channel of one kickoff; what waits for it is delivered in order, one after the other. To tell of
something new, have a script call `tell` with a channel, and give `payloads` its shape.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from crew_runtime.contract import keys
from crew_runtime.contract.scripts import WEBHOOKS_BURY, WEBHOOKS_SETTLE, WEBHOOKS_TAKE, Argument, Signature
from crew_server import lua, redis_client
from crew_server.logs import Log

_ENTRY = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
log = Log(__name__)

LEASE_MS = 30_000
"""Longer than a delivery may take, so that only a dead deliverer's is taken by another."""


@dataclass(frozen=True)
class Delivery:
    """The first that waits for a webhook."""

    kickoff_id: str
    channel: str
    """`task`, `step`, `crew`, `human`."""
    id: str
    """The same however often it is tried; its first part is the time, in epoch ms."""
    type: str
    attempt: int
    """Of the kickoff."""
    data: str
    """A JSON object."""
    tries: int
    """Before this one."""


class Outbox:
    """The deliveries of one crew. Every method raises BackendError."""

    def __init__(self, client: redis_client.Client, prefix: str, deadline: float) -> None:
        self._client = client
        self._prefix = prefix
        self._deadline = deadline
        common = lua.shared("kickoffs") + lua.of("webhooks", "common")
        self._scripts = {
            one: client.register_script(common + lua.of(one.room, one.name))
            for one in (WEBHOOKS_TAKE, WEBHOOKS_SETTLE, WEBHOOKS_BURY)
        }

    async def take(self, most: int) -> tuple[list[Delivery], float | None]:
        """Up to `most` deliveries, this server's for LEASE_MS; seconds until the next is due, None: none waits.

        One that cannot be read is put aside.
        """
        due, *taken = await self._run(WEBHOOKS_TAKE, lease=LEASE_MS, most=most)
        found = []
        for name, first, tries, digest in taken:
            try:
                found.append(_delivery(name, first, tries))
            except ValueError as error:
                log.warning("a delivery cannot be read and is dead-lettered", webhook=name, error=repr(error)[:500])
                await self._run(WEBHOOKS_BURY, webhook=name, digest=digest, why=repr(error)[:500])
        return found, None if int(due) < 0 else int(due) / 1000

    async def settle(self, one: Delivery, what: str, seconds: float = 0.0, error: str = "") -> int:
        """How it went; the answer is how many deliveries have ended by that.

        `delivered`; `retry` in `seconds`; `later`, which is no try; `failed`; `abandoned`, with all that wait behind.
        """
        name = f"{one.kickoff_id}:{one.channel}"
        wait = round(seconds * 1000)
        settled = await self._run(WEBHOOKS_SETTLE, webhook=name, delivery=one.id, what=what, wait=wait, error=error)
        return int(settled)

    async def kickoff(self, kickoff_id: str) -> Mapping[str, str]:
        """Its fields, by which a delivery is addressed and told; empty when it is gone."""
        async with redis_client.deadline(self._deadline):
            fields: Any = await self._client.hgetall(keys.run(self._prefix, kickoff_id))
        return cast("Mapping[str, str]", fields)

    async def _run(self, script: Signature, **given: Argument) -> Any:
        names = script.names({"hooks": keys.hooks(self._prefix)})
        arguments = script.arguments({"root": keys.root(self._prefix), **given})
        async with redis_client.deadline(self._deadline):
            return await self._scripts[script](keys=names, args=arguments)


def _delivery(name: str, first: str, tries: str) -> Delivery:
    kickoff_id, _, channel = name.rpartition(":")
    entry, kind, attempt, data = first.split(" ", 3)
    if not _ENTRY.fullmatch(entry):
        raise ValueError(f"'{entry[:50]}' is no id of an event")
    return Delivery(kickoff_id, channel, entry, kind, int(attempt), data, int(tries))
