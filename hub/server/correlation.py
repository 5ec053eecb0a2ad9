"""Which request a log line, an error message and a trace belong to.

A caller's own `X-Request-Id` and `traceparent` are taken over when they are well-formed, and
ignored otherwise: they come from outside, and end in logs.

Source: W3C Trace Context, section 3.2 (traceparent).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

# Too short for an API token of this hub, so that none sent in the wrong header is ever logged.
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)
_VERSION_0: Final = b"00-"
_LENGTH_0: Final = 55


@dataclass(frozen=True, slots=True)
class Correlation:
    """What names a request.

    Args:
        request_id: the caller's, or 16 random hexadecimal digits.
        trace_id: 32 hexadecimal digits; None when the caller sent none.
        traceparent: the whole well-formed header that it came in.
    """

    request_id: str
    trace_id: str | None = None
    traceparent: str | None = None

    @property
    def fields(self) -> dict[str, str]:
        """For a log line."""
        named = {"request_id": self.request_id}
        if self.trace_id is not None:
            named["trace_id"] = self.trace_id
        return named


CURRENT: Final[ContextVar[Correlation | None]] = ContextVar("stillwatch_correlation", default=None)
"""The request under way, in its task and in pool threads that got a copy of its context."""


def correlate(headers: Iterable[tuple[bytes, bytes]]) -> Correlation:
    """Name a request; of a header that comes twice neither counts.

    Args:
        headers: raw (name, value) pairs, names in lower case.
    """
    ids: list[bytes] = []
    parents: list[bytes] = []
    for name, value in headers:
        if name == b"x-request-id":
            ids.append(value)
        elif name == b"traceparent":
            parents.append(value)
    if len(ids) == 1 and _REQUEST_ID.fullmatch(ids[0]):
        request_id = ids[0].decode("ascii")
    else:
        request_id = secrets.token_hex(8)
    if len(parents) == 1:
        value = parents[0].strip()
        found = _TRACEPARENT.fullmatch(value)
        # Version 0 has exactly four fields; later ones may add more.
        if found and (len(value) == _LENGTH_0 or not value.startswith(_VERSION_0)):
            return Correlation(request_id, found[1].decode("ascii"), value.decode("latin-1"))
    return Correlation(request_id)
