"""Areas of a crew's memory, as the first segment of the scopes in the store. Pure.

CrewAI sees logical scopes (`/crew/concierge/guests`); the store holds them below the area that they belong to:
`/c` is shared by the whole crew, `/s/<session>` belongs to one session, `/p` holds proofs, which no recall ever sees.
"""

from dataclasses import dataclass, replace

from crew_runtime.contract import sessions

CREW_WIDE_SEGMENT = "@crew"
"""In a scope that the crew's own code passes: what all sessions share. It selects an area and is no part of a path: the
store holds no scope with it, and nothing shows it. From anybody else it means nothing."""


@dataclass(frozen=True)
class Areas:
    """What one piece of work sees."""

    own: str
    """Physical root of what it writes."""
    seen: tuple[str, ...]
    """Physical roots of what it reads; `own` is one of them."""
    session: str | None = None


@dataclass(frozen=True)
class Asking:
    """What is known of who asked CrewAI's memory for something."""

    crew_wide: bool
    """The crew's own code named the crew in the scope or the root scope that it passed."""
    planned: bool = False
    """An LLM says what becomes of similar records."""
    shares: bool = False
    """The crew's own code makes a record the crew's that there is already."""


CREW = Areas("/c", ("/c",))
PROOF = Areas("/p", ("/p",))


def of_session(session_id: str) -> Areas:
    """A session's own memories and the crew's shared ones."""
    own = sessions.stored_root(sessions.segment(session_id))
    return Areas(own, (own, CREW.own), session_id)


def names_crew(scope: str | None) -> bool:
    """Whether a logical scope has the crew's segment."""
    return scope is not None and CREW_WIDE_SEGMENT in scope.split("/")


def reached(areas: Areas, asking: Asking | None) -> Areas:
    """What is written, and what of it is compared.

    An LLM's plan stays in the area that is written: it sees no other's records, and can ask for no change of them.
    """
    if asking is None:
        return areas
    if asking.crew_wide and areas.session is not None:
        return CREW
    return _own(areas) if asking.planned else areas


def changed(areas: Areas, asking: Asking | None) -> Areas:
    """Where a record that is there may be changed or deleted by its id: what is shared by the crew's own code only."""
    return _own(areas) if asking is None else reached(areas, asking)


def _own(areas: Areas) -> Areas:
    return replace(areas, seen=(areas.own,))


def to_store(areas: Areas, scope: str) -> str:
    """Where a record with this logical scope is written."""
    return join(areas.own, scope)


def to_crewai(stored: str) -> str:
    """The logical scope of a stored one."""
    parts = stored.split("/")
    return "/" + "/".join(parts[3:] if parts[1:2] == ["s"] else parts[2:])


def seen_roots(areas: Areas, prefix: str | None) -> tuple[str, ...]:
    """The stored scopes below which a logical prefix is looked for; with the crew's segment what is shared, alone."""
    shared = names_crew(prefix) and CREW.own in areas.seen
    return tuple(join(root, prefix or "/") for root in ((CREW.own,) if shared else areas.seen))


def visible(areas: Areas, stored: str) -> bool:
    """Whether a record of this stored scope may be touched at all."""
    return any(within(stored, root) for root in areas.seen)


def within(scope: str, root: str) -> bool:
    """Path-aware: `/s/1` holds `/s/1/a` and not `/s/10`."""
    return root == "/" or scope == root or scope.startswith(root + "/")


def path(scope: str | None) -> str:
    """A logical scope as it is shown: `crew//x/` -> `/crew/x`, `/@crew/x` -> `/x`; none is `/`."""
    return join("", scope or "/") or "/"


def asked(scope: str | None) -> str:
    """A logical scope as it was asked for: `crew//x/` -> `/crew/x`, `/@crew//x` -> `/@crew/x`; none is `/`."""
    return "/" + "/".join(part for part in (scope or "").split("/") if part)


def join(root: str, scope: str) -> str:
    """`/c` and `crew//x/` -> `/c/crew/x`; the store knows no double and no trailing slashes, and no crew's segment."""
    return "/".join([root, *(part for part in scope.split("/") if part and part != CREW_WIDE_SEGMENT)])
