"""Which server answers at Redis' address, and whether it is one. Pure.

Each process of Redis has a run_id of its own, and never comes back with that of one that ended. Hence one that was not
seen before is a restart or a failover, told once; one that comes back after another means that several answer behind
one address, a balancer or a proxy, which is no restart. What counts then is whether they hold the same data, which the
value of a key of ours names. A server that says no run_id is known by its data alone.
"""

from dataclasses import dataclass, replace
from typing import Final

from crew_operator.status.observed import RedisLook, RedisState

MOST: Final = 16
"""Servers that are remembered; the one that has not answered for longest is forgotten."""
ALONE_AFTER: Final = 30
"""Looks in a row that one server answered, after which it is taken to be the only one."""


@dataclass(frozen=True)
class Servers:
    """Those that have answered."""

    seen: tuple[tuple[str, str], ...] = ()
    """(run_id, name of its data), the last to answer at the end."""
    several: bool = False
    """One came back after another: they live side by side."""
    apart: bool = False
    """And what one holds is not what the other one holds."""
    in_a_row: int = 0
    """Looks that the last one answered."""


def known(run_id: str) -> Servers:
    """What a status that was written before says."""
    return Servers(((run_id, ""),)) if run_id else Servers()


def follow(servers: Servers, look: RedisLook) -> tuple[Servers, bool]:
    """The servers after one more look, and whether it saw a new one in the place of the one before."""
    if look.state is not RedisState.OK or not (look.run_id or look.data_id):
        return servers, False
    one = (look.run_id, look.data_id)
    if not servers.seen:
        return Servers((one,), in_a_row=1), False
    seen = (*(other for other in servers.seen if other[0] != look.run_id), one)[-MOST:]
    last_id, last_data = servers.seen[-1]
    another = bool(last_data and look.data_id and last_data != look.data_id)
    if look.run_id == last_id:
        in_a_row = servers.in_a_row + 1
        if in_a_row >= ALONE_AFTER:
            return Servers((one,), in_a_row=in_a_row), False
        return replace(servers, seen=seen, in_a_row=in_a_row), another and not look.run_id
    if any(look.run_id == other for other, _ in servers.seen):
        return Servers(seen, several=True, apart=another, in_a_row=1), False
    return Servers(seen, servers.several, in_a_row=1), True
