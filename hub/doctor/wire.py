"""The port between the doctor and a server: one request, one bounded answer, no retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from hub.errors import TransportError


class Trouble(StrEnum):
    """Why there was no answer to judge."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIMEOUT = "timeout"
    TOO_LARGE = "too-large"
    BROKEN = "broken"


class UnansweredError(TransportError):
    """No whole answer came.

    Args:
        trouble: which of the reasons.
        message: in our own words; never the server's bytes.
    """

    def __init__(self, trouble: Trouble, message: str, *, where: str | None = None) -> None:
        super().__init__(message, where=where)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    Args:
        url: absolute, with its query.
        headers: exactly what is sent, besides Host, Content-Length and Connection.
        timeout_s: seconds for connecting, and for the whole answer.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout_s: float = 30.0

    @property
    def target(self) -> str:
        """Path and query, as in the request line."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, its body decompressed.

    Args:
        headers: names in lower case.
        seconds: until the last byte.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    seconds: float = 0.0


Ask = Callable[[Request], Answer]
"""Sends one request; redirects are not followed. Raises UnansweredError."""
