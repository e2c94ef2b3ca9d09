"""What lies in the folder `env.REDIS_CREDENTIALS`: the password that Redis takes from replicas, and which one it is.

The folder is a Secret's volume that the kubelet writes anew while the replica runs, both files at once. A reader takes
the version first: the password that it then finds is that one or a later one.
"""

import re
from typing import Final

PASSWORD: Final = "password"  # noqa: S105 - a file's name
VERSION: Final = "version"
LONGEST: Final = 4096
"""Bytes of either that are read."""
_VERSION: Final = re.compile(r"[0-9a-z-]{1,64}", re.ASCII)


def password(raw: bytes) -> str:
    """Without the newline behind it; empty: there is none that could be used."""
    try:
        return raw.decode().strip() if len(raw) <= LONGEST else ""
    except UnicodeDecodeError:
        return ""


def version(text: str) -> str:
    """The version, a random word that tells nothing of the password; empty: it is none."""
    text = text.strip()
    return text if _VERSION.fullmatch(text) else ""
