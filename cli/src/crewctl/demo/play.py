"""Runs the steps one after the other and says how each went. Steps and stage in, rows out; `Audience` renders."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from crew_programs.errors import ProgramError
from crewctl.demo import diagnosis
from crewctl.demo.script import Step
from crewctl.demo.stage import Asked, Stage
from crewctl.errors import CrewctlError


@dataclass(frozen=True)
class Row:
    """How one step went."""

    step: Step
    asked: tuple[Asked, ...]
    seconds: float
    failure: str = ""
    """Why it could not be done; empty when it was."""
    skipped: bool = False

    @property
    def passed(self) -> bool:
        """Done, and everything that was asked was answered as it should be."""
        return not self.skipped and not self.failure and all(one.fulfilled for one in self.asked)


class Audience(Protocol):
    """Who watches."""

    def begin(self, step: Step) -> None:
        """A step begins."""

    def line(self, text: str) -> None:
        """Something was done or seen in it."""

    def end(self, row: Row) -> None:
        """It ended."""


def play(steps: Iterable[Step], stage: Stage, audience: Audience) -> list[Row]:
    """Run the steps. After one that could not be done, the rest is skipped; a wrong answer stops nothing."""
    rows: list[Row] = []
    broken = False
    for step in steps:
        row = Row(step, (), 0.0, skipped=True) if broken else _perform(step, stage, audience)
        broken = broken or bool(row.failure)
        rows.append(row)
    return rows


def _perform(step: Step, stage: Stage, audience: Audience) -> Row:
    audience.begin(step)
    stage.seen.clear()
    began = time.monotonic()
    failure = ""
    try:
        step.act(stage)
    except (CrewctlError, ProgramError) as error:
        failure = str(error)
    row = Row(step, tuple(stage.seen), time.monotonic() - began, failure)
    audience.end(row)
    if failure:
        audience.line(diagnosis.of(stage))
    return row
