"""Rows -> the table on the screen, the page in docs/ and the JSON beside it."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from faults.matrix.figures import Row, Told

HEAD = ("Fault", "Accepted", "Lost", "Twice", "Forgotten", "Reported after", "False Ready", "Recovery",
        "Reported as", "Ended otherwise")  # fmt: skip
_INTRODUCTION = """<!-- Made by `make faults`; do not edit. -->

# The fault matrix

Each fault of [failure-modes.md](failure-modes.md) under load: {clients} clients ask a crew of two replicas all the
time, through its HTTP API, on the [local cluster](local-cluster.md) with real processes. The same figures as JSON:
[fault-matrix.json](fault-matrix.json). One row alone: `make faults FAULTS='redis-killed flushall'`; every row with the
operator killed or stopped meanwhile: `OPERATOR=killed` or `OPERATOR=stopped`.

| Column | |
|---|---|
| Accepted | kickoffs whose id a client was given |
| Lost | of those: never ended, or unknown afterwards |
| Twice | of those: completed more than once, as Redis noted it, or with more side effects than attempts |
| Forgotten | memories of completed kickoffs that are not in their session any more |
| Reported after | seconds until a condition of `kubectl describe crew` showed it; – where nothing need be reported |
| False Ready | seconds in which `Ready` was True while a client had not been served for 10 s |
| Recovery | seconds until all was well for good: from the fault, or from its end where it lasts for a given time |
| Reported as | the condition that showed it first |
| Ended otherwise | kickoffs that did not complete, by reason; `again`: side effects that a second attempt repeated |

**Bold**: what should not be. A row with † takes the only copy of something away: that is lost, and has to be reported.

"""


def cells(row: Row) -> tuple[str, ...]:
    """A row's cells, in the order of `HEAD`."""
    name = f"{row.name}{' †' if row.destroys else ''}"
    if row.skipped:
        return (name, "not run: " + row.skipped, *[""] * (len(HEAD) - 2))
    if row.trouble and not row.accepted:
        return (name, f"**{row.trouble}**", *[""] * (len(HEAD) - 2))
    after = "–" if row.told is None else f"{row.told.seconds:.1f}"
    if row.expected and (row.told is None or row.late):
        after = f"**{'never' if row.told is None else after}**"
    otherwise = [f"{count} {reason}" for reason, count in sorted(row.failed.items())]
    otherwise += [f"{row.repeated} again"] if row.repeated else []
    otherwise += [f"**{row.trouble}**"] if row.trouble else []
    return (
        name,
        str(row.accepted),
        _bad(row.lost, harmless=row.destroys),
        _bad(row.twice),
        _bad(row.forgotten, harmless=row.destroys),
        after,
        f"**{row.false_ready:.1f}**" if row.false_ready >= 1 else f"{row.false_ready:.0f}",
        f"{row.recovery:.1f}",
        row.told.what if row.told else "",
        ", ".join(otherwise),
    )


def _bad(count: int, *, harmless: bool = False) -> str:
    return f"**{count}**" if count and not harmless else str(count)


def line(row: Row) -> str:
    """One line for the screen."""
    return columns([cell.replace("*", "") for cell in cells(row)])


def columns(cells: Sequence[str]) -> str:
    """Side by side."""
    widths = (34, 9, 5, 6, 10, 11, 12, 9, 36, 0)
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def page(rows: Iterable[Row], clients: int, note: str) -> str:
    """docs/fault-matrix.md."""
    text = _INTRODUCTION.replace("{clients}", str(clients)) + note + "\n"
    for section, group in groupby(rows, key=lambda row: (row.section, row.redis)):
        listed = list(group)
        text += f"\n## {section[0]}" + (f" ({section[1]})" if section[1] not in section[0] else "") + "\n\n"
        lines = [(name, row.what, *rest) for row in listed for name, *rest in [cells(row)]]
        text += _table((HEAD[0], "What is done", *HEAD[1:]), lines)
    return text


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def dump(rows: Iterable[Row], **about: Any) -> str:
    """docs/fault-matrix.json."""
    listed = [{**dataclasses.asdict(row), "failures": row.failures} for row in rows]
    return json.dumps({**about, "rows": listed}, indent=1) + "\n"


def load(path: Path) -> list[Row]:
    """What was dumped there; empty when nothing was."""
    if not path.exists():
        return []
    found = json.loads(path.read_text())["rows"]
    for one in found:
        del one["failures"]
        one["told"] = one["told"] and Told(**one["told"])
    return [Row(**one) for one in found]
