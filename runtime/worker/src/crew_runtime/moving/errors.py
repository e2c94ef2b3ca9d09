"""What a move can fail with."""

from crew_runtime.errors import CrewRuntimeError


class MovingError(CrewRuntimeError):
    """Memories cannot be moved like this; the message says what to change."""


class DamagedFileError(MovingError):
    """A file is not as it was written."""

    def __init__(self, path: str, line: int, what: str) -> None:
        super().__init__(f"{path}, line {line}: {what}; nothing was imported. Export it again, or take another copy")
        self.line = line
