"""Areas of a crew's memory, as the first segment of the scopes in the store. Pure.

CrewAI sees logical scopes (`/crew/concierge/guests`); the store holds them below the area that they belong to:
`/c` is shared by the whole crew, `/s/<session>` belongs to one session, `/p` holds proofs, which no recall ever sees.
"""

from dataclasses import dataclass

from crew_runtime.contract import sessions

CREW_WIDE_SEGMENT = "@crew"
"""A kickoff that wants to tell all sessions something remembers it below a scope with this segment."""


@dataclass(frozen=True)
class Areas:
    """What one piece of work sees."""

    own: str
    """Physical root of what it writes."""
    seen: tuple[str, ...]
    """Physical roots of what it reads; `own` is one of them."""
    session: str | None = None


CREW = Areas("/c", ("/c",))
PROOF = Areas("/p", ("/p",))


def of_session(session_id: str) -> Areas:
    """A session's own memories and the crew's shared ones."""
    own = sessions.stored_root(sessions.segment(session_id))
    return Areas(own, (own, CREW.own), session_id)


def to_store(areas: Areas, scope: str) -> str:
    """Where a record with this logical scope is written."""
    root = areas.own
    if areas.session is not None and CREW_WIDE_SEGMENT in scope.split("/"):
        root = CREW.own
    return join(root, scope)


def to_crewai(stored: str) -> str:
    """The logical scope of a stored one."""
    parts = stored.split("/")
    return "/" + "/".join(parts[3:] if parts[1:2] == ["s"] else parts[2:])


def seen_roots(areas: Areas, prefix: str | None) -> tuple[str, ...]:
    """The stored scopes below which a logical prefix is looked for."""
    return tuple(join(root, prefix or "/") for root in areas.seen)


def visible(areas: Areas, stored: str) -> bool:
    """Whether a record of this stored scope may be touched at all."""
    return any(within(stored, root) for root in areas.seen)


def within(scope: str, root: str) -> bool:
    """Path-aware: `/s/1` holds `/s/1/a` and not `/s/10`."""
    return root == "/" or scope == root or scope.startswith(root + "/")


def path(scope: str | None) -> str:
    """A logical scope as a path: `crew//x/` -> `/crew/x`; none is `/`."""
    return join("", scope or "/") or "/"


def join(root: str, scope: str) -> str:
    """`/c` and `crew//x/` -> `/c/crew/x`; the store knows no double and no trailing slashes."""
    return "/".join([root, *(part for part in scope.split("/") if part)])
