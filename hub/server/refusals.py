"""Why the hub does not do what a request asks, and the one table of HTTP codes.

Source: TAXII 2.1, sections 3.6.1 (error message) and 4 to 5 (common error codes); RFC 9110.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.errors import (
    AccessError,
    ConflictError,
    InputError,
    StillwatchError,
    StoreAwayError,
    StoreError,
    TransportError,
    VerificationError,
)


class RefusalError(StillwatchError):
    """A request ends here.

    Args:
        headers: to be sent along, in lower case.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.headers = dict(headers or {})


class MalformedError(RefusalError, InputError):
    """HTTP that two servers might read differently."""


class HeadersTooLargeError(RefusalError, InputError):
    """The request line and headers are longer than their cap."""


class UnauthenticatedError(RefusalError, AccessError):
    """No valid credentials."""


class TooManyFailuresError(RefusalError, AccessError):
    """One address keeps trying wrong credentials."""


class TooManyRequestsError(RefusalError, AccessError):
    """One account or address asks more often than it may."""


class ForbiddenError(RefusalError, AccessError):
    """The principal may know of it but not do it."""


class HiddenError(RefusalError, AccessError):
    """It does not exist, or the principal may not know that it does."""


class MethodNotAllowedError(RefusalError, InputError):
    """The path exists, this method on it does not."""


class NotAcceptableError(RefusalError, InputError):
    """The client accepts no media type that the hub can answer with."""


class UnsupportedMediaError(RefusalError, InputError):
    """The body's media type or encoding is not one that the hub reads."""


class TooLargeError(RefusalError, InputError):
    """The body is longer than the API root's `max_content_length`."""


class RangeError(RefusalError, InputError):
    """The file ends before the range that is asked for."""


class UnprocessableError(RefusalError, InputError):
    """The body is JSON, but not what the endpoint takes."""


class TooSlowError(RefusalError, TransportError):
    """The body did not arrive in time."""


class LengthMismatchError(RefusalError, TransportError):
    """The client went away, or broke off its body."""


class TooManyStreamsError(RefusalError, AccessError):
    """One account holds as many streams of events as it may."""


class BusyError(RefusalError, StoreError):
    """The appender's queue is full, or the hub is stopping."""


class IssuerDownError(RefusalError, TransportError):
    """The authorisation server that made a token cannot be asked about it."""


_STATUS: Final[tuple[tuple[type[StillwatchError], int, str], ...]] = (
    (UnauthenticatedError, 401, "Authentication required"),
    (HeadersTooLargeError, 431, "Headers too large"),
    (TooManyFailuresError, 429, "Too many failed log-ins"),
    (TooManyRequestsError, 429, "Too many requests"),
    (TooManyStreamsError, 429, "Too many streams"),
    (ForbiddenError, 403, "Not permitted"),
    (HiddenError, 404, "Not found"),
    (MethodNotAllowedError, 405, "Method not allowed"),
    (NotAcceptableError, 406, "Not acceptable"),
    (UnsupportedMediaError, 415, "Unsupported media type"),
    (TooLargeError, 413, "Body too large"),
    (RangeError, 416, "No such range"),
    (UnprocessableError, 422, "Unprocessable content"),
    (TooSlowError, 408, "Body too slow"),
    (LengthMismatchError, 400, "Body incomplete"),
    (BusyError, 503, "Busy"),
    (IssuerDownError, 503, "Authorisation server unavailable"),
    (StoreAwayError, 503, "Storage away"),
    (VerificationError, 422, "Verification failed"),
    (InputError, 400, "Bad request"),
    (AccessError, 403, "Not permitted"),
    (ConflictError, 409, "Conflict"),
    (StoreError, 507, "Storage failed"),
)


def status_of(error: StillwatchError) -> tuple[int, str]:
    """The HTTP status and title of an error; 500 for a family that no request may cause."""
    for family, status, title in _STATUS:
        if isinstance(error, family):
            return status, title
    return 500, "Internal error"
