"""What every part takes for the URL of a Redis; what is wrong with one is said without a piece of it. Pure."""

import string
from typing import Final
from urllib.parse import SplitResult, urlsplit

SHAPE: Final = "redis[s]://[user[:password]@]host:port[/db]"
ENCODED: Final = "with user and password percent-encoded (%2F for /, %3A for :, %40 for @, %23 for #, %3F for ?)"
_HOST_CHARACTERS: Final = frozenset(string.ascii_letters + string.digits + "-._:%")


def split(url: str) -> SplitResult | None:
    """Its parts, of which host and port can be asked; None where they are not what its author meant: of a password that
    is not percent-encoded and has a / or ? in it, what comes before that would be told as the host and its port.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # its own words quote what they stumbled over
        return None
    usable = (
        parts.scheme in ("redis", "rediss")
        and bool(host)
        and _HOST_CHARACTERS.issuperset(host)
        and port != 0
        and url.isprintable()
        and "#" not in url
        and "@" not in f"{parts.path}{parts.query}"
    )
    return parts if usable else None
