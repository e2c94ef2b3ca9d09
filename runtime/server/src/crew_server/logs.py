"""One line a record: JSON with the record's fields, or text. Fields are passed as `extra={"fields": {...}}` by `log`.

What is known of the kickoff at hand is bound with `bind` and goes into every record of the same task.
"""

import contextlib
import contextvars
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

_bound: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("bound", default={})  # noqa: B039 - never changed


@contextlib.contextmanager
def bind(**fields: Any) -> Iterator[None]:
    """Within it every record of this task carries `fields`."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


class Log:
    """A logger whose messages are constants and whose facts are fields."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, message: str, **fields: Any) -> None:
        """For the developer."""
        self._emit(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """What happened in the normal course."""
        self._emit(logging.INFO, message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """What somebody may have to look at."""
        self._emit(logging.WARNING, message, fields)

    def error(self, message: str, *, exc_info: BaseException | None = None, **fields: Any) -> None:
        """What somebody has to look at."""
        self._emit(logging.ERROR, message, fields, exc_info)

    def _emit(self, level: int, message: str, fields: Mapping[str, Any], error: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, message, exc_info=error, extra={"fields": {**_bound.get(), **fields}})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        # The fields come before a traceback, hence into the message; a copy, because other handlers share the record.
        copy = logging.makeLogRecord(record.__dict__)
        fields = "".join(f" {key}={value!r}" for key, value in getattr(record, "fields", {}).items())
        copy.msg, copy.args = record.getMessage() + fields, None
        return super().format(copy)


def configure(*, as_json: bool) -> None:
    """Send all records of the process to stdout, uvicorn's warnings included."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Json() if as_json else _Text())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
