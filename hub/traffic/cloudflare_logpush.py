"""Cloudflare's AI Gateway by Logpush: metadata and bodies are encrypted, and there is no time.

A row takes the time of its file: the last time in the file's name (an object that Logpush writes
is named by the first and the last time it covers), else the file's date. What is still encrypted
is counted; a file that its key's holder has decrypted, with plain objects or texts in the same
fields, is read whole.

Source: Cloudflare, AI Gateway Logpush.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from hub.traffic.assemble import Withheld
from hub.traffic.bodies import at, first, opened, request_text
from hub.traffic.cloudflare import account
from hub.traffic.decode import Head, JsonLine, Row
from hub.traffic.sequence import SequenceFormat, file_time

_MARKS: Final = frozenset({"Gateway", "Model", "Provider"})
_ENCRYPTED: Final = "encrypted"


class _Record(msgspec.Struct, rename="pascal"):
    gateway: Any = None
    model: Any = None
    provider: Any = None
    metadata: Any = None
    request_body: Any = None
    response_body: Any = None


_record: Final = JsonLine(_Record)


class _Reading:
    def __init__(self, path: Path) -> None:
        self.file_times = 0
        self._moment: datetime = file_time(path)

    def line(self, number: int, data: bytes) -> Iterable[tuple[int, Row]]:
        """One record."""
        record = _record(data)
        usage = {} if _hidden(record.response_body) else opened(record.response_body).get("usage")
        self.file_times += 1
        row = Row(
            observed_at=self._moment.isoformat(),
            account_id=_open(record.metadata, "account_id", account),
            org_id=record.gateway,
            provider_name=record.provider,
            request_model=record.model,
            prompt=_open(record.request_body, "prompt", request_text),
            input_tokens=first(at(usage, "prompt_tokens"), at(usage, "input_tokens")),
            output_tokens=first(at(usage, "completion_tokens"), at(usage, "output_tokens")),
        )
        return ((number, row),)

    def end(self) -> Iterable[tuple[int, Row]]:
        """Nothing is held."""
        return ()


def _hidden(value: Any) -> bool:
    return bool(at(value, "type") == _ENCRYPTED)


def _open(value: Any, column: str, read: Any) -> Any:
    return Withheld(f"{column} is encrypted by its source") if _hidden(value) else read(value)


def _recognised(head: Head) -> bool:
    return any(r.keys() >= _MARKS and r.keys() & {"Metadata", "RequestBody"} for r in head.records)


FORMAT: Final = SequenceFormat(
    name="cloudflare-logpush",
    title="Cloudflare AI Gateway Logpush",
    columns=frozenset(
        {
            "observed_at",
            "event_id",
            "account_id",
            "org_id",
            "provider_name",
            "request_model",
            "prompt",
            "input_tokens",
            "output_tokens",
        }
    ),
    recognised=_recognised,
    begin=_Reading,
)
