"""What the command line calls a place -> what is meant. Pure.

`./folder`, `/a/folder`, `lancedb:[folder]` a LanceDB folder; `redis:PREFIX` a store under a key prefix; anything else
the name of a CrewDeployment.
"""

import re
from dataclasses import dataclass
from typing import Final

from crew_runtime.contract import moving, redis_url
from crew_runtime.contract.moving import Place
from crewctl.errors import UsageError

LANCEDB: Final = "lancedb:"
REDIS: Final = "redis:"
SYNTAX: Final = "a folder (./memory, or lancedb: for CrewAI's own), redis:KEY_PREFIX, or a CrewDeployment's name"
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Crew:
    """A CrewDeployment, whose place the cluster knows."""

    name: str


def read(word: str, url: str, url_name: str, ca: str, embedder: str) -> Place | Crew:
    """What a word means. Raises UsageError.

    Args:
        url: of the Redis that `redis:` means; empty: nobody said.
        url_name: what it is said by.
        ca: PEM file to verify that Redis with.
        embedder: what the vectors of a folder were made with.
    """
    if word.startswith(REDIS):
        return _store(word.removeprefix(REDIS), url, url_name, ca)
    if word.startswith(LANCEDB):
        return Place(moving.FOLDER, path=word.removeprefix(LANCEDB), embedder=embedder)
    if "/" in word or word in (".", ".."):
        return Place(moving.FOLDER, path=word, embedder=embedder)
    if _NAME.fullmatch(word):
        return Crew(word)
    raise UsageError(f"{word!r} is no place of memories: name {SYNTAX}")


def _store(prefix: str, url: str, url_name: str, ca: str) -> Place:
    if prefix.startswith("//"):
        raise UsageError(
            f"say by the variable {url_name} where Redis is, not on the command line, where every user of the machine "
            "sees its password; and name the place redis:KEY_PREFIX"
        )
    if not prefix or set(prefix) & set("{} \n"):
        raise UsageError(
            "redis: needs a key prefix without braces and blanks behind it: redis:NAMESPACE/NAME of the crew"
        )
    if not url:
        raise UsageError(f"say by the variable {url_name} where Redis is: {redis_url.SHAPE}")
    if redis_url.split(url) is None:
        raise UsageError(f"the URL in {url_name} is none: {redis_url.SHAPE}, {redis_url.ENCODED}")
    return Place(moving.REDIS, url=url, key_prefix=prefix, ca_file=ca)
