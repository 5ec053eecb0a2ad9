"""Compression of bodies, with a cap on what decompression may give.

Source: schemas/channel-v1.md, "Bodies"; RFC 1950; RFC 8878.
"""

from __future__ import annotations

import zlib
from typing import Final

import zstandard

from hub.errors import InputError

MAX_PLAIN: Final = 16 * 2**20
_MAX_WINDOW: Final = 8 * 2**20
_ZLIB_LEVEL: Final = 6
_ZSTD_LEVEL: Final = 3


def compress(data: bytes, form: str) -> bytes:
    """Compress.

    Args:
        data: at most 16 MiB.
        form: `zlib` or `zstd`.
    Raises:
        InputError: more than a receiver takes.
    """
    if len(data) > MAX_PLAIN:
        raise InputError(
            f"{len(data)} bytes exceed {MAX_PLAIN}", hint="send several smaller messages"
        )
    if form == "zlib":
        return zlib.compress(data, _ZLIB_LEVEL)
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_content_size=True).compress(data)


def decompress(data: bytes, form: str) -> bytes:
    """Decompress; never allocates more than the cap.

    Args:
        data: one whole stream and nothing after it.
        form: `zlib` or `zstd`, by the policy of the manifest that the header names.
    Raises:
        InputError: not such a stream, or it gives more than 16 MiB.
    """
    return _zlib(data) if form == "zlib" else _zstd(data)


def _zlib(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, MAX_PLAIN + 1)
    except zlib.error:
        raise InputError("not a zlib stream", where="sealed body") from None
    if len(plain) > MAX_PLAIN:
        raise InputError(f"decompresses to more than {MAX_PLAIN} bytes", where="sealed body")
    if not stream.eof or stream.unused_data:
        raise InputError("not one whole zlib stream", where="sealed body")
    return plain


def _zstd(data: bytes) -> bytes:
    try:
        frame = zstandard.get_frame_parameters(data)
        if frame.content_size > MAX_PLAIN or frame.window_size > _MAX_WINDOW or frame.dict_id:
            raise InputError(
                f"decompresses to more than {MAX_PLAIN} bytes, or to an unsaid size",
                where="sealed body",
            )
        return zstandard.ZstdDecompressor().decompress(
            data, max_output_size=MAX_PLAIN, allow_extra_data=False
        )
    except zstandard.ZstdError:
        raise InputError("not one whole zstd frame", where="sealed body") from None
