"""nginx's and Apache's combined access log: client, account, time, user agent; never a prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from hub.traffic.decode import Head, LineFormat, Row
from hub.traffic.problems import RejectError

_LINE: Final = re.compile(
    rb'(\S+) \S+ (.*?) \[([^\]]{20,32})\] "(?:[^"\\]|\\.)*" \d{3} (?:\d+|-)'
    rb'(?: "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)")?'
)
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([\"\\]))")


def _parse(line: bytes) -> Sequence[tuple[Any, ...]]:
    found = _LINE.match(line)
    if found is None:
        raise RejectError("not a combined access log line")
    address, user, moment, agent = found.groups()
    try:
        return (
            Row(
                observed_at=moment.decode("ascii"),
                account_id=None if user == b"-" else _text(user),
                client_ip=None if address == b"-" else _text(address),
                user_agent=None if agent is None or agent == b"-" else _text(agent),
            ),
        )
    except UnicodeError as error:
        raise RejectError("not UTF-8") from error


def _text(value: bytes) -> str:
    if b"\\" in value:
        value = _ESCAPE.sub(
            lambda m: bytes([int(m[1], 16)]) if m[1] is not None else m[2],
            value,
        )
    return value.decode()


def _recognised(head: Head) -> bool:
    hits = sum(_LINE.match(line) is not None for line in head.lines)
    return hits > 0 and 2 * hits >= len(head.lines)


FORMAT: Final = LineFormat(
    name="nginx",
    title="nginx combined access log",
    columns=frozenset({"observed_at", "event_id", "account_id", "client_ip", "user_agent"}),
    recognised=_recognised,
    parse=_parse,
)
