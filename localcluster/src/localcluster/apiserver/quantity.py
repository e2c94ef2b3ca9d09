"""Kubernetes' quantities: `500m`, `1Gi`, `2e3` -> a Decimal, and whole milli-units.

The Kubernetes client's `parse_quantity` reads what an API server refuses (`NaN`, `1_000`, ` 1`), so the form would be
checked here all the same; and to import it loads 500 modules.
"""

import re
from decimal import Decimal

_SUFFIX = {
    "": Decimal(1),
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3, "M": Decimal(10) ** 6, "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12, "P": Decimal(10) ** 15, "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10, "Mi": Decimal(2) ** 20, "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40, "Pi": Decimal(2) ** 50, "Ei": Decimal(2) ** 60,
}  # fmt: skip
_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")


def parse(text: str | int | float) -> Decimal:
    """The number that a quantity means. Raises ValueError when it is none."""
    found = _FORM.fullmatch(str(text))
    if not found:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, exponent, suffix = found.groups()
    return Decimal(number + exponent) if exponent else Decimal(number) * _SUFFIX[suffix or ""]


def milli(text: str | int | float) -> int:
    """The quantity in thousandths, rounded up. Raises ValueError when it is none."""
    scaled = parse(text) * 1000
    return int(scaled.to_integral_value(rounding="ROUND_CEILING"))
