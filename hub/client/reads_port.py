"""The port to what a hub tells an organisation out of its audit log; no answer is trusted.

A stock TAXII server tells nothing, nor does a hub tell accounts without the role; both are None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from hub.client.answers import json_or_none, wrapped
from hub.client.session import GuardedSession
from hub.errors import TransportError

_ABSENT: Final = frozenset({403, 404, 405, 406, 501})
_EVENT: Final = re.compile(r"[a-z][a-z0-9.-]{0,63}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_FIELDS: Final = frozenset({"seq", "time", "event", "organization", "collection", "detail", "hash"})
_MOST_SEQ: Final = 10**15
_MOST_TIME: Final = 253_402_300_799
_MOST_TEXT: Final = 4000
_MOST_DETAILS: Final = 32


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a hub's audit log that concerns this organisation.

    Attributes:
        seq: its number, ascending.
        time: UTC seconds.
        event: such as `government.read`.
        organization: who did it; None when the hub itself did.
        collection: id of the collection.
        detail: what else is said; all texts without characters that steer a terminal.
        hash: in the hub's chain, in hex.
    """

    seq: int
    time: int
    event: str
    organization: str | None
    collection: str | None
    detail: dict[str, str] = field(default_factory=dict)
    hash: str = ""

    @property
    def is_read(self) -> bool:
        """Whether somebody read what this organisation published, or was let to."""
        return self.event.startswith(("government.", "break-glass."))


@dataclass(frozen=True, slots=True)
class Lines:
    """One page of lines, and whether there are more."""

    rows: tuple[Line, ...]
    more: bool


def get_lines(session: GuardedSession, api_root: str, after: int, limit: int) -> Lines | None:
    """Ask for the lines after a number, oldest first; None where nothing is told.

    Raises:
        AccessError: the hub does not take the account.
        TransportError: it is not there, or the answer is not readable.
    """
    url = f"{api_root}audit/"
    with wrapped(url):
        response = session.get(
            url,
            params={"after": str(after), "limit": str(limit)},
            headers={"Accept": "application/json"},
        )
        if response.status_code in _ABSENT:
            return None
        response.raise_for_status()
        body = json_or_none(response)
    try:
        return parse_lines(body, after, limit)
    except (KeyError, TypeError, ValueError) as error:
        raise TransportError(
            "what the hub tells of reads is not readable", where=url, hint="is it a newer release?"
        ) from error.with_traceback(None)


def parse_lines(body: object, after: int, limit: int) -> Lines:
    """Read a page strictly.

    Raises:
        KeyError, TypeError, ValueError: it is not of the form that a hub gives.
    """
    if not isinstance(body, dict) or type(body["more"]) is not bool:
        raise TypeError("page")
    given = body["rows"]
    if not isinstance(given, list) or len(given) > limit or (body["more"] and not given):
        raise ValueError("rows")
    rows = []
    for each in given:
        row = _line(each)
        if row.seq <= after:
            raise ValueError("order")
        after = row.seq
        rows.append(row)
    return Lines(tuple(rows), body["more"])


def _line(given: object) -> Line:
    if not isinstance(given, dict) or not given.keys() >= _FIELDS:
        raise TypeError("line")
    event, digest, detail = given["event"], given["hash"], given["detail"]
    if not isinstance(detail, dict) or len(detail) > _MOST_DETAILS:
        raise TypeError("detail")
    if not _EVENT.fullmatch(event) or not _HASH.fullmatch(digest):
        raise ValueError("event")
    return Line(
        seq=_number(given["seq"], 1, _MOST_SEQ),
        time=_number(given["time"], 0, _MOST_TIME),
        event=event,
        organization=_text_or_none(given["organization"]),
        collection=_text_or_none(given["collection"]),
        detail={_text(name): _text(text) for name, text in detail.items()},
        hash=digest,
    )


def _number(value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError("number")
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MOST_TEXT:
        raise TypeError("text")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value)
