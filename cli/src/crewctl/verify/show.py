"""A verdict as a table for people, or as JSON for machines."""

import json

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crewctl.findings import Level
from crewctl.screen import PlainConsole
from crewctl.verify.facts import Outcome
from crewctl.verify.judge import Result, Verdict
from crewctl.verify.rounds import Wish

WORDS = {Level.OK: "shared", Level.WARN: "note", Level.FAIL: "LOCAL"}
STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


WIDTH = 140
"""Columns where there is no terminal: a CI's log wraps by itself."""


def console(*, stderr: bool = False) -> Console:
    """Where it is printed."""
    made = PlainConsole(stderr=stderr)
    if not made.is_terminal:
        made.width = WIDTH
    return made


def as_json(wish: Wish, outcome: Outcome, verdict: Verdict) -> str:
    """One object; its keys stay."""
    answer = outcome.shared.write
    return json.dumps(
        {
            "passed": verdict.passes(strict=wish.strict),
            "result": verdict.result.value,
            "failure": verdict.failure,
            "source": wish.project.source,
            "python": str(wish.python.path),
            "lent": list(wish.python.lent),
            "versions": {
                "crewai": answer.crewai_version,
                "crew-runtime": answer.runtime_version,
                "redis-py": answer.redis_py_version,
                "python": answer.python_version,
            },
            "state": [
                {
                    "state": row.state,
                    "liesIn": row.lies_in,
                    "level": row.finding.level.value,
                    "exercised": row.exercised,
                    "why": row.finding.message,
                    "remedy": row.finding.remedy,
                }
                for row in verdict.rows
            ],
            "kickoffNotSeen": list(verdict.unseen),
            "withoutRuntime": list(verdict.today),
            "notes": list(verdict.notes),
        },
        indent=1,
    )


def on_screen(screen: Console, wish: Wish, outcome: Outcome, verdict: Verdict) -> None:
    """What was seen, and what it means."""
    answer = outcome.shared.write
    if answer.crewai_version:
        text = f"{wish.project.source}: {answer.kind or 'not loaded'}; crewai {answer.crewai_version}, "
        text += f"crew-runtime {answer.runtime_version}, redis-py {answer.redis_py_version}, {wish.python.path}"
        screen.print(Text(text), soft_wrap=True)
    if wish.python.lent:
        text = f"crewctl lent this interpreter {', '.join(wish.python.lent)}: it has none; the image needs crew-runtime"
        screen.print(Text(text, style="yellow"), soft_wrap=True)
    for note in verdict.notes:
        screen.print(Text(f"note: {note}"), soft_wrap=True)
    screen.print()
    if verdict.failure:
        screen.print(Text(verdict.failure), soft_wrap=True)
        screen.print(Text("Failed: there is no crew to check.", style="bold red"))
        return
    screen.print(Text("Without the runtime, as CrewAI is today:", style="bold"))
    for line in verdict.today:
        screen.print(Text(f"  {line}"), soft_wrap=True)
    screen.print()
    screen.print(_table(verdict))
    for line in verdict.unseen:
        screen.print(Text(f"the kickoff: {line}", style="yellow"), soft_wrap=True)
    screen.print(_last(verdict, wish), soft_wrap=True)


def _table(verdict: Verdict) -> Table:
    made = Table(title="With the runtime", title_justify="left")
    for name in ("state", "lies in", "", "why", "remedy"):
        made.add_column(name, overflow="fold")
    for row in verdict.rows:
        level = row.finding.level
        word = WORDS[level]
        if level is Level.OK and not row.exercised:
            word = "-"
        made.add_row(
            Text(row.state), Text(row.lies_in), Text(word, style=STYLES[level]), Text(row.finding.message),
            Text(row.finding.remedy),
        )  # fmt: skip
    return made


def _last(verdict: Verdict, wish: Wish) -> Text:
    local = [row.state for row in verdict.rows if row.finding.level is Level.FAIL]
    if local:
        return Text(f"Failed: {', '.join(local)} would not be shared by two replicas.", style="bold red")
    shared = "what one process keeps, the other one finds"
    if verdict.result is Result.PASSED:
        text = f"Passed: {shared}; a rehearsed kickoff worked, with stand-ins for the LLM's answers."
        return Text(text, style="bold green")
    if wish.strict:
        text = f"Failed (--strict): whether a kickoff works was not seen. {shared.capitalize()}."
        return Text(text, style="bold red")
    text = f"State is shared: {shared}. Whether a kickoff works was not seen; --strict fails for that."
    return Text(text, style="bold yellow")
