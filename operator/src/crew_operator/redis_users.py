"""Brings the users of a managed Redis that runs to what they should be; asks two questions where they are."""

import logging
from collections.abc import Awaitable, Callable

from crew_operator.desired.redis_users import HAS_SEARCH, Command, RedisUsers
from crew_operator.resp import ErrorReply

Ask = Callable[..., Awaitable[str | int | None]]
"""Asks a command of the server as the operator. Raises ErrorReply for an error that Redis answered."""

log = logging.getLogger(__name__)


async def bring(ask: Ask, users: RedisUsers) -> None:
    """Raises ErrorReply when the server does not take the users, and what `ask` raises."""
    search = await _holds(ask, HAS_SEARCH)
    if await _holds(ask, users.question(search=search)):
        return
    for command in users.update(search=search):
        await ask(*command)
    log.info("Redis has its users", extra={"search": search})


async def _holds(ask: Ask, question: Command) -> bool:
    try:
        return await ask(*question) == "OK"
    except ErrorReply:
        return False  # it knows no such user, or no such command
