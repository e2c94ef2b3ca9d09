"""What a move shows while it goes on, and at its end."""

import io
import json

from crew_runtime.contract.moving import ADVANCED, DONE, STEP, Report
from crewctl.moving import show
from crewctl.screen import PlainConsole

EVENTS = [
    {"event": STEP, "name": "look", "records": None},
    {"event": STEP, "name": "move", "records": 9},
    {"event": ADVANCED, "records": 4},
    {"event": ADVANCED, "records": 7},
    {"event": STEP, "name": "compare", "records": 7},
    {"event": ADVANCED, "records": 7},
    {"event": DONE, "report": {}},
]


def shown(*, terminal: bool) -> str:
    out = io.StringIO()
    with show.progress(PlainConsole(file=out, force_terminal=terminal, width=100)) as bar:
        for event in EVENTS:
            bar(event)
    return out.getvalue()


def test_a_terminal_has_a_bar_for_each_step_and_all_are_full_at_the_end():
    last = shown(terminal=True).rpartition("looking at what is there")[2]
    assert last.count("100%") == 3
    assert last.count("7/7") == 2, "what it came to, which was known at most"


def test_elsewhere_a_step_is_a_line():
    assert shown(terminal=False).splitlines() == [
        "looking at what is there", "moving memories: 9", "comparing both places: 7",
    ]  # fmt: skip


def said(**fields: object) -> list[str]:
    return [line.plain for line in show.lines(Report(**fields), "a", "b")]


def test_all_is_there():
    parts = "1 written, 1 were there already, 1 are there otherwise and were used later: kept (--overwrite)"
    assert said(records=3, written=1, equal=1, kept=1, sampled=2, notes=("so",)) == [
        f"a -> b: 3 memories, {parts}",
        "note: so",
        "Passed: all 3 are there, and 2 samples are found by their own vector.",
    ]


def test_one_is_told_as_one():
    assert said(records=1, written=1, sampled=1) == [
        "a -> b: 1 memory, 1 written",
        "Passed: it is there, and 1 sample is found by its own vector.",
    ]
    assert said(records=0)[-1] == "Passed: all 0 are there."


def test_not_all_is_there():
    report = Report(records=1, written=1, problems=("missing: x",))
    assert said(records=1, written=1, problems=("missing: x",)) == [
        "a -> b: 1 memory, 1 written", "missing: x", "Failed: not all is there as it was read.",
    ]  # fmt: skip
    assert json.loads(show.as_json(report))["passed"] is False
