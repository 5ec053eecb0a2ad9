"""Small logs for the event store's tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def exchange(number: int, *, hours: float = 0.0, **fields: Any) -> dict[str, Any]:
    """One exchange, `hours` after START."""
    return {
        "timestamp": (START + timedelta(hours=hours)).isoformat(),
        "request_id": f"r{number}",
        "account_id": f"acct-{number % 5}",
        "client_ip": f"192.0.2.{number % 200}",
        "model": "example-frontier-4",
        "prompt": f"Explain step by step the answer to task {number} of the long series",
        **fields,
    }


def lines(exchanges: Iterable[dict[str, Any]]) -> str:
    """The exchanges as JSON lines."""
    return "".join(json.dumps(one) + "\n" for one in exchanges)


def write(path: Path, exchanges: Sequence[dict[str, Any]]) -> Path:
    """Write a log of JSON lines."""
    path.write_text(lines(exchanges))
    return path
