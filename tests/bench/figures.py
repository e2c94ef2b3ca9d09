"""A figure of the bench: a value beside its rival's, and the aim it is held to. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    name: str
    value: float
    unit: str
    rival: float | None = None
    rival_name: str = ""
    aim: str = ""
    """In words, e.g. `<= 1.5 x`; empty: no aim, shown for context."""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Value by rival."""
        return self.value / self.rival if self.rival else None


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def as_json(figures: Sequence[Figure], machine: dict[str, Any]) -> dict[str, Any]:
    """What build/bench.json holds."""
    aims = [
        {"name": one.name, "value": one.value, "unit": one.unit, "aim": one.aim, "met": one.met}
        for one in figures
        if one.aim
    ]
    return {"aims": aims, "figures": [{**asdict(one), "ratio": one.ratio} for one in figures], "machine": machine}
