"""Brings the users of a managed Redis that runs to what they should be; asks two questions where they are."""

import logging
import re
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from crew_operator.desired.redis_users import CREW, HAS_SEARCH, Command, RedisUsers
from crew_operator.resp import ErrorReply

Ask = Callable[..., Awaitable[str | int | None]]
"""Asks a command of the server as the operator. Raises ErrorReply for an error that Redis answered."""
LIST_BUDGET: Final = 1 << 20
"""Bytes of the list of clients: some 3,000 of them."""
_CLIENT: Final = re.compile(r"^id=(\d{1,18}) addr=(\S{1,64}):\d{1,5} .*?\buser=(\S{1,64})", re.MULTILINE | re.ASCII)

log = logging.getLogger(__name__)


async def bring(ask: Ask, users: RedisUsers, cut_off: Callable[[], Awaitable[None]]) -> None:
    """Raises ErrorReply when the server does not take the users, and what `ask` raises.

    Args:
        cut_off: ends the connections of who is let in no more; called when the server knows the users.
    """
    search = await _holds(ask, HAS_SEARCH)
    if await _holds(ask, users.question(search=search)):
        return
    for command in users.update(search=search):
        await ask(*command)
    if not users.retiring:
        await cut_off()
    await ask(*users.note(search=search))
    log.info("Redis has its users", extra={"search": search, "retiring": len(users.retiring)})


async def end_strangers(ask: Ask, addresses: Collection[str]) -> int:
    """End the crew's connections that come from nowhere of these, as Redis lets a client stay whose password is gone.
    The answer is how many there were. Raises as `bring`.

    A connection from one of the crew's pods is left alone: they were all made with a password that holds. Where none
    comes from there, as through a proxy, an address says nothing, and none is ended.
    """
    listed = await ask("CLIENT", "LIST", "TYPE", "NORMAL")
    found = _CLIENT.findall(listed) if isinstance(listed, str) else []
    crews = [(one, address.strip("[]") in addresses) for one, address, user in found if user == CREW]
    strangers = [one for one, known in crews if not known]
    if len(strangers) == len(crews):
        return 0
    for one in strangers:
        await ask("CLIENT", "KILL", "ID", one)
    return len(strangers)


async def _holds(ask: Ask, question: Command) -> bool:
    try:
        return await ask(*question) == "OK"
    except ErrorReply:
        return False  # it knows no such user, or no such command
