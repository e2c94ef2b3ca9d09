"""`crewctl verify`: a user's crew in two processes; fails when what it remembers stays in one. Made for CI."""

import argparse
import signal
from pathlib import Path
from types import FrameType

from crew_runtime.contract import rehearsal
from crewctl import interpreter
from crewctl.verify import judge, project, rounds, show

HELP = "run a crew in two processes, and fail when its memory survives in one only"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("path", type=Path, metavar="PATH", help="the crew's project: a folder, or a crew.jsonc")
    add("--entrypoint", default="", metavar="MODULE:ATTR", help="a Crew, a @CrewBase class, a Flow or a function")
    add("--python", type=Path, help="the crew's interpreter (default: PATH/.venv/bin/python, else python3)")
    add("--embedder", choices=rehearsal.EMBEDDERS, default=rehearsal.AUTO,
        help="auto: the crew's own when it is the crew's own code, else a stand-in that needs no key")  # fmt: skip
    add("--timeout", type=float, default=300.0, metavar="SECONDS", help="for each process (default: %(default)g)")
    add("--strict", action="store_true", help="fail also when it was not seen whether a kickoff works")
    add("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Exit code 0: shared. 1: something is local, no kickoff works, or (`--strict`) it was not seen whether one does.

    2: it cannot be asked like this.
    """
    found = project.find(options.path, options.entrypoint)
    python = interpreter.examine(interpreter.choose(found.folder, options.python), rehearsal.MODULE)
    wish = rounds.Wish(found, python, options.embedder, options.timeout, options.strict)
    signal.signal(signal.SIGTERM, _interrupt)  # a CI that gives up: leave no process behind
    # stdout is for the result alone when a machine reads it
    progress = show.console(stderr=options.json)
    outcome = rounds.run(wish, lambda text: progress.print(text, style="dim"))
    verdict = judge.judge(outcome)
    if options.json:
        print(show.as_json(wish, outcome, verdict))
    else:
        show.on_screen(progress, wish, outcome, verdict)
    return 0 if verdict.passes(strict=options.strict) else 1


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
