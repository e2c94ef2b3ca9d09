"""One JSON object a line on standard error: time, level, logger, message, and the fields.

Constant text and fields, so that a line can be found by kickoff_id or session_id. `text` instead when
CREWOPS_LOG_FORMAT says so.
"""

import datetime
import json
import logging
import os
import sys
from typing import Any

from crew_runtime.contract import env

_FIELDS = "crewops_fields"


class Log:
    """A logger whose keyword arguments become fields of the line."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, message: str, **fields: Any) -> None:
        """What happened."""
        self._logger.info(message, extra={_FIELDS: fields})

    def warning(self, message: str, **fields: Any) -> None:
        """What happened and should not have."""
        self._logger.warning(message, extra={_FIELDS: fields})

    def error(self, message: str, **fields: Any) -> None:
        """What someone has to look at."""
        self._logger.error(message, extra={_FIELDS: fields})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": os.getpid(),
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={value!r}" for key, value in getattr(record, _FIELDS, {}).items())
        return f"{record.levelname.lower()} [{os.getpid()}] {record.name}: {record.getMessage()} {fields}".rstrip()


def configure(environ: "os._Environ[str] | dict[str, str]") -> None:
    """Send this package's log lines to standard error; the root logger stays the user's."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text() if environ.get(env.LOG_FORMAT) == "text" else _Json())
    logger = logging.getLogger("crew_runtime")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
