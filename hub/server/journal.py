"""Structured logs: one JSON object a line, without secrets, bodies or query strings.

Nothing is configured at import; `configure` is called by the process that owns standard error.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

ACCESS: Final = "stillwatch.access"
ROOT: Final = "stillwatch"


class JsonFormatter(logging.Formatter):
    """Writes a record and its `fields` (given as `extra={"fields": {...}}`) as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback becomes the field `trace`."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def configure(*, access: bool, stream: TextIO | None = None) -> None:
    """Send the hub's logs to standard error.

    Args:
        access: also log every request.
        stream: instead of standard error.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger(ROOT)
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
    logging.getLogger(ACCESS).setLevel(logging.INFO if access else logging.WARNING)
