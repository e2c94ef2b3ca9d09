"""What a terminal is given: texts of others may hold its control sequences, and those are not theirs to give.

A replica's error, a crew's output or a kubectl's answer could otherwise move the cursor over a verdict, rename the
window, or turn words around.
"""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_CONTROLS = {*range(0x20), *range(0x7F, 0xA0)} - {ord("\n"), ord("\t")}
_DIRECTIONS = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_SILENT = dict.fromkeys(_CONTROLS | _DIRECTIONS)


def plain(text: str) -> str:
    """Without control characters (but line feeds and tabs) and without those that turn the direction of a text."""
    return text.translate(_SILENT)


class PlainConsole(Console):
    """Shows any text as `plain` and as no markup; styles are ours and stay."""

    def __init__(self, **options: Any) -> None:
        """As rich's."""
        super().__init__(markup=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does it; what rich itself means for the terminal is marked so."""
        for one in super().render(renderable, options):
            yield one if one.control else Segment(plain(one.text), one.style)
