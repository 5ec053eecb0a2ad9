"""Look for known plaintext where there should be none: in files, databases and process memory.

An operator's or auditor's check of the claim that a hub cannot read what it carries. It looks
through the encodings that the protocol and the transport use (base64, zlib, gzip, zstd), nested, so
that a compressed or encoded leak is found as well as a bare one.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import zstandard

from hub.errors import StoreError

MAX_DEPTH: Final = 4
"""How many encodings may be stacked; a sealed message in an artifact in gzip has three."""
MAX_DECODED_BYTES: Final = 64 << 20
"""Cap on what one compressed stream may unfold to."""

_BASE64_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{32,}={0,2}")
_ZLIB_HEAD: Final = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_GZIP_HEAD: Final = re.compile(rb"\x1f\x8b\x08")
_ZSTD_HEAD: Final = re.compile(rb"\x28\xb5\x2f\xfd")
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_SQLITE_MAGIC: Final = b"SQLite format 3\x00"


def occurrences(data: bytes, needles: Sequence[bytes], *, depth: int = MAX_DEPTH) -> set[bytes]:
    """Find which needles occur in the data, bare or under up to `depth` encodings."""
    found = {needle for needle in needles if needle in data}
    missing = [needle for needle in needles if needle not in found]
    if depth == 0 or not missing:
        return found
    for decoded in _decodings(data):
        found |= occurrences(decoded, missing, depth=depth - 1)
        missing = [needle for needle in missing if needle not in found]
        if not missing:
            break
    return found


def search_folder(folder: Path, needles: Sequence[bytes]) -> dict[str, set[bytes]]:
    """Search every file below a folder; SQLite databases also cell by cell.

    Returns:
        For each file with a hit, its path relative to the folder and the needles in it.
    Raises:
        StoreError: a file cannot be read, so that nothing can be said of it.
    """
    hits: dict[str, set[bytes]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            found = set[bytes]()
            for piece in _pieces(path):
                found |= occurrences(piece, [n for n in needles if n not in found])
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot be searched: {error}", where=str(path)) from error
        if found:
            hits[str(path.relative_to(folder))] = found
    return hits


def search_process(pid: int, needles: Sequence[bytes]) -> set[bytes]:
    """Search the readable memory of a running process (Linux; needs the right to trace it).

    Raises:
        StoreError: the process is gone or its memory may not be read.
    """
    found = set[bytes]()
    try:
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for start, end in _private_regions(maps):
                region = _read_region(memory.fileno(), start, end)
                found |= occurrences(region, [n for n in needles if n not in found])
    except OSError as error:
        raise StoreError(f"memory cannot be read: {error}", where=f"process {pid}") from error
    return found


def _decodings(data: bytes) -> Iterator[bytes]:
    for match in _BASE64_RUN.finditer(data):
        yield from _base64_readings(match.group())
    for head in _ZLIB_HEAD.finditer(data):
        yield _inflate(data[head.start() :], zlib.MAX_WBITS)
    for head in _GZIP_HEAD.finditer(data):
        yield _inflate(data[head.start() :], zlib.MAX_WBITS | 16)
    for head in _ZSTD_HEAD.finditer(data):
        yield _unzstd(data[head.start() :])


def _base64_readings(run: bytes) -> Iterator[bytes]:
    text = run.rstrip(b"=").translate(_TO_STANDARD)
    # A run may begin with characters that belong to its surroundings: read at each alignment.
    for offset in range(4):
        usable = text[offset:]
        usable = usable[: len(usable) - len(usable) % 4]
        try:
            yield base64.b64decode(usable, validate=True)
        except binascii.Error:
            continue


def _inflate(data: bytes, window: int) -> bytes:
    try:
        return zlib.decompressobj(window).decompress(data, MAX_DECODED_BYTES)
    except zlib.error:
        return b""


def _unzstd(data: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    try:
        return reader.stream_reader(data, read_across_frames=False).read(MAX_DECODED_BYTES)
    except zstandard.ZstdError:
        return b""


def _pieces(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    yield content
    if content.startswith(_SQLITE_MAGIC):
        # Long cells are split over pages in the file: only the database itself can join them.
        yield from _cells(path)


def _cells(path: Path) -> Iterator[bytes]:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    connection.text_factory = bytes
    try:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (name,) in tables.fetchall():
            quoted = name.decode().replace('"', '""')
            for row in connection.execute(f'SELECT * FROM "{quoted}"'):
                yield b"\n".join(cell for cell in row if isinstance(cell, bytes))
    finally:
        connection.close()


def _private_regions(maps: Sequence[str]) -> Iterator[tuple[int, int]]:
    for line in maps:
        span, permissions, *_ = line.split()
        if permissions.startswith("rw") and "[vvar]" not in line:
            start, end = (int(part, 16) for part in span.split("-"))
            yield start, end


def _read_region(descriptor: int, start: int, end: int) -> bytes:
    pieces = []
    position = start
    while position < end:
        try:
            piece = os.pread(descriptor, min(end - position, 16 << 20), position)
        except OSError:
            break  # the region was unmapped, or is a guard page
        if not piece:
            break
        pieces.append(piece)
        position += len(piece)
    return b"".join(pieces)
