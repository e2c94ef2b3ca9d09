"""Kubernetes' quantities and durations as numbers, and back."""

import re
from decimal import Decimal
from typing import Final

QUANTITY_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
PERCENT_PATTERN: Final = r"^([1-9][0-9]?|100)%$"

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS: Final = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_FACTOR: Final = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}


def quantity(text: str | int | float) -> Decimal:
    """`512Mi` -> 536870912. Raises ValueError on what is no quantity."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is no quantity such as 512Mi or 5Gi")
    number, unit = match.groups()
    return Decimal(number) * _FACTOR[unit or ""]


def seconds(text: str) -> float:
    """`1h30m` -> 5400.0. Raises ValueError on what is no duration."""
    if re.fullmatch(DURATION_PATTERN, text) is None:
        raise ValueError(f"{text!r} is no duration such as 90s, 30m or 720h")
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text)))


def percent(text: str) -> int:
    """`75%` -> 75. Raises ValueError."""
    if re.fullmatch(PERCENT_PATTERN, text) is None:
        raise ValueError(f"{text!r} is no percentage from 1% to 100%")
    return int(text[:-1])
