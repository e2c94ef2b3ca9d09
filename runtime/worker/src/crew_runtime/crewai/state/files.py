"""What tasks write by `output_file`, in the folder that all replicas of the crew share, where there is one.

CrewAI writes below the working directory, which each replica has for itself, and has no seam for it (1.15.30). Hence
the patch: CrewAI's own `_save_file` runs on a copy of the task whose `output_file` is a path in that folder. The task
that the crew's code, its events and its prompts see keeps what the author wrote. Without a folder nothing is patched.
"""

import copy
import functools
import inspect
import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Any

from crewai.task import Task

METHOD = "_save_file"
EXPECTED = ("self", "result")
"""Its parameters."""
FIELDS = ("output_file", "create_directory")
"""Of a task, that it reads."""
_MARK = "__crew_runtime_files__"

Save = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Folder:
    """The shared folder, by the path that it has here and the one that the crew's author knows."""

    path: str
    """Absolute."""
    prefix: str = ""
    """The author's path, without its first slash, which CrewAI takes from an `output_file` too."""

    def place(self, asked: str) -> str | None:
        """Where the file of a task goes.

        Args:
            asked: The task's `output_file` at the time of writing, its inputs filled in.

        Returns:
            An absolute path below the folder; None for one that CrewAI itself takes as absolute, and for one that leads
            out of the folder by `..`, which only an input can do: such a file stays where CrewAI puts it.
        """
        if any(one.startswith("~") for one in PurePosixPath(asked).parts[:1]):
            return None
        path = PurePosixPath(posixpath.normpath(asked))
        parts = path.parts[1:] if path.is_absolute() else path.parts
        for name in self._names():
            if len(parts) > len(name) and parts[: len(name)] == name:
                return str(PurePosixPath(self.path, *parts[len(name) :]))
        if path.is_absolute() or parts[:1] == ("..",):
            return None
        return str(PurePosixPath(self.path, *parts))

    def _names(self) -> list[tuple[str, ...]]:
        """What a path that means the folder begins with; the longest first, for one may begin with the other."""
        names = {PurePosixPath(one.strip("/")).parts for one in (self.path, self.prefix)}
        return sorted((one for one in names if one), key=len, reverse=True)


_folder: Folder | None = None
_misfit = ""
"""What `obstacle` found, before the crew's code could replace the method."""


def patch(folder: Folder | None) -> None:
    """Have tasks write there; nothing is changed without a folder, or where `obstacle` finds something."""
    global _folder, _misfit
    if folder is None:
        return
    _misfit = obstacle()
    if _misfit:
        return
    _folder = folder
    if not hasattr(getattr(Task, METHOD), _MARK):
        setattr(Task, METHOD, _wrapped(getattr(Task, METHOD)))


def obstacle() -> str:
    """Why the patch does not fit this CrewAI, or ``."""
    found = getattr(Task, METHOD, None)
    if found is None or tuple(inspect.signature(found).parameters) != EXPECTED:
        return f"Task.{METHOD} of this CrewAI is not the one that is known"
    missing = [name for name in FIELDS if name not in Task.model_fields]
    return f"a Task of this CrewAI has no {' and no '.join(missing)}" if missing else ""


def misfit() -> str:
    """What was the obstacle when it was to be patched, or ``."""
    return _misfit


def in_force() -> bool:
    """Whether what a task writes now goes to the shared folder."""
    return _folder is not None and hasattr(getattr(Task, METHOD, None), _MARK)


def by_crewai(task: Task) -> bool:
    """Whether a task writes a file, and has CrewAI do it and no method of the author's class."""
    return bool(task.output_file) and getattr(type(task), METHOD, None) is getattr(Task, METHOD, None)


def _wrapped(original: Save) -> Save:
    @functools.wraps(original)
    def save_file(self: Any, result: Any) -> Any:
        # A class below Task may hold anything there; what is no path is CrewAI's to refuse.
        asked = self.output_file
        place = _folder.place(str(asked)) if _folder and isinstance(asked, str | PurePath) else None
        return original(self if place is None else _at(self, place), result)

    setattr(save_file, _MARK, True)
    return save_file


def _at(task: Any, place: str) -> Any:
    """A copy that lives for one call, so that tasks which run in threads never see the path."""
    made = copy.copy(task)
    # Not by assignment: a class that validates it would have the slash taken away.
    made.__dict__["output_file"] = place
    return made
