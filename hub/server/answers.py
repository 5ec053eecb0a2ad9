"""HTTP answers: headers that every one carries, compression, and errors as TAXII resources.

Source: TAXII 2.1, sections 1.6 (HTTP), 3.2 (headers) and 3.6.1 (error message).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hub.errors import StillwatchError
from hub.server.negotiation import COMPRESS_FROM, coding_of, compress, entity_tag, unchanged
from hub.server.refusals import RefusalError, status_of
from hub.server.segments import Segment
from hub.store.records import Entry, Page, Row
from hub.taxii import media, wire
from hub.taxii.cursor import position
from hub.taxii.filters import Filters
from hub.taxii.times import to_text

_FIRST: Final = "x-taxii-date-added-first"
_LAST: Final = "x-taxii-date-added-last"
_VARY: Final = "accept, accept-encoding, authorization, x-api-key"
REVALIDATE: Final = "private, no-cache"
"""Its holder may keep it, and asks before each use: rights and contents change."""
_RETRY_SECONDS: Final = 1
_SECURITY: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def taxii(
    request: Request,
    body: bytes,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer that carries a TAXII resource."""
    return plain(request, body, media_type=media.TAXII, status=status, headers=headers)


def plain(
    request: Request,
    body: bytes,
    *,
    media_type: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer of any media type, compressed when that pays and the client reads it.

    What is there to be read has a validator: who holds the same bytes gets 304 instead of them.
    """
    sent = {**common(request), **(headers or {})}
    readable = status == 200 and request.method in ("GET", "HEAD")
    chosen = coding(request) if len(body) >= COMPRESS_FROM else ""
    if chosen:
        sent["content-encoding"] = chosen
    if readable:
        told = [sent[name].encode() for name in (_FIRST, _LAST) if name in sent]
        tag = entity_tag(chosen, body, *told)
        sent |= {"etag": tag, "cache-control": REVALIDATE}
        if holds(request, tag):
            return not_modified(sent)
    return _response(request, compress(chosen, body), media_type, status, sent)


def segment(request: Request, found: Segment, headers: Mapping[str, str]) -> Response:
    """A page of objects that was rendered before, in a coding that the client reads."""
    sent = {**common(request), **headers, "etag": found.tag, "cache-control": REVALIDATE}
    if found.coding:
        sent["content-encoding"] = found.coding
    if holds(request, found.tag):
        return not_modified(sent)
    return _response(request, found.body, media.TAXII, 200, sent)


def coding(request: Request) -> str:
    """The content coding that an answer to this request should have."""
    lines = request.headers.getlist("accept-encoding")
    return coding_of(", ".join(lines) if lines else None)


def holds(request: Request, tag: str) -> bool:
    """Whether the client has the representation with this ETag already."""
    lines = request.headers.getlist("if-none-match")
    return bool(lines) and unchanged(", ".join(lines), tag)


def common(request: Request) -> dict[str, str]:
    """The headers of every answer."""
    sent = {**_SECURITY, "vary": _VARY}
    if request.scope["scheme"] == "https":
        sent["strict-transport-security"] = "max-age=31536000"
    return sent


def not_modified(sent: Mapping[str, str]) -> Response:
    """304 with the headers that a full answer would have had."""
    response = Response(b"", 304, media_type=None)
    response.raw_headers = _raw(sent, without="content-encoding")
    return response


def _response(
    request: Request, body: bytes, media_type: str, status: int, sent: Mapping[str, str]
) -> Response:
    response = Response(b"", status, media_type=None)
    response.raw_headers = [
        (b"content-type", media_type.encode("ascii")),
        (b"content-length", str(len(body)).encode("ascii")),
        *_raw(sent),
    ]
    # The length of an answer to HEAD is that of the answer to GET; its body stays here.
    response.body = b"" if request.method == "HEAD" else body
    return response


def _raw(sent: Mapping[str, str], *, without: str = "") -> list[tuple[bytes, bytes]]:
    return [
        (name.encode("ascii"), value.encode("latin-1"))
        for name, value in sent.items()
        if name != without
    ]


def dates(page: Page[Row] | Page[Entry], asked: Filters) -> dict[str, str]:
    """The two X-TAXII headers, present on every page.

    On an empty page both say where the client stands already (`added_after`, or the place that
    `next` names): who takes the last one as its next `added_after` then loses nothing and does not
    start over, as some do without it.
    """
    return between(page.first_added, page.last_added, asked)


def between(first: str | None, last: str | None, asked: Filters) -> dict[str, str]:
    """`dates` of a page of which these are the first and the last; None of an empty page."""
    if first is not None and last is not None:
        return {_FIRST: first, _LAST: last}
    stands = [0 if asked.added_after is None else asked.added_after]
    if asked.next is not None:
        stands.append(position(asked.next))
    nothing = to_text(max(stands))
    return {_FIRST: nothing, _LAST: nothing}


def failure(request: Request, error: StillwatchError, *, error_id: str) -> Response:
    """An error as a TAXII error message; without the cause's internals."""
    status, title = status_of(error)
    details = {}
    if error.where:
        details["where"] = error.where
    if error.hint:
        details["hint"] = error.hint
    resource = wire.Error(
        title=title,
        description=error.message if status != 500 else None,
        error_id=error_id,
        http_status=str(status),
        details=details or None,
    )
    headers: dict[str, str] = dict(error.headers) if isinstance(error, RefusalError) else {}
    if status == 503:
        headers.setdefault("retry-after", str(_RETRY_SECONDS))
    return taxii(request, wire.encode(resource), status=status, headers=headers)
