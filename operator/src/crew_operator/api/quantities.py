"""Kubernetes' quantities and durations as numbers.

The form is ours in any case: the schema has it as a pattern, what is too long has to be refused unread, and the two
libraries at hand take more. `kubernetes.utils.parse_quantity` reads `NaN`, `1_000`, `1K`, -1 and `1e999999999`;
`durationpy` reads `1h, 30m`, in which only the ends are looked at, days, months of 30 of them and negative times. What
they would do behind that is a multiplication by a table, for which this room, that does no IO, would import the
client of the API server. Where both take a text, a test holds that they read it alike.
"""

import re
from decimal import Decimal
from typing import Any, Final

from crew_operator.api.fields import matches

MAX_LENGTH: Final = 32
"""Characters of a quantity or duration: what is longer is refused unread, since reading it may take minutes."""
QUANTITY_PATTERN: Final = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?$"
"""As Kubernetes has them, `1e9` included, but without a sign: nothing here can be negative."""
DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
PERCENT_PATTERN: Final = r"^([1-9][0-9]?|100)%$"

MAX_QUANTITY: Final = 2**63 - 1
"""Kubernetes has no larger one."""
LEAST_DURATION: Final = "1s"
MOST_DURATION: Final = "876000h"
"""A hundred years: what CEL, Redis and the runtime can still add to a time."""

_NUMBER = re.compile(r"[0-9.]+(?:[eE][+-]?[0-9]+)?")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS: Final = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_FACTOR: Final = {
    "": Decimal(1),
    **{unit: Decimal(1000) ** -power for power, unit in enumerate(("m", "u", "n"), 1)},
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}


def quantity(given: Any) -> Decimal:
    """`512Mi` -> 536870912, `1e9`, 5 or 0.5 as they are. Raises ValueError on what is no quantity, or too large."""
    text = _text(given)
    if text is None or not matches(QUANTITY_PATTERN, text):
        raise ValueError("that is no quantity such as 512Mi or 5Gi")
    end = _number_end(text)
    found = Decimal(text[:end]) * _FACTOR[text[end:]]
    if found > MAX_QUANTITY:
        raise ValueError("that is more than Kubernetes can count")
    return found


def is_some(given: Any) -> bool:
    """A quantity above nothing. False for what is none."""
    try:
        return quantity(given) > 0
    except ValueError:
        return False


def seconds(text: str) -> float:
    """`1h30m` -> 5400.0. Raises ValueError on what is no duration."""
    if len(text) > MAX_LENGTH or not matches(DURATION_PATTERN, text):
        raise ValueError("that is no duration such as 90s, 30m or 720h")
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text)))


def lasts(text: str, least: str = LEAST_DURATION, most: str = MOST_DURATION) -> bool:
    """A duration of a length that can be worked with. False for what is none."""
    try:
        return seconds(least) <= seconds(text) <= seconds(most)
    except ValueError:
        return False


def percent(text: str) -> int:
    """`75%` -> 75. Raises ValueError."""
    if not matches(PERCENT_PATTERN, text):
        raise ValueError("that is no percentage from 1% to 100%")
    return int(text[:-1])


def _text(given: Any) -> str | None:
    """None when it is none, or too long to be read: to write a large number down takes as long."""
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return None
    if isinstance(given, int) and abs(given) > MAX_QUANTITY:
        return None
    text = str(given)
    return text if len(text) <= MAX_LENGTH else None


def _number_end(text: str) -> int:
    """Where the unit begins: `1E` is an exa, `1E3` a thousand."""
    found = _NUMBER.match(text)
    return found.end() if found is not None else 0
