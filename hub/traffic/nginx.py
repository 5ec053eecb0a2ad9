"""nginx's and Apache's combined access log: client, account, time, user agent; never a prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from hub.traffic.decode import Head, LineFormat, Row
from hub.traffic.problems import RejectError

_LINE: Final = re.compile(
    r'(\S+) \S+ (.*?) \[([^\]]{20,32})\] "(?:[^"\\]|\\.)*" \d{3} (?:\d+|-)'
    r'(?: "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)")?',
    re.ASCII,
)
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([\"\\]))")


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    try:
        found = _LINE.match(line.decode())
        if found is None:
            raise RejectError("not a combined access log line")
        address, user, moment, agent = found.groups()
        return (
            Row(
                observed_at=moment,
                account_id=_text(user),
                client_ip=_text(address),
                user_agent=_text(agent),
            ),
        )
    except UnicodeError as error:
        raise RejectError("not UTF-8") from error


def _text(value: str | None) -> str | None:
    if value is None or value == "-":
        return None
    if "\\" in value:
        return _ESCAPE.sub(_unescaped, value.encode()).decode()
    return value


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)]) if found[1] is not None else found[2]


def _recognised(head: Head) -> bool:
    hits = sum(_LINE.match(line.decode("utf-8", "replace")) is not None for line in head.lines)
    return hits > 0 and 2 * hits >= len(head.lines)


FORMAT: Final = LineFormat(
    name="nginx",
    title="nginx combined access log",
    columns=frozenset({"observed_at", "event_id", "account_id", "client_ip", "user_agent"}),
    recognised=_recognised,
    parse=_parse,
)
