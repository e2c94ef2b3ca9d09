"""What an error says that Redis answers: one classification for the operator and both halves of the runtime.

Redis begins an error with a word of its own (redis/src/server.c, `createSharedObjects`). Older versions wrote some
of them as `ERR` and a text, and before 7.0 what a script ran into behind the place in it. The kinds are those of
`contract.report.BackendHealth.reason`, and `Loading`, which the halves report as `Refused`.
"""

import re
from typing import Final

AUTH_FAILED: Final = "AuthFailed"
OUT_OF_MEMORY: Final = "OutOfMemory"
DISK_FULL: Final = "DiskFull"
READ_ONLY: Final = "ReadOnly"
LOADING: Final = "Loading"
ERROR: Final = "Error"

_BY_WORD: Final = {
    "NOAUTH": AUTH_FAILED,
    "WRONGPASS": AUTH_FAILED,
    "NOPERM": AUTH_FAILED,
    "DENIED": AUTH_FAILED,
    "OOM": OUT_OF_MEMORY,
    "MISCONF": DISK_FULL,
    "READONLY": READ_ONLY,
    "NOREPLICAS": READ_ONLY,
    "MASTERDOWN": READ_ONLY,
    "LOADING": LOADING,
    "BUSY": ERROR,
}
_BY_START: Final = {
    "ERR invalid password": AUTH_FAILED,
    "ERR invalid username-password": AUTH_FAILED,
    "ERR Client sent AUTH": AUTH_FAILED,
    "ERR AUTH": AUTH_FAILED,
    "ERR Authentication required": AUTH_FAILED,
    "ERR max number of clients": ERROR,
    "ERR DB index": ERROR,
}
_IN_A_SCRIPT: Final = re.compile(r"ERR Error running script .{0,200}?@user_script: ?\d+: -?([A-Z]+) ")
_IN_A_PIPELINE, _CAUSED = "Command # ", " of pipeline caused error: "
"""What redis-py writes before an error of a pipeline, with the command between the two."""


def kind(text: str) -> str | None:
    """The kind of an error by its whole text; None when it is none that only Redis answers."""
    inside = _IN_A_SCRIPT.match(text)
    known = _BY_WORD.get(inside.group(1) if inside else text.partition(" ")[0])
    return known or next((one for start, one in _BY_START.items() if text.startswith(start)), None)


def kind_of_reply(text: str, word: str | None) -> str:
    """The kind of an error that redis-py raised: it takes the first word off those that it has a class for, and
    keeps it as `status_code`. `Error` for any other."""
    if text.startswith(_IN_A_PIPELINE):
        text = text.rpartition(_CAUSED)[2]
    return kind(f"{word} {text}" if word else text) or ERROR
