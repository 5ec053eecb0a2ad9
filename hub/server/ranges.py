"""Files in pieces: one byte range of a request, and an answer that reads as it sends.

Source: RFC 9110, section 14 (range requests) and 13.1.5 (If-Range).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub.server.refusals import RangeError

_ONE: Final = re.compile(
    r"bytes *= *(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))", re.IGNORECASE
)
_PIECE: Final = 256 * 1024


def wanted(header: str | None, if_range: str | None, tag: str, size: int) -> range | None:
    """The bytes that a request asks for; None for all of them.

    Several ranges, another unit and what cannot be read are answered with everything, as a server
    may; so is a range of a file that the client holds in another version.

    Raises:
        RangeError: it begins behind the end.
    """
    found = None if header is None else _ONE.fullmatch(header.strip())
    if found is None or (if_range is not None and if_range.strip() != tag):
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        begin, end = max(0, size - int(suffix)), size
    else:
        begin, end = int(first), size if last is None else min(size, int(last) + 1)
        if last is not None and int(last) < begin:
            return None
    if begin >= end:
        raise RangeError(
            f"the file has {size} bytes",
            where="Range",
            headers={"content-range": f"bytes */{size}"},
        )
    return range(begin, end)


class FileRange(Response):
    """A file, or a part of it, read in pieces while it is sent.

    Args:
        path: the file; it is opened before the answer begins.
        size: of the whole file.
        part: which bytes; None for all.
        headers: beside those of the range.
        method: HEAD answers without a body.
    Raises:
        FileNotFoundError: it is not there.
    """

    def __init__(
        self,
        path: Path,
        size: int,
        part: range | None,
        headers: Mapping[str, str],
        method: str,
    ) -> None:
        super().__init__(None, 200 if part is None else 206, media_type=None)
        self._bytes = range(size) if part is None else part
        self._file = path.open("rb")
        self._silent = method == "HEAD"
        sent = {**headers, "accept-ranges": "bytes", "content-length": str(len(self._bytes))}
        if part is not None:
            sent["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        self.raw_headers = [(name.encode(), value.encode()) for name, value in sent.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; a file that is shorter than it should be ends the connection."""
        del scope, receive
        with self._file as file:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            file.seek(self._bytes.start)
            left = 0 if self._silent else len(self._bytes)
            while left:
                piece = await asyncio.to_thread(file.read, min(left, _PIECE))
                if not piece:
                    raise EOFError
                left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
            if self._silent:
                await send({"type": "http.response.body", "body": b""})
