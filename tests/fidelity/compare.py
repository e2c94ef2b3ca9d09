"""Two observations of a case -> the differences between them. Pure."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fidelity.model import Case, Differs

UUID = re.compile(r"\b[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}\b")
MEASURED = ("last_call_duration", "total_duration")


@dataclass(frozen=True)
class Difference:
    """What one side has and the other has not; `where` as in `Differs`."""

    where: str
    bare: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.where}: bare {_short(self.bare)}, ours {_short(self.ours)}"


def differences(case: Case, bare: Any, ours: Any) -> list[Difference]:
    """Those that the case does not declare, and those that it declares and that are not there. Of a step of several
    rounds each is compared with the bare one; kickoffs at once that are alike may have swapped their results.
    """
    if case.shows not in json.dumps(bare, ensure_ascii=False):
        return [Difference("bare", bare, f"it should show {case.shows!r}")]
    found: list[Difference] = []
    for number, (once, rounds) in enumerate(zip(bare, ours, strict=True)):
        expected = [normal(one, case) for one in once[0]]
        for count, one_round in enumerate(rounds):
            got = [normal(one, case) for one in one_round]
            for difference in _round(str(number), expected, got):
                prefix = f"round {count}: " if len(rounds) > 1 else ""
                found.append(Difference(prefix + difference.where, difference.bare, difference.ours))
    declared = {one.where: one for one in case.differs}
    left = [one for one in found if not _declared(one, declared.pop(one.where, None))]
    return left + [Difference(one.where, one.bare, "as bare, though declared to differ") for one in declared.values()]


def normal(seen: dict[str, Any], case: Case) -> dict[str, Any]:
    """Without what differs between any two runs: ids, and random notes of which only the number of distinct counts."""
    if "notes" in seen:
        notes = [UUID.sub("<uuid>", one) if not case.distinct else one for one in seen["notes"]]
        return {"distinct notes": len(set(notes)), "of": len(notes)} if case.distinct else {"notes": notes}
    return {key: one for key, one in dict(_plain(seen)).items() if case.steady_usage or key != "usage"}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if key not in MEASURED}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return UUID.sub("<uuid>", value) if isinstance(value, str) else value


def _round(number: str, bare: list[dict[str, Any]], ours: list[dict[str, Any]]) -> Iterator[Difference]:
    for index, (one, other) in enumerate(zip(bare, ours, strict=True)):
        place = f"{number}.{index}"
        if "notes" in one or "of" in one:
            yield from _notes(f"{number}.notes", one, other)
        elif one["status"] == "completed" != other["status"] and "error" in other and "output" in other:
            # It ended so after the crew had: what the crew gave is there, and compared.
            yield Difference(f"{place}.status", "completed", f"{other['status']}, {other['error']['reason']}")
            yield from _results(place, one, other)
        elif one["status"] != other["status"]:
            yield Difference(f"{place}.status", one, other)
        elif one["status"] == "error":
            yield from _error(f"{place}.error", one["error"], other["error"])
        else:
            yield from _results(place, one, other)


def _results(place: str, bare: dict[str, Any], ours: dict[str, Any]) -> Iterator[Difference]:
    for key in sorted({*bare, *ours} - {"status", "error"}):
        bare_value, our_value = bare.get(key), ours.get(key)
        if key == "output":
            our_value = _as(bare_value, our_value)
        yield from _values(f"{place}.{key}", bare_value, our_value)


def _notes(where: str, bare: dict[str, Any], ours: dict[str, Any]) -> Iterator[Difference]:
    if bare == ours:
        return
    if "of" in bare:
        yield Difference(where, bare, ours)
        return
    missing, extra = list(bare["notes"]), []
    for one in ours["notes"]:
        if one in missing:
            missing.remove(one)
        else:
            extra.append(one)
    yield Difference(where, missing, extra)


def _error(where: str, bare: dict[str, Any], ours: dict[str, Any]) -> Iterator[Difference]:
    """Ours has to name the exception's type and its message."""
    text = _words(str(ours["text"]))
    if bare["type"] not in text or _words(bare["message"]) not in text:
        yield Difference(where, bare, ours)


def _words(text: str) -> str:
    return " ".join(text.split())


def _values(where: str, bare: Any, ours: Any) -> Iterator[Difference]:
    if isinstance(bare, dict) and isinstance(ours, dict):
        for key in sorted({*bare, *ours}):
            yield from _values(f"{where}.{key}", bare.get(key), ours.get(key))
    elif isinstance(bare, list) and isinstance(ours, list) and len(bare) == len(ours):
        for index, (one, other) in enumerate(zip(bare, ours, strict=True)):
            yield from _values(f"{where}.{index}", one, other)
    elif bare != ours:
        yield Difference(where, bare, ours)


def _as(bare: Any, ours: Any) -> Any:
    """Our output is text: what a flow returned that is no text is in it as JSON, and nothing as no text."""
    if bare is None:
        return None if ours == "" else ours
    if isinstance(bare, str) or not isinstance(ours, str):
        return ours
    try:
        return json.loads(ours)
    except ValueError:
        return ours


def _declared(seen: Difference, promised: Differs | None) -> bool:
    return promised is not None and (promised.bare, promised.ours) == (seen.bare, seen.ours)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 400 else f"{text[:400]}..."
