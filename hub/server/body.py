"""Reading a request's body within its caps of size and time.

Source: TAXII 2.1, sections 1.6.8 (content negotiation) and 5.5 (413, 415).
"""

from __future__ import annotations

import asyncio
import zlib

from starlette.requests import ClientDisconnect, Request

from hub.errors import InputError
from hub.server.refusals import (
    LengthMismatchError,
    TooLargeError,
    TooSlowError,
    UnsupportedMediaError,
)
from hub.settings import HubLimits
from hub.taxii import media

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_CLOSE = {"connection": "close"}


def check_headers(request: Request, limits: HubLimits, *, taxii: bool = True) -> str:
    """Refuse by the headers what can be refused before a byte of the body is read.

    Returns:
        The content encoding: "identity" or "gzip".
    Raises:
        UnsupportedMediaError: not a TAXII body, or in an encoding other than gzip.
        TooLargeError: a declared length beyond the cap.
    """
    types, encodings, lengths = [], [], ["0"]
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            types.append(value.decode("latin-1"))
        elif name == b"content-encoding":
            encodings.append(value.decode("latin-1"))
        elif name == b"content-length":
            lengths.append(value.decode("latin-1"))
    if taxii and not (len(types) == 1 and media.is_taxii_content(types[0])):
        raise UnsupportedMediaError(
            "the body's media type is not one that this hub reads",
            where="Content-Type",
            hint=f"send {media.TAXII}",
            headers={"accept-post": media.TAXII},
        )
    encoding = ", ".join(encodings or ["identity"]).strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMediaError(
            "bodies are read plain or gzip",
            where="Content-Encoding",
            headers={"accept-encoding": "gzip, identity"},
        )
    for declared in lengths:
        if not declared.isascii() or not declared.isdigit():
            raise InputError("not a length", where="Content-Length")
        if int(declared[:20]) > limits.content_length:
            raise _too_large(limits)
    return "identity" if encoding == "identity" else "gzip"


async def read_body(request: Request, limits: HubLimits, *, encoding: str = "identity") -> bytes:
    """Read and decompress the body.

    Memory stays below twice the cap, whatever the body claims to inflate to.

    Raises:
        TooLargeError: longer than the cap, before or after decompression.
        TooSlowError: not here in time.
        LengthMismatchError: the client broke off.
        InputError: not the gzip that it claims to be.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.content_length:
                    raise _too_large(limits)
                chunks.append(chunk)
    except TimeoutError as error:
        raise TooSlowError(
            f"the body did not arrive within {limits.body_seconds:g} seconds", headers=_CLOSE
        ) from error
    except ClientDisconnect as error:
        raise LengthMismatchError("the body broke off", headers=_CLOSE) from error
    declared = request.headers.get("content-length")
    if declared is not None and int(declared) != size:
        raise LengthMismatchError("the body is not as long as declared", headers=_CLOSE)
    body = b"".join(chunks)
    return body if encoding == "identity" else _inflate(body, limits)


def _inflate(body: bytes, limits: HubLimits) -> bytes:
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = inflater.decompress(body, limits.content_length + 1)
    except zlib.error as error:
        raise InputError("the body is not gzip", where="body") from error
    if len(plain) > limits.content_length:
        raise _too_large(limits)
    if not inflater.eof or inflater.unused_data:
        raise InputError("the gzip body is cut off or has something after it", where="body")
    return plain


def _too_large(limits: HubLimits) -> TooLargeError:
    return TooLargeError(
        f"a body may have {limits.content_length} bytes",
        where="body",
        hint="send fewer objects in one envelope",
        headers=_CLOSE,
    )
