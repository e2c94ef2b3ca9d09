"""JSON in few bytes, for who keeps thousands of objects that are nearly alike. Pure but for the first of each sort.

The first object of a sort is the dictionary by which all others of it are compressed, as zlib provides for: what they
have in common is kept once. Equal data are equal bytes, within one process.
"""

import json
import zlib
from typing import Any, Final

_LEVEL: Final = 1
_WINDOW: Final = 32 * 1024
"""Bytes: what zlib looks back to, and so what it uses of a dictionary."""


class Packer:
    """Packs one sort of objects. `like`: one that is known from the start, and stands for the first."""

    def __init__(self, like: Any = None) -> None:
        self._alike = _text(like)[-_WINDOW:] if like is not None else None

    def pack(self, data: Any) -> bytes:
        """Anything that is JSON."""
        text = _text(data)
        if self._alike is None:
            self._alike = text[-_WINDOW:]
        made = zlib.compressobj(_LEVEL, zdict=self._alike)
        return made.compress(text) + made.flush()

    def unpack(self, data: bytes) -> Any:
        """What was packed by this one."""
        return json.loads(zlib.decompressobj(zdict=self._alike or b"").decompress(data))


def _text(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
