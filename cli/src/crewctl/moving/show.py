"""How far a move is, and what came of it: for people, and as JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from crew_runtime.contract import moving
from crew_runtime.contract.moving import Report
from crewctl.screen import PlainConsole

WIDTH: Final = 140
"""Columns where there is no terminal: a log wraps by itself."""
WORDS: Final = {
    "look": "looking at what is there",
    "move": "moving memories",
    "compare": "comparing both places",
    "search": "searching for samples",
}


class Bar(Protocol):
    """Takes what the process tells."""

    def __call__(self, event: dict[str, object]) -> None:
        """One event."""


def console() -> Console:
    """Where progress goes: standard output is for the result."""
    made = PlainConsole(stderr=True)
    if not made.is_terminal:
        made.width = WIDTH
    return made


@contextmanager
def progress(screen: Console) -> Iterator[Bar]:
    """A bar for each step on a terminal, a line elsewhere."""
    if not screen.is_terminal:
        yield lambda event: _line(screen, event)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=screen) as bars:

        def show(event: dict[str, object]) -> None:
            if event["event"] in (moving.STEP, moving.DONE):
                for one in bars.tasks:  # where it was known what it is at most, or not at all, this is what it came to
                    bars.update(one.id, total=one.completed or 1, completed=one.completed or 1)
            if event["event"] == moving.STEP:
                total = event["records"]
                bars.add_task(_name(event), total=total if isinstance(total, int) else None)
            elif event["event"] == moving.ADVANCED and isinstance(done := event["records"], int):
                bars.update(bars.tasks[-1].id, completed=done)

        yield show


def as_json(report: Report) -> str:
    """One object; its keys stay."""
    told = moving.report_to_dict(report)
    return json.dumps({"passed": not report.problems, **told}, indent=1)


def lines(report: Report, source: str, target: str) -> list[Text]:
    """What came of it."""
    parts = [f"{report.written} written"]
    parts += [f"{report.equal} were there already"] if report.equal else []
    parts += [f"{report.kept} are there otherwise and were used later: kept (--overwrite)"] if report.kept else []
    made = [Text(f"{source} -> {target}: {_memories(report.records)}, {', '.join(parts)}")]
    made += [Text(f"note: {one}") for one in report.notes]
    made += [Text(one, style="red") for one in report.problems]
    if report.problems:
        made.append(Text("Failed: not all is there as it was read.", style="bold red"))
    else:
        found = "1 sample is found by its" if report.sampled == 1 else f"{report.sampled} samples are found by their"
        searched = f", and {found} own vector" if report.sampled else ""
        there = "it is" if report.records == 1 else f"all {report.records} are"
        made.append(Text(f"Passed: {there} there{searched}.", style="bold green"))
    return made


def _memories(number: int) -> str:
    return f"{number} {'memory' if number == 1 else 'memories'}"


def _line(screen: Console, event: dict[str, object]) -> None:
    if event["event"] == moving.STEP:
        records = event["records"]
        screen.print(Text(_name(event) + (f": {records}" if records is not None else "")))


def _name(event: dict[str, object]) -> str:
    return WORDS.get(str(event["name"]), str(event["name"]))
