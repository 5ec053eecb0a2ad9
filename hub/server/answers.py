"""HTTP answers: headers that every one carries, compression, and errors as TAXII resources.

Source: TAXII 2.1, sections 1.6 (HTTP), 3.2 (headers) and 3.6.1 (error message).
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any, Final

import zstandard
from starlette.requests import Request
from starlette.responses import Response

from hub.errors import StillwatchError
from hub.server.refusals import RefusalError, status_of
from hub.store.records import Entry, Page, Row
from hub.taxii import media, wire
from hub.taxii.cursor import position
from hub.taxii.filters import Filters
from hub.taxii.times import to_text

_COMPRESS_FROM: Final = 1024
_FIRST: Final = "x-taxii-date-added-first"
_LAST: Final = "x-taxii-date-added-last"
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
    """An answer of any media type, compressed when that pays and the client reads it."""
    sent = {**_SECURITY, "vary": "accept, accept-encoding, authorization", **(headers or {})}
    if request.url.scheme == "https":
        sent["strict-transport-security"] = "max-age=31536000"
    if len(body) >= _COMPRESS_FROM:
        coding, body = _compress(request.headers.get("accept-encoding", ""), body)
        if coding:
            sent["content-encoding"] = coding
    response = Response(b"", status, media_type=None)
    response.raw_headers = [
        (b"content-type", media_type.encode("ascii")),
        (b"content-length", str(len(body)).encode("ascii")),
        *((name.encode("ascii"), value.encode("latin-1")) for name, value in sent.items()),
    ]
    # The length of an answer to HEAD is that of the answer to GET; its body stays here.
    response.body = b"" if request.method == "HEAD" else body
    return response


def dates(page: Page[Row] | Page[Entry], asked: Filters) -> dict[str, str]:
    """The two X-TAXII headers, present on every page.

    On an empty page both say where the client stands already (`added_after`, or the place that
    `next` names): who takes the last one as its next `added_after` then loses nothing and does not
    start over, as some do without it.
    """
    if not page.rows:
        stands = [0 if asked.added_after is None else asked.added_after]
        if asked.next is not None:
            stands.append(position(asked.next))
        nothing = to_text(max(stands))
        return {_FIRST: nothing, _LAST: nothing}
    first, last = page.rows[0].date_added, page.rows[-1].date_added
    return {_FIRST: to_text(first), _LAST: to_text(last)}


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
    headers: Mapping[str, Any] = error.headers if isinstance(error, RefusalError) else {}
    return taxii(request, wire.encode(resource), status=status, headers=headers)


def _compress(accepted: str, body: bytes) -> tuple[str, bytes]:
    codings = _codings(accepted)
    if "zstd" in codings:
        return "zstd", zstandard.ZstdCompressor(level=1).compress(body)
    if "gzip" in codings:
        return "gzip", gzip.compress(body, compresslevel=1, mtime=0)
    return "", body


def _codings(accepted: str) -> set[str]:
    codings = set()
    for element in accepted.lower().split(","):
        name, _, parameters = element.partition(";")
        if parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            codings.add(name.strip())
    return codings
