"""Which passwords a managed Redis takes: those in its Secret, and the earlier ones of pods that still run.

The user writes the crew's password and the operator notes, in the Secret's file of users, which ones hold. So a new one
is added first; when Redis takes it, it is handed on to the replicas, by a key of the Secret that they have mounted; and
what none of them uses any more is taken back at last. An operator that dies in between finds in the Secret how far it
was.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from crew_operator.desired.redis_users import CREW, OPERATOR, RedisUsers, digest
from crew_runtime.contract import resource
from crew_runtime.contract.reasons import Reason

_VERSION: Final = re.compile(r"[0-9a-z]{1,64}", re.ASCII)
_VERSION_LENGTH: Final = 16
MAX_RETIRING: Final = 4
"""Earlier passwords that hold at once; pods of one from before those were to be replaced four times already."""


@dataclass(frozen=True)
class Found:
    """What the Secret holds; empty where it has no such key, or is not there."""

    crew_password: str = ""
    operator_password: str = ""
    configuration: str = ""
    """The file of users."""
    replica_password: str = ""
    replica_version: str = ""


def decide(
    key_prefix: str,
    found: Found,
    last: RedisUsers | None,
    *,
    rolled_out: bool,
    make: Callable[[], str],
    taken: Collection[str] = (),
    due: bool = False,
) -> RedisUsers:
    """The users as they should be.

    Args:
        last: as this process knew them last; None: not at all.
        rolled_out: every pod of the crew uses what the Secret holds.
        make: a new password.
        taken: SHA-256 of passwords of the crew that the Redis that runs is known to take.
        due: the crew's password is to be replaced, once nothing is left to do for the last one.
    """
    noted = resource.accepted(found.configuration)
    crew_password = found.crew_password or make()
    held = noted.get(CREW) or (last.accepted if last is not None else ())
    current = digest(crew_password)
    if due and held == (current,) and current in taken and found.replica_password == crew_password:
        crew_password = make()
        current = digest(crew_password)
    replica_password = _handed_on(found, crew_password, held, taken)
    # An operator that has not noted this password yet has given it to no pod.
    over = rolled_out and held[:1] == (current,) and found.replica_password in ("", crew_password)
    retiring = () if over else tuple(one for one in held if one != current)[:MAX_RETIRING]
    if (used := digest(replica_password)) not in (current, *retiring):
        retiring = (*retiring[: MAX_RETIRING - 1], used)
    known = replica_password == found.replica_password and _VERSION.fullmatch(found.replica_version)
    return RedisUsers(
        key_prefix,
        crew_password,
        _own(found, noted.get(OPERATOR, ()), last) or make(),
        retiring,
        replica_password,
        found.replica_version if known else make()[:_VERSION_LENGTH],
    )


def step(before: tuple[str, ...], now: tuple[str, ...]) -> Reason | None:
    """What it means that Redis takes other passwords than when it was last seen: their SHA-256, the current one first;
    empty where nothing is known."""
    if not before or not now:
        return None
    if now[0] != before[0]:
        return Reason.REDIS_PASSWORD_CHANGED
    return Reason.REDIS_PASSWORD_ROTATED if len(now) == 1 < len(before) else None


def is_due(every: float, changed: float, now: float) -> bool:
    """Whether a password has come of age. `every` in seconds, the others in Unix seconds. A time to come, by a clock
    that was wrong or somebody's hand, would put it off for ever."""
    return now - changed >= every or changed - now > every


def _handed_on(found: Found, crew_password: str, held: tuple[str, ...], taken: Collection[str]) -> str:
    """A new password once Redis takes it: the replicas may read it at once, and would be refused. What somebody else
    wrote there, which Redis never took, is none."""
    if digest(found.replica_password) not in held or digest(crew_password) in taken:
        return crew_password
    return found.replica_password


def _own(found: Found, noted: tuple[str, ...], last: RedisUsers | None) -> str:
    """The operator's own: nobody else's to change, as a server that runs knows it by the old one alone."""
    if found.operator_password and noted == (digest(found.operator_password),):
        return found.operator_password
    if last is not None and noted in ((), (digest(last.operator_password),)):
        return last.operator_password
    return found.operator_password
