"""An exception on the path of a kickoff -> whether each kickoff of this crew would meet it. Pure.

Only what cannot come from a stand-in is held against the crew: whatever is raised before a stand-in's first answer, or
after it by code that reads no answers. Everything else leaves the question open.
"""

import os
import sysconfig
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crew_runtime.crewai.rehearsing.llms import AskedTooOftenError
from crew_runtime.crewai.rehearsing.network import was_refused
from crew_runtime.crewai.rehearsing.samples import NoSampleError
from crew_runtime.errors import BackendError

LINES = 30
LAST = 3
"""Frames of CrewAI that are shown when the user's code is in none."""
MOST_TEXT = 2000
"""Characters of a message."""
_READERS = (
    "utilities/converter.py", "utilities/guardrail.py", "utilities/training_converter.py", "agents/parser.py",
    "tasks/llm_guardrail.py", "utilities/reasoning_handler.py", "utilities/planning_handler.py",
    "agents/planner_observer.py", "agents/step_executor.py", "utilities/internal_instructor.py",
    "flow/conversational_mixin.py",
)  # fmt: skip
"""Files of CrewAI that read an LLM's answer (1.15.30)."""
_OURS = str(Path(__file__).parents[2]) + os.sep
_STDLIB = sysconfig.get_path("stdlib") + os.sep
_SITE = (sysconfig.get_path("purelib") + os.sep, sysconfig.get_path("platlib") + os.sep)


@dataclass(frozen=True)
class Finding:
    """What a rehearsal found."""

    error: str = ""
    """Why no kickoff of this crew can work: the exception's type and its message; or ``."""
    detail: str = ""
    """The last lines of the traceback without the runtime's frames, or ``; also of an open question."""
    note: str = ""
    """Why it could not be found out whether a kickoff works, or ``. Nobody is to be kept from serving by it."""
    left_out: tuple[str, ...] = ()
    """What of the author's code was not run and may fail a kickoff, in words: `methods of the flow: begin, end`."""
    network: tuple[str, ...] = ()
    """Who tried the network, and where to: refused."""
    imported: tuple[str, ...] = ()
    """Modules that came with it, in the order of import."""
    answers: int = 0
    """How often the LLM's stand-in was asked."""
    seconds: float = 0.0


def of_error(error: BaseException, answers: int, *, skipped_inputs: bool) -> Finding:
    """`skipped_inputs`: callbacks that may have prepared the kickoff were left out. Raises a BackendError."""
    for one in chain(error):
        if isinstance(one, BackendError):
            raise one
    said, detail = named(error), user_lines(error)
    if why := _open(error, answers, skipped_inputs):
        return Finding(note=f"{why}: {said}", detail=detail)
    return Finding(error=said, detail=detail)


def _open(error: BaseException, answers: int, skipped_inputs: bool) -> str:
    if was_refused(error):
        return "the kickoff needs the network before it needs its LLM's answer"
    if any(isinstance(one, NoSampleError | AskedTooOftenError) for one in chain(error)):
        return "the stand-in for the LLM had no answer that is of use to the crew"
    if skipped_inputs:
        return "before_kickoff callbacks were left out, and may prepare what is missing"
    if answers and _reads_answers(error):
        return "the stand-in's answer could not be used"
    return ""


def _reads_answers(error: BaseException) -> bool:
    for one in chain(error):
        for frame in traceback.extract_tb(one.__traceback__):
            if "/crewai/" in frame.filename and frame.filename.endswith(_READERS):
                return True
    return False


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what lies below it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def named(error: BaseException) -> str:
    """`ValueError: OPENAI_API_KEY is required`."""
    message = str(error).strip()[:MOST_TEXT]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def user_lines(error: BaseException) -> str:
    """The end of the traceback: the user's own lines, or the last of CrewAI's when there are none. None of ours."""
    frames = [one for below in reversed(tuple(chain(error))) for one in traceback.extract_tb(below.__traceback__)]
    kept = [one for one in frames if not _is_noise(one.filename)]
    own = [one for one in kept if not one.filename.startswith(_SITE)]
    lines = "".join(traceback.format_list(own or kept[-LAST:]))
    return "\n".join([*lines.splitlines(), named(error)][-LINES:])


def _is_noise(file: str) -> bool:
    return file.startswith((_OURS, "<")) or (file.startswith(_STDLIB) and not file.startswith(_SITE))
