"""The demo for the eye: what is said, what is done, and the table at the end."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crewctl.demo.play import Row
from crewctl.demo.script import Step
from crewctl.demo.stage import Hope

REMEMBERED = {
    (Hope.NOTED, True): "told",
    (Hope.NOTED, False): "told",
    (Hope.KNOWN, True): "yes",
    (Hope.KNOWN, False): "NO",
    (Hope.UNKNOWN, False): "no, as it should be",
    (Hope.UNKNOWN, True): "YES: LEAKED",
}


class Screen:
    """An audience at a terminal, or in a log."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._number = 0

    def begin(self, step: Step) -> None:
        """A headline."""
        self._number += 1
        self._console.print()
        self._console.print(Text(f"[{self._number}/{self._total}] {step.words}", style="bold"))

    def line(self, text: str) -> None:
        """As it is: commands and replies are no markup."""
        self._console.print(Text(text), soft_wrap=True)

    def end(self, row: Row) -> None:
        """How it went."""
        verdict, style = ("ok", "green") if row.passed else ("FAILED", "bold red")
        self._console.print(Text(f"  {verdict} after {row.seconds:.1f} s", style=style))
        if row.failure:
            self._console.print(Text(f"  {row.failure}", style="red"), soft_wrap=True)


def table(rows: list[Row]) -> Table:
    """A line for each question; a step that asked nothing has one line."""
    made = Table(title="What happened", title_justify="left")
    for name in ("step", "asked", "answered by", "remembered"):
        made.add_column(name, overflow="fold")
    made.add_column("seconds", justify="right")
    for row in rows:
        for number, cells in enumerate(_lines(row)):
            made.add_row(row.step.title if number == 0 else "", *cells)
    return made


def _lines(row: Row) -> list[tuple[str, str, str, str]]:
    whole = f"{row.seconds:.1f}"
    if row.skipped:
        return [("", "", "not run", "")]
    lines = [
        (one.message, one.answer.replica, REMEMBERED[one.hope, one.known], f"{one.answer.seconds:.2f}")
        for one in row.asked
    ]
    if row.failure:
        lines.append(("", "", "FAILED", whole))
    return lines or [("", "", "", whole)]


def verdict(rows: list[Row], *, with_memory: bool) -> Text:
    """The last line."""
    failed = [row.step.title for row in rows if not row.passed]
    if not failed:
        return Text("Every step passed: what was told once was known ever after.", style="bold green")
    missing = "" if with_memory else " (memory was switched off: so they should)"
    return Text(f"Failed{missing}: {', '.join(failed)}.", style="bold red")
