"""What the worker half and the server half agree on about a session in Redis. Pure, standard library only.

The worker writes a session's memories and notes each use; the server lists, exports and erases them without CrewAI.
"""

import json
from typing import Any
from urllib.parse import quote, unquote

AREA = "/s"
"""The area of the sessions' memories: the stored scope of each begins with `/s/<segment>`."""
LOG_LENGTH = 65_536
"""Entries of the change log that are kept."""
SWEEP = 300
"""Records of ended sessions that one step erases: some milliseconds."""
NEVER = 9_999_999_999.0
"""`exp` of every record: older versions compare with it. A record has no end of its own, its session has."""
MARK_SECONDS = 24 * 3600
"""How long the mark of an erased session refuses the writes of work that began before."""


def end(last: float, ttl: float, since: float) -> float | None:
    """When a session ends that was last used at `last`, Unix seconds; None: never.

    Args:
        ttl: seconds that a session lives when it is not used; 0: for ever.
        since: when that was said first; what was idle before has as long from then.
    """
    return round(max(last, since) + ttl, 3) if ttl else None


def segment(session_id: str) -> str:
    """A session's id as one segment of scopes and keys: no slash, no brace, no blank."""
    return quote(session_id, safe="", errors="surrogatepass")


def session_id(of_segment: str) -> str:
    """The reverse."""
    return unquote(of_segment, errors="surrogatepass")


def stored_root(of_segment: str) -> str:
    """The scope below which a session's memories lie; path-aware: `/s/1` does not hold `/s/10`."""
    return f"{AREA}/{of_segment}"


def logical_scope(stored: str) -> str:
    """The scope that CrewAI sees, of one stored below a session's root."""
    return "/" + "/".join(stored.split("/")[3:])


def read_document(raw: bytes) -> dict[str, Any]:
    """A record's field `d` with its members named as CrewAI names them; times are epoch seconds."""
    read = json.loads(raw.decode("utf-8", "surrogatepass"))
    return {
        "content": read["c"],
        "scope": read["s"],
        "categories": read.get("k", []),
        "metadata": read.get("m", {}),
        "importance": read["i"],
        "created_at": read["t"],
        "source": read.get("o"),
        "private": read.get("p", False),
    }
