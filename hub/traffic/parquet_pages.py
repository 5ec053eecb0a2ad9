"""What a Parquet column chunk may expand to, which no figure of the footer says.

A dictionary holds a long text once however many rows show it: a few kilobytes of file can stand for
terabytes of text. So the dictionary page itself is looked at before the chunk is read.

Source: Apache Parquet format, `PageHeader` in Thrift's compact protocol, and PLAIN byte arrays.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
import pyarrow as pa

from hub.fingerprint.jit import kernel
from hub.match.index.buffers import Bytes, Whole, frozen
from hub.match.index.words import address, half_at

_HEADER_BYTES: Final = 128
_DICTIONARY_PAGE: Final = 2
_DICTIONARY_HEADER: Final = 7
_UNPACKED_BYTES: Final = 8 << 20
"""A larger dictionary is not unpacked: one value may be as long as all of it."""
_STOP, _TRUE, _FALSE, _I32, _STRUCT = 0, 1, 2, 5, 12
_BYTES: Final = frozenset({"BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"})
_CODECS: Final = {"ZSTD": "zstd", "SNAPPY": "snappy", "GZIP": "gzip", "BROTLI": "brotli"}


class PageHeader(NamedTuple):
    """The header of a page; `size` is its own length, the others those of the page."""

    kind: int
    unpacked: int
    packed: int
    values: int
    size: int


def longest_value(file: BinaryIO, chunk: Any) -> int:
    """The most bytes that one entry of a chunk's dictionary may take; 0 if it has no dictionary.

    Args:
        file: the Parquet file.
        chunk: pyarrow's metadata of the column chunk.
    """
    if chunk.physical_type not in _BYTES:
        return 0
    if "DELTA_BYTE_ARRAY" in chunk.encodings:
        # Each value may repeat all of the one before.
        return int(chunk.total_uncompressed_size)
    starts = (chunk.dictionary_page_offset, chunk.data_page_offset)
    start = min(offset for offset in starts if offset is not None)
    file.seek(start)
    header = page_header(file.read(_HEADER_BYTES))
    if header is None:
        return int(chunk.total_uncompressed_size)
    if header.kind != _DICTIONARY_PAGE:
        return 0
    if chunk.physical_type != "BYTE_ARRAY" or header.unpacked > _UNPACKED_BYTES:
        return header.unpacked
    file.seek(start + header.size)
    page = _unpacked(file.read(min(header.packed, _UNPACKED_BYTES)), header, chunk.compression)
    longest = -1 if page is None else int(_longest(page, header.values))
    return header.unpacked if longest < 0 else longest


def _unpacked(data: bytes, header: PageHeader, compression: str) -> Bytes | None:
    if compression == "UNCOMPRESSED":
        return frozen(np.frombuffer(data, dtype=np.uint8))
    if compression not in _CODECS:
        return None
    try:
        page = pa.Codec(_CODECS[compression]).decompress(data, header.unpacked)
    except (pa.ArrowException, OSError):
        return None
    return frozen(np.frombuffer(page, dtype=np.uint8))


@kernel
def _longest(page: Bytes, values: Whole) -> Whole:
    """The longest of so many byte arrays, each after its length in four bytes; -1: damaged."""
    at = np.int64(0)
    longest = np.int64(0)
    for _ in range(values):
        if at + 4 > page.size:
            return np.int64(-1)
        size = np.int64(half_at(address(page) + at))
        at += 4 + size
        longest = max(longest, size)
    return longest if at <= page.size else np.int64(-1)


def page_header(data: bytes) -> PageHeader | None:
    """Read the header of a page; None if it is none, or cut short."""
    try:
        fields, size = _struct(data, 0)
        kind, unpacked, packed = (fields[number] for number in (1, 2, 3))
        values = fields.get(_DICTIONARY_HEADER, {}).get(1, 0)
    except (IndexError, KeyError, ValueError, AttributeError):
        return None
    if min(kind, unpacked, packed, values) < 0:
        return None
    return PageHeader(kind, unpacked, packed, values, size)


def _struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct as far as they are plain or the dictionary's, and where they end."""
    fields: dict[int, Any] = {}
    number = 0
    while data[at] != _STOP:
        step, kind = data[at] >> 4, data[at] & 15
        if step == 0:
            raise ValueError
        number += step
        at += 1
        if kind == _I32:
            fields[number], at = _whole(data, at)
        elif kind == _STRUCT and number == _DICTIONARY_HEADER:
            fields[number], at = _struct(data, at)
        elif kind not in (_TRUE, _FALSE):
            # Headers of data pages may go on; nothing of that is needed.
            break
    return fields, at + 1


def _whole(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return (value >> 1) ^ -(value & 1), at + 1
        at += 1
        shift += 7
        if shift > 28:
            raise ValueError
