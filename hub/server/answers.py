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
from hub.taxii.times import to_text

_COMPRESS_FROM: Final = 1024
_BEGINNING: Final = to_text(0)
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


def dates(page: Page[Row] | Page[Entry], added_after: int | None) -> dict[str, str]:
    """The two X-TAXII headers, present on every page.

    On an empty page both repeat `added_after`: a client that takes the last one as its next
    `added_after` then stays where it is, which it must (some start from the present without it).
    """
    nothing = _BEGINNING if added_after is None else to_text(added_after)
    return {
        "x-taxii-date-added-first": page.first_added or nothing,
        "x-taxii-date-added-last": page.last_added or nothing,
    }


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
