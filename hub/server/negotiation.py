"""Content codings and conditional requests: which bytes of a resource a client gets, and whether.

Source: RFC 9110, sections 8.8.3 (ETag), 12.5.3 (Accept-Encoding) and 13.1.2 (If-None-Match).
"""

from __future__ import annotations

import gzip
import hashlib
import re
from typing import Final

import zstandard

COMPRESS_FROM: Final = 1024
"""Shorter bodies are sent as they are: their frames would eat what is won."""
ZSTD: Final = "zstd"
GZIP: Final = "gzip"
_BY_CHOICE: Final = (ZSTD, GZIP)
"""What we would rather send, where the client has no preference."""
_WEIGHT: Final = re.compile(r"q *= *(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_MOST_ELEMENTS: Final = 64
_TAG: Final = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_DIGEST_BYTES: Final = 16


def coding_of(accept_encoding: str | None) -> str:
    """The best content coding that a client reads: `zstd`, `gzip`, or empty for none.

    Without the header nothing is compressed, although anything would be allowed: clients that say
    nothing seldom unpack. Elements that cannot be read count for nothing. Identity is sent even
    where it is refused: an answer in a coding that nobody asked for would be worse.
    """
    if not accept_encoding:
        return ""
    weights = _weights(accept_encoding)
    other = weights.get("*", 0.0)
    best, found = 0.0, ""
    for coding in _BY_CHOICE:
        # Whoever takes anything gets what is known best.
        weight = weights.get(coding, other if coding == GZIP else 0.0)
        if weight > best:
            best, found = weight, coding
    # Somebody may read gzip and prefer not to.
    return "" if weights.get("identity", 0.0) > best else found


def _weights(text: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for element in text.lower().split(",")[:_MOST_ELEMENTS]:
        name, semicolon, rest = element.partition(";")
        weight = 1.0
        if semicolon:
            found = _WEIGHT.fullmatch(rest.strip())
            if found is None:
                continue
            weight = float(found[1])
        name = name.strip()
        weights["gzip" if name == "x-gzip" else name] = weight
    return weights


def compress(coding: str, body: bytes, *, level: int = 1) -> bytes:
    """A body in a content coding; the empty one leaves it as it is."""
    if coding == ZSTD:
        return zstandard.ZstdCompressor(level=level).compress(body)
    if coding == GZIP:
        return gzip.compress(body, compresslevel=level, mtime=0)
    return body


def entity_tag(coding: str, *parts: bytes) -> str:
    """A strong validator: equal tags, equal bytes, for each content coding another."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    suffix = f"-{coding}" if coding else ""
    return f'"{digest.hexdigest()[: 2 * _DIGEST_BYTES]}{suffix}"'


def unchanged(if_none_match: str | None, tag: str) -> bool:
    """Whether the client has this representation already."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return tag.strip('"') in _TAG.findall(if_none_match)
