"""Which passwords a managed Redis takes: those in its Secret, and the earlier ones of pods that still run.

The user writes the crew's password and the operator notes, in the Secret's file of users, which ones hold. So a new one
is added first, the crew's pods are rolled with it, and what none of them was made with any more is taken back at last;
an operator that dies in between finds in the Secret how far it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from crew_operator.desired.redis_users import CREW, OPERATOR, RedisUsers, digest
from crew_runtime.contract import resource

MAX_RETIRING: Final = 4
"""Earlier passwords that hold at once; pods of one from before those were to be replaced four times already."""


@dataclass(frozen=True)
class Found:
    """What the Secret holds; empty where it has no such key, or is not there."""

    crew_password: str = ""
    operator_password: str = ""
    configuration: str = ""
    """The file of users."""


def decide(
    key_prefix: str, found: Found, last: RedisUsers | None, *, rolled_out: bool, make: Callable[[], str]
) -> RedisUsers:
    """The users as they should be.

    Args:
        last: as this process knew them last; None: not at all.
        rolled_out: every pod of the crew was made with what the Secret holds.
        make: a new password.
    """
    noted = resource.accepted(found.configuration)
    crew_password = found.crew_password or make()
    held = noted.get(CREW) or (last.accepted if last is not None else ())
    current = digest(crew_password)
    # An operator that has not noted this password yet has made no pod with it.
    retiring = () if rolled_out and held[:1] == (current,) else tuple(one for one in held if one != current)
    return RedisUsers(
        key_prefix, crew_password, _own(found, noted.get(OPERATOR, ()), last) or make(), retiring[:MAX_RETIRING]
    )


def _own(found: Found, noted: tuple[str, ...], last: RedisUsers | None) -> str:
    """The operator's own: nobody else's to change, as a server that runs knows it by the old one alone."""
    if found.operator_password and noted == (digest(found.operator_password),):
        return found.operator_password
    if last is not None and noted in ((), (digest(last.operator_password),)):
        return last.operator_password
    return found.operator_password
