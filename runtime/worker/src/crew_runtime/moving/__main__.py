"""The process: one order on standard input, lines of JSON on standard output (see `contract.moving`).

Ends with 0 once it said how it went, also that it did not go.
"""

import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn, TextIO

from crew_runtime import telemetry
from crew_runtime.contract import moving
from crew_runtime.contract.moving import Order, Place, Project
from crew_runtime.errors import CrewRuntimeError
from crew_runtime.moving import move
from crew_runtime.moving.embedding import Embedding
from crew_runtime.moving.errors import MovingError
from crew_runtime.moving.file import FileSource, FileTarget
from crew_runtime.moving.places import Source, Target
from crew_runtime.moving.store import RedisSource, RedisTarget
from crew_runtime.worker import start
from crew_runtime.worker.errors import StartError

TELL_EVERY = 0.1
"""Seconds between two lines on how far it is."""


class _Lines:
    """Tells it by lines."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._told = 0.0
        self._untold: int | None = None

    def step(self, name: str, records: int | None) -> None:
        """At once."""
        self.say(moving.STEP, name=name, records=records)

    def advanced(self, records: int) -> None:
        """At times, and when something else is said."""
        self._untold = records
        if time.monotonic() - self._told >= TELL_EVERY:
            self._told = time.monotonic()
            self._catch_up()

    def say(self, event: str, **more: Any) -> None:
        """One line."""
        self._catch_up()
        self._put({"event": event, **more})

    def _catch_up(self) -> None:
        if self._untold is not None:
            self._put({"event": moving.ADVANCED, "records": self._untold})
            self._untold = None

    def _put(self, told: dict[str, Any]) -> None:
        self._out.write(json.dumps(told) + "\n")
        self._out.flush()


def main() -> NoReturn:
    """Exit code 0 whenever the last line says how it went."""
    telemetry.turn_off_unattended(os.environ)
    # What libraries print goes elsewhere: the lines are ours alone.
    lines = _Lines(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    order = moving.order_from_dict(json.load(sys.stdin))
    try:
        with contextlib.ExitStack() as open_:
            source, target = _source(order), _target(order)
            embedding = None if order.embed is None else _embedding(order.embed, target, order, open_)
            report = move.move(source, target, order.samples, lines, embedding)
    except CrewRuntimeError as error:
        lines.say(moving.FAILED, message=str(error))
    else:
        lines.say(moving.DONE, report=moving.report_to_dict(report))
    sys.stdout.flush()
    os._exit(0)  # threads of the user's code might keep the process


def _source(order: Order) -> Source:
    match order.source.kind:
        case moving.FILE:
            return FileSource(Path(order.source.path))
        case moving.REDIS:
            return RedisSource(order.source)
    _check_lancedb()
    from crew_runtime.moving.lance import LanceSource

    return LanceSource(_folder(order.source), order.source.embedder)


def _target(order: Order) -> Target:
    match order.target.kind:
        case moving.FILE:
            return FileTarget(Path(order.target.path), overwrite=order.overwrite)
        case moving.REDIS:
            return RedisTarget(order.target, session=order.session, overwrite=order.overwrite)
    _check_lancedb()
    from crew_runtime.moving.lance import LanceTarget

    return LanceTarget(_folder(order.target), overwrite=order.overwrite, merge_sessions=order.merge_sessions)


def _embedding(project: Project, target: Target, order: Order, open_: contextlib.ExitStack) -> Embedding:
    """Builds the crew as a kickoff does, with its own folders elsewhere. Raises MovingError."""
    # What it is built with by itself, a memory and its knowledge, is not what is moved.
    os.environ["CREWAI_STORAGE_DIR"] = open_.enter_context(tempfile.TemporaryDirectory(prefix="crewctl-memory-"))
    try:
        start.prepare()
    except StartError as error:
        raise MovingError(error.full) from error
    from crew_runtime.crewai.loading import embedder, load

    try:
        own = embedder.of(project.entrypoint, project.definition)
    except load.EntrypointError as error:
        raise MovingError(f"{error.message}\n{error.detail}".rstrip()) from error
    return Embedding(target, own.name, own.embed, overwrite=order.overwrite)


def _folder(place: Place) -> Path:
    if place.path:
        return Path(place.path)
    from crew_runtime.crewai import own_folder

    return own_folder.memories()


def _check_lancedb() -> None:
    """Raises MovingError when this interpreter has none."""
    try:
        import lancedb  # noqa: F401 - whether it can be
    except ImportError as error:
        raise MovingError(
            f"{sys.executable} has no lancedb ({error}): name by --python the interpreter of a crew that uses CrewAI's "
            "own memory"
        ) from error


if __name__ == "__main__":
    main()
