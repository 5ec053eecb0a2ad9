"""The opaque `next` of a page: a position in a collection's order, without server state.

A cursor says only where in an order that its holder may read anyway to go on, so it needs no
signature: who makes one up can skip or repeat objects for himself. It carries a check value, so
that a mangled one is refused instead of silently losing objects, and the store's epoch, so that
one from before a restore is not taken for a place in another history.

Source: TAXII 2.1, section 3.5 (pagination).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from typing import Final

from hub.errors import InputError
from hub.taxii.times import LATEST

# format version, epoch, position, then the check value: 27 octets, 36 characters, no padding.
_LAYOUT: Final = struct.Struct(">B8sq10s")
_VERSION: Final = 1
_CHECKED: Final = 17


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page starts.

    Args:
        position: date_added of the last row given out, microseconds UTC; the page holds
            rows with a greater one.
        epoch: incarnation of the store's data (changes on restore), 16 hex digits.
        collection_id: a cursor is good for its own collection only.
    """

    position: int
    epoch: str
    collection_id: str


def encode(cursor: Cursor) -> str:
    """Write a cursor as URL-safe text; equal cursors give equal text."""
    epoch = bytes.fromhex(cursor.epoch)
    head = _LAYOUT.pack(_VERSION, epoch, cursor.position, b"")[:_CHECKED]
    return base64.urlsafe_b64encode(head + _check(head, cursor.collection_id)).decode("ascii")


def decode(text: str, *, epoch: str, collection_id: str) -> Cursor:
    """Read a cursor that this store gave out for this collection.

    Raises:
        InputError: altered, truncated, of another collection, or from before a restore;
            `where` is "next".
    """
    try:
        octets = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        version, found_epoch, position, check = _LAYOUT.unpack(octets)
    except (UnicodeEncodeError, binascii.Error, struct.error) as error:
        raise _refused("not a cursor of this hub") from error
    if version != _VERSION or check != _check(octets[:_CHECKED], collection_id):
        raise _refused("not a cursor of this collection")
    if found_epoch.hex() != epoch:
        raise _refused("the cursor is from before this hub was restored")
    return Cursor(position=position, epoch=epoch, collection_id=collection_id)


def position(text: str) -> int:
    """Where a cursor that has been read already points: microseconds UTC, exclusive.

    One that its holder made up may point anywhere; it is cut to what can be written as a time.
    """
    _, _, found, _ = _LAYOUT.unpack(base64.urlsafe_b64decode(text))
    return min(int(found), LATEST)


def _check(head: bytes, collection_id: str) -> bytes:
    return hashlib.sha256(b"stillwatch-cursor" + head + collection_id.encode()).digest()[:10]


def _refused(reason: str) -> InputError:
    return InputError(reason, where="next", hint="start again without next")
