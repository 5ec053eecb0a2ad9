"""Structured logs: one JSON object a line, without secrets, bodies or query strings.

Nothing is configured at import; `configure` is called by the process that owns standard error.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from hub.server.correlation import CURRENT

ACCESS: Final = "stillwatch.access"
ROOT: Final = "stillwatch"
LEVELS: Final = ("debug", "info", "warning", "error")
_OTHERS: Final = ("opentelemetry", "psycopg.pool")
"""Libraries whose warnings belong into the same stream."""


class JsonFormatter(logging.Formatter):
    """Writes a record and its `fields` (given as `extra={"fields": {...}}`) as JSON.

    A line that is written while a request is served carries that request's id.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback becomes the field `trace`."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        current = CURRENT.get()
        if current is not None:
            line.update(current.fields)
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def configure(*, access: bool, level: str = "info", stream: TextIO | None = None) -> None:
    """Send the hub's logs to standard error.

    Args:
        access: also log every request, from level info downwards.
        level: one of `LEVELS`; what is less grave is not written.
        stream: instead of standard error.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    lowest = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger(ROOT)
    root.setLevel(lowest)
    for logger in (root, *(logging.getLogger(name) for name in _OTHERS)):
        logger.handlers[:] = [handler]
        logger.propagate = False
    quiet = logging.NOTSET if access else max(lowest, logging.WARNING)
    logging.getLogger(ACCESS).setLevel(quiet)
