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
_CLIENT: Final = re.compile(
    r"^id=(?P<id>\d{1,18}) addr=(?P<address>\S{1,64}):\d{1,5} .*? idle=(?P<idle>\d{1,9}) flags=(?P<flags>\w{1,16}) "
    r".*? multi=(?P<multi>-?\d{1,9})(?: watch=(?P<watch>\d{1,9}))? "
    r".*? cmd=(?P<command>\S{1,64}) user=(?P<user>\S{1,64})",
    re.MULTILINE | re.ASCII,
)
_IDLE: Final = 2
"""Seconds that a connection was not used for: its owner makes another one without a word when it next needs one."""

log = logging.getLogger(__name__)


async def bring(ask: Ask, users: RedisUsers, cut_off: Callable[[], Awaitable[None]] | None) -> None:
    """Raises ErrorReply when the server does not take the users, and what `ask` raises.

    Args:
        cut_off: ends the connections of who is let in no more; called when the server knows the users. None leaves
            that, and the note that it was done, to somebody else.
    """
    search = await _holds(ask, HAS_SEARCH)
    if await _holds(ask, users.question(search=search)):
        return
    for command in users.update(search=search):
        await ask(*command)
    if not users.retiring:
        if cut_off is None:
            return
        await cut_off()
    await ask(*users.note(search=search))
    log.info("Redis has its users", extra={"search": search, "retiring": len(users.retiring)})


async def end_stragglers(ask: Ask, addresses: Collection[str]) -> tuple[int, int]:
    """End connections of the crew, as Redis lets a client stay whose password is gone. Raises as `bring`.

    All that come from nowhere of these addresses; where none comes from there, as through a proxy, an address says
    nothing, and none is ended. Of those that do come from the crew's pods, which may be from before the pod took up the
    new password, each that is doing nothing or waits for news, which is asked for again: no kickoff fails for it.

    Returns:
        How many were somebody else's, and how many the crew's own.
    """
    listed = await ask("CLIENT", "LIST", "TYPE", "NORMAL")
    found = _CLIENT.finditer(listed) if isinstance(listed, str) else []
    crews = [one for one in found if one["user"] == CREW]
    strangers = [one for one in crews if one["address"].strip("[]") not in addresses]
    if len(strangers) == len(crews):
        return 0, 0
    spare = [one for one in crews if one not in strangers and _may_be_ended(one)]
    for one in (*strangers, *spare):
        await ask("CLIENT", "KILL", "ID", one["id"])
    return len(strangers), len(spare)


def _may_be_ended(client: re.Match[str]) -> bool:
    if client["multi"] != "-1" or client["watch"] not in (None, "0"):  # not said by a Redis before 7.4
        return False
    if "b" in client["flags"]:
        return client["command"] == "xread"
    return int(client["idle"]) >= _IDLE


async def _holds(ask: Ask, question: Command) -> bool:
    try:
        return await ask(*question) == "OK"
    except ErrorReply:
        return False  # it knows no such user, or no such command
