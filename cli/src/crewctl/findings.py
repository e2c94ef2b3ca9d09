"""What `verify` and `doctor` say: a finding, how bad it is, and what to do about it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "OK"
    WARN = "WARN"
    """Worth knowing; nothing is lost by it."""
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    """What was looked at."""
    message: str
    """What was seen."""
    remedy: str = ""
    """What to do; `` when there is nothing to do."""


def failed(findings: Iterable[Finding]) -> bool:
    """Whether any of them is a FAIL."""
    return any(one.level is Level.FAIL for one in findings)
