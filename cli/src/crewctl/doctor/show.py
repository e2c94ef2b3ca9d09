"""Findings as a table for people, or as JSON for machines."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crewctl.doctor.judge import Section
from crewctl.findings import Level, failed
from crewctl.screen import PlainConsole

WIDTH = 140
"""Columns where there is no terminal."""
STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def console() -> Console:
    """Where it is printed."""
    made = PlainConsole()
    if not made.is_terminal:
        made.width = WIDTH
    return made


def as_data(namespace: str, name: str, sections: tuple[Section, ...]) -> dict[str, Any]:
    """One object for one CrewDeployment; its keys stay."""
    return {
        "namespace": namespace,
        "name": name,
        "healthy": not any(failed(section.findings) for section in sections),
        "questions": [
            {
                "question": section.question,
                "findings": [
                    {
                        "level": one.level.value,
                        "subject": one.subject,
                        "message": one.message,
                        "remedy": one.remedy,
                    }
                    for one in section.findings
                ],
            }
            for section in sections
        ],
    }


def on_screen(screen: Console, title: str, sections: tuple[Section, ...]) -> None:
    """A block for each question, and a last line that counts."""
    screen.print(Text(title, style="bold"))
    for section in sections:
        screen.print()
        screen.print(Text(section.question, style="bold"))
        made = Table.grid(padding=(0, 2))
        made.add_column(no_wrap=True)
        for _ in range(3):
            made.add_column(overflow="fold")
        for one in section.findings:
            cells = (one.subject, one.message, f"-> {one.remedy}" if one.remedy else "")
            made.add_row(Text(f"  {one.level.value}", style=STYLES[one.level]), *map(Text, cells))
        screen.print(made)
    screen.print()
    counted = {level: sum(one.level is level for section in sections for one in section.findings) for level in Level}
    style = STYLES[Level.FAIL if counted[Level.FAIL] else Level.WARN if counted[Level.WARN] else Level.OK]
    screen.print(Text(", ".join(f"{number} {level}" for level, number in counted.items()), style=style))
