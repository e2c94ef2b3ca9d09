"""What an error says that Redis answers: one classification for the operator and both halves of the runtime.

Redis begins an error with a word of its own (redis/src/server.c, `createSharedObjects`). Older versions wrote some
of them as `ERR` and a text, and before 7.0 what a script ran into behind the place in it. The kinds are of
`BackendReason`; the halves report `Loading` as `Refused`.
"""

import re
from typing import Final

from crew_runtime.contract.replica_reasons import BackendReason

_BY_WORD: Final = {
    "NOAUTH": BackendReason.AUTH_FAILED,
    "WRONGPASS": BackendReason.AUTH_FAILED,
    "NOPERM": BackendReason.AUTH_FAILED,
    "DENIED": BackendReason.AUTH_FAILED,
    "OOM": BackendReason.OUT_OF_MEMORY,
    "MISCONF": BackendReason.DISK_FULL,
    "READONLY": BackendReason.READ_ONLY,
    "NOREPLICAS": BackendReason.READ_ONLY,
    "MASTERDOWN": BackendReason.READ_ONLY,
    "LOADING": BackendReason.LOADING,
    "BUSY": BackendReason.ERROR,
}
_BY_START: Final = {
    "ERR invalid password": BackendReason.AUTH_FAILED,
    "ERR invalid username-password": BackendReason.AUTH_FAILED,
    "ERR Client sent AUTH": BackendReason.AUTH_FAILED,
    "ERR AUTH": BackendReason.AUTH_FAILED,
    "ERR Authentication required": BackendReason.AUTH_FAILED,
    "ERR max number of clients": BackendReason.ERROR,
    "ERR DB index": BackendReason.ERROR,
}
_IN_A_SCRIPT: Final = re.compile(r"ERR Error running script .{0,200}?@user_script: ?\d+: -?([A-Z]+) ")
_IN_A_PIPELINE, _CAUSED = "Command # ", " of pipeline caused error: "
"""What redis-py writes before an error of a pipeline, with the command between the two."""
QUOTES: Final = "Protocol Error"
"""How redis-py begins what it says of an answer that it cannot read, and goes on with the answer (redis-py 8.1)."""
MOST: Final = 500
"""Characters of what a peer says that go into a message."""
_WITH: Final = ", with args beginning with"
_ECHO: Final = re.compile(rf"{_WITH}|\bAUTH\b(?: <password> called\b[^,]*|, but no password is set\b|['`\"])?")
"""Behind it, a server or proxy that does not know a command repeats its arguments. redis-py greets with
`HELLO 3 AUTH default <password>`; the password stands behind `AUTH` in whatever form that is repeated."""


def kind(text: str) -> BackendReason | None:
    """The kind of an error by its whole text; None when it is none that only Redis answers."""
    inside = _IN_A_SCRIPT.match(text)
    known = _BY_WORD.get(inside.group(1) if inside else text.partition(" ")[0])
    return known or next((one for start, one in _BY_START.items() if text.startswith(start)), None)


def kind_of_reply(text: str, word: str | None) -> BackendReason:
    """The kind of an error that redis-py raised: it takes the first word off those that it has a class for, and
    keeps it as `status_code`. `Error` for any other."""
    text = _without_pipeline(text)
    return kind(f"{word} {text}" if word else text) or BackendReason.ERROR


def without_arguments(text: str) -> str:
    """`text` up to where it may repeat what it was asked: the password of the greeting was asked."""
    found = _ECHO.search(text)
    if found is None or found.end() == len(text):
        return text  # an error that redis-py knows by its whole text among them
    return f"{text[: found.end()].removesuffix(_WITH)} ..."


def shown(text: str) -> str:
    """What of an error may stand in a message, for everybody to read: nothing that it was asked, nothing that a
    terminal obeys, and not more than `MOST` characters and an ellipsis."""
    text = without_arguments(_without_pipeline(text[: 1 << 16]))
    clean = " ".join("".join(one if one.isprintable() else " " for one in text[: 4 * MOST]).split())
    return clean if len(clean) <= MOST else f"{clean[:MOST]}..."


def _without_pipeline(text: str) -> str:
    """Without the command that redis-py writes before it, which holds what somebody stores."""
    return text.rpartition(_CAUSED)[2] if text.startswith(_IN_A_PIPELINE) else text
