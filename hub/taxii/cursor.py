"""The opaque `next` of a page: a position in a collection's order, without server state.

Source: TAXII 2.1, section 3.5 (pagination).
"""

from __future__ import annotations

from dataclasses import dataclass


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
    raise NotImplementedError


def decode(text: str, *, epoch: str, collection_id: str) -> Cursor:
    """Read a cursor that this store gave out for this collection.

    Raises:
        InputError: altered, truncated, of another collection, or from before a restore;
            `where` is "next".
    """
    raise NotImplementedError
