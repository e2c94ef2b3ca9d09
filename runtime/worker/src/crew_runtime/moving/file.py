"""A file of memories as a place. The only module that opens one."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from crew_runtime.moving import lines
from crew_runtime.moving.errors import DamagedFileError, MovingError
from crew_runtime.moving.items import Item, fingerprint
from crew_runtime.moving.lines import BadLineError, Sum
from crew_runtime.moving.places import About, Written

PART = ".part"
"""Behind the name of a file that is not whole yet."""
BUFFER = 1024 * 1024


class FileSource:
    """Reads a file twice: to see that it is whole before the first memory of it goes anywhere, and then to move it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.notes: list[str] = []

    def about(self) -> About:
        """Raises MovingError when there is none, DamagedFileError when it is not as it was written."""
        with _opened(self._path) as file:
            reader = _Reader(file, str(self._path))
            about = reader.header()
            count = sum(1 for _ in reader.items(about))
        return About(about.where, about.embedder, about.dimension, count)

    def items(self) -> Iterator[Item]:
        """Raises MovingError, DamagedFileError."""
        with _opened(self._path) as file:
            reader = _Reader(file, str(self._path))
            yield from reader.items(reader.header())


class FileTarget:
    """Writes a file beside its name, and gives it the name when it is whole."""

    searchable = False

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.where = str(path)
        self._path = path
        self._part = path.with_name(path.name + PART)
        self._overwrite = overwrite
        self._file: BinaryIO | None = None
        self._total = Sum()
        self._records = 0

    def begin(self, about: About) -> None:
        """Raises MovingError when the file is there, or cannot be written."""
        if self._path.exists() and not self._overwrite:
            raise MovingError(f"{self._path} is there already: name another file, or replace it by --overwrite")
        part = self._part
        try:
            # What people told a crew is its owner's alone to read.
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
        except BlockingIOError as error:
            raise MovingError(
                f"{part} is being written by another export: wait for it, or name another file"
            ) from error
        except OSError as error:
            raise MovingError(f"{part} cannot be written: {error.strerror}") from error
        self._file = os.fdopen(descriptor, "wb", BUFFER)
        self._put(lines.header(about, datetime.now(UTC).isoformat(timespec="seconds")))

    def placed(self, item: Item) -> Item:
        """As it is."""
        return item

    def write(self, items: Sequence[Item]) -> Written:
        """Raises MovingError when the disk is full, or a memory too long."""
        for item in items:
            try:
                self._put(lines.record(item))
            except BadLineError as error:
                raise MovingError(str(error)) from error
        self._records += len(items)
        return Written(len(items))

    def finish(self) -> None:
        """The trailer, on the disk, under its name."""
        self._put(lines.trailer(self._records, self._total))
        file, self._file = self._file, None
        if file is None:
            raise ValueError("it was never begun")
        try:
            file.flush()
            os.fsync(file.fileno())
            self._part.replace(self._path)
        except OSError as error:
            raise MovingError(f"{self._part} cannot be written: {error.strerror}") from error
        finally:
            file.close()

    def fingerprints(self, ids: Sequence[str]) -> dict[str, bytes]:
        """All of the file at once, read back with its checksums. Raises DamagedFileError."""
        wanted = set(ids)
        return {one.record.id: fingerprint(one) for one in FileSource(self._path).items() if one.record.id in wanted}

    def near(self, item: Item, limit: int) -> list[tuple[str, float]]:
        """Nothing: a file is not searched."""
        return []

    def _put(self, line: bytes) -> None:
        if self._file is None:
            raise ValueError("it was never begun")
        self._total.add(line)
        try:
            self._file.write(line)
        except OSError as error:
            raise MovingError(f"{self._part} cannot be written: {error.strerror}") from error


class _Reader:
    """Of the lines of one file, from its first on."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path
        self._number = 0
        self._total = Sum()

    def header(self) -> About:
        """Raises DamagedFileError."""
        kind, value = self._next()
        if kind != lines.HEADER:
            raise self._damaged("the header is missing")
        try:
            return lines.to_about(value, self._path)
        except BadLineError as error:
            raise self._damaged(str(error)) from error

    def items(self, about: About) -> Iterator[Item]:
        """Until the trailer, which is checked. Raises DamagedFileError."""
        seen: set[str] = set()
        while True:
            before = self._total.text
            kind, value = self._next()
            if kind == lines.TRAILER:
                break
            try:
                item = lines.to_item(value, about.dimension)
            except BadLineError as error:
                raise self._damaged(str(error)) from error
            if item.record.id in seen:
                raise self._damaged("there was a memory of this id already")
            seen.add(item.record.id)
            yield item
        try:
            lines.check_trailer(value, len(seen), before)
        except BadLineError as error:
            raise self._damaged(str(error)) from error
        if self._file.read(1):
            self._number += 1
            raise self._damaged("there is something behind the last line")

    def _next(self) -> tuple[str, dict[str, object]]:
        self._number += 1
        line = self._file.readline(lines.MOST)
        if not line:
            raise self._damaged("the file ends here, before its last line")
        try:
            found = lines.read(line)
        except BadLineError as error:
            raise self._damaged(str(error)) from error
        self._total.add(line)
        return found

    def _damaged(self, what: str) -> DamagedFileError:
        return DamagedFileError(self._path, self._number, what)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb", BUFFER)
    except OSError as error:
        raise MovingError(f"{path} cannot be read: {error.strerror}") from error
