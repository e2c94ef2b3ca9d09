"""`crewctl memory`: what a crew remembers, from one home to another."""

import argparse
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from crew_runtime.contract import moving
from crew_runtime.contract.moving import Order, Place, Report
from crewctl import interpreter, target
from crewctl.errors import UsageError
from crewctl.moving import crews, process, show, words
from crewctl.moving.words import Crew
from crewctl.screen import PlainConsole
from crewctl.verify import project

HELP = "move what a crew remembers: out of CrewAI's LanceDB folder, into Redis, into a file, and back"
URL: Final = "CREWCTL_REDIS_URL"
"""The variable with the URL of `redis:`: on a command line every user of the machine would see its password."""
FROM_URL: Final = "CREWCTL_FROM_REDIS_URL"
TO_URL: Final = "CREWCTL_TO_REDIS_URL"
"""Where the two are not the same."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs and their options."""
    parser.epilog = f"A place is {words.SYNTAX}. Where Redis is, {URL} says ({FROM_URL}, {TO_URL} where there are two)."
    verbs = parser.add_subparsers(dest="what", required=True, metavar="export|import|migrate|reembed")
    made = {
        "export": verbs.add_parser("export", help="write memories to a file", epilog=parser.epilog),
        "import": verbs.add_parser("import", help="read memories from a file", epilog=parser.epilog),
        "migrate": verbs.add_parser("migrate", help="from one place to another, without a file", epilog=parser.epilog),
        "reembed": verbs.add_parser(
            "reembed", help="likewise, with new vectors of the crew's embedder", epilog=parser.epilog
        ),
    }
    for name, one in made.items():
        add = one.add_argument
        if name == "import":
            add("source", metavar="FILE", help="what `crewctl memory export` wrote")
        else:
            add("source", metavar="FROM", help="the place that memories are read from")
        if name == "export":
            add("target", metavar="FILE", help="JSON lines, readable by you alone")
        else:
            add("target", metavar="TO", help="the place that memories are written to")
            add("--session", default="", metavar="ID",
                help="what belongs to no session goes into this one (default: to the whole crew)")  # fmt: skip
            add("--merge-sessions", action="store_true",
                help="into a LanceDB folder, which knows none: whatever session it belonged to")  # fmt: skip
            add("--samples", type=int, default=moving.SAMPLES, metavar="N",
                help="memories that are searched for at the end (default: %(default)s)")  # fmt: skip
        if name == "reembed":
            add("--project", type=Path, default=Path(), metavar="PATH",
                help="the crew's project: a folder, or a crew.jsonc (default: the working directory)")  # fmt: skip
            add(
                "--entrypoint",
                default="",
                metavar="MODULE:ATTR",
                help="a Crew, a @CrewBase class, a Flow or a function",
            )
        elif name != "import":
            add("--embedder", default="", metavar="PROVIDER/MODEL",
                help="what the vectors of a LanceDB folder were made with: CrewAI does not write it down")  # fmt: skip
        add("--overwrite", action="store_true", help="replace what is there already, also by what is older")
        add("--python", type=Path, help="an interpreter with crewai (default: .venv/bin/python, else python3)")
        add("--ca", default="", metavar="PEM", help=f"to verify the Redis of {URL} with")
        add("--json", action="store_true", help="print one JSON object")
        target.configure(one)


def run(options: argparse.Namespace) -> int:
    """Exit code 0: all is there. 1: not all is, or nothing could be moved. 2: it cannot be asked like this."""
    signal.signal(signal.SIGTERM, _interrupt)
    found = project.find(options.project, options.entrypoint) if options.what == "reembed" else None
    folder = found.folder if found else Path.cwd()
    python = interpreter.examine(interpreter.choose(folder, options.python), moving.MODULE)
    screen = show.console()
    began = time.monotonic()
    with contextlib.ExitStack() as open_:
        order = replace(_order(options, open_), embed=_embed(found) if found else None)
        try:
            report = _move(open_.enter_context(process.started(python, order, folder)), screen)
        except KeyboardInterrupt:
            screen.print(Text("interrupted: nothing is broken, and the same command goes on"), soft_wrap=True)
            raise
    if options.json:
        print(show.as_json(report))
    else:
        result = PlainConsole()
        for line in show.lines(report, options.source, options.target):
            result.print(line, soft_wrap=True)
        seconds = time.monotonic() - began
        screen.print(Text(f"{seconds:.1f} s", style="dim"))
    return 1 if report.problems else 0


def _order(options: argparse.Namespace, open_: contextlib.ExitStack) -> Order:
    """What is asked for, with the ways to it. Raises UsageError, and ClusterError of a crew that is named."""
    find = _Places(options, open_)
    source = _file(options.source) if options.what == "import" else find(options.source, FROM_URL)
    to = _file(options.target) if options.what == "export" else find(options.target, TO_URL)
    if source == to:
        raise UsageError("both places are the same")
    if getattr(options, "samples", 0) < 0:
        raise UsageError("--samples has to be 0 or more")
    return Order(
        source=source,
        target=to,
        session=getattr(options, "session", ""),
        merge_sessions=getattr(options, "merge_sessions", False),
        overwrite=options.overwrite,
        samples=getattr(options, "samples", 0),
    )


def _embed(found: project.Project) -> moving.Project:
    return moving.Project(found.entrypoint, str(found.folder / found.definition) if found.definition else "")


def _file(word: str) -> Place:
    return Place(moving.FILE, path=str(Path(word).absolute()))


class _Places:
    """Finds what the words of one command line mean."""

    def __init__(self, options: argparse.Namespace, open_: contextlib.ExitStack) -> None:
        self._options = options
        self._open = open_

    def __call__(self, word: str, url_name: str) -> Place:
        url = os.environ.get(url_name) or os.environ.get(URL) or ""
        embedder = getattr(self._options, "embedder", "")
        found = words.read(word, url.strip(), url_name if os.environ.get(url_name) else URL, self._options.ca, embedder)
        if isinstance(found, Crew):
            if Path(word).is_dir():
                raise UsageError(f"{word} is a folder here: name it ./{word}, or a CrewDeployment from elsewhere")
            kube = self._open.enter_context(contextlib.closing(target.connect(self._options)))
            return crews.place(kube, found.name, self._open)
        if found.kind == moving.FOLDER and found.path:
            return replace(found, path=str(Path(found.path).absolute()))
        return found


def _move(told: Iterator[dict[str, Any]], screen: Console) -> Report:
    """Raises MoveError."""
    with show.progress(screen) as bar:
        for event in told:
            report = process.report(event)
            bar(event)
            if report is not None:
                return report
    raise ValueError("a process of ours ends with a report, or an error")


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
