"""A verdict as a table for people, or as JSON for machines."""

import json

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crewctl.findings import Level
from crewctl.verify.judge import Verdict
from crewctl.verify.rounds import Outcome, Wish

WORDS = {Level.OK: "shared", Level.WARN: "note", Level.FAIL: "LOCAL"}
STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def as_json(wish: Wish, outcome: Outcome, verdict: Verdict) -> str:
    """One object; its keys stay."""
    answer = outcome.shared.write
    return json.dumps(
        {
            "passed": verdict.passed,
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
                    "why": row.finding.message,
                    "remedy": row.finding.remedy,
                }
                for row in verdict.rows
            ],
            "withoutRuntime": list(verdict.today),
            "notes": list(verdict.notes),
        },
        indent=1,
    )


def on_screen(console: Console, wish: Wish, outcome: Outcome, verdict: Verdict) -> None:
    """What was seen, and what it means."""
    answer = outcome.shared.write
    if answer.crewai_version:
        text = f"{wish.project.source}: {answer.kind or 'not loaded'}; crewai {answer.crewai_version}, "
        text += f"crew-runtime {answer.runtime_version}, redis-py {answer.redis_py_version}, {wish.python.path}"
        console.print(Text(text), soft_wrap=True)
    if wish.python.lent:
        text = f"crewctl lent this interpreter {', '.join(wish.python.lent)}: it has none; the image needs crew-runtime"
        console.print(Text(text, style="yellow"), soft_wrap=True)
    for note in verdict.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    console.print()
    if verdict.failure:
        console.print(Text(verdict.failure), soft_wrap=True)
        console.print(Text("Failed: there is no crew to look at.", style="bold red"))
        return
    console.print(Text("Without the runtime, as CrewAI is today:", style="bold"))
    for line in verdict.today:
        console.print(Text(f"  {line}"), soft_wrap=True)
    console.print()
    console.print(_table(verdict))
    console.print(_last(verdict))


def _table(verdict: Verdict) -> Table:
    made = Table(title="With the runtime", title_justify="left")
    for name in ("state", "lies in", "", "why", "remedy"):
        made.add_column(name, overflow="fold")
    for row in verdict.rows:
        level = row.finding.level
        word = "-" if row.lies_in == "unused" else WORDS[level]
        made.add_row(
            Text(row.state), Text(row.lies_in), Text(word, style=STYLES[level]), Text(row.finding.message),
            Text(row.finding.remedy),
        )  # fmt: skip
    return made


def _last(verdict: Verdict) -> Text:
    local = [row.state for row in verdict.rows if row.finding.level is Level.FAIL]
    if local:
        return Text(f"Failed: {', '.join(local)} would not be shared by two replicas.", style="bold red")
    return Text("Passed: what one process keeps, the other one finds.", style="bold green")
