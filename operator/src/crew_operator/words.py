"""What others said, made fit to be shown: cut, and nothing in it that a terminal would obey."""

from typing import Final

MOST: Final = 300
"""Characters of one quotation."""


def quoted(text: str, most: int = MOST, *, lines: bool = False) -> str:
    """`text` as one line, or with its `lines` kept, of at most `most` characters. Never raises.

    Control characters, ESC and what turns the direction of writing become blanks, as do halves of character pairs.
    """
    seen = text[: 4 * most]  # the rest would be cut in any case
    kept = "\n" if lines else ""
    clean = "".join(one if one.isprintable() or one in kept else " " for one in seen)
    clean = clean.strip() if lines else " ".join(clean.split())
    return clean if len(clean) <= most else f"{clean[: most - 3]}..."
