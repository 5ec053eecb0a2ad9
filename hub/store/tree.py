"""The Merkle tree of a log, computed from stored nodes: proofs without reading all leaves.

The tree is that of RFC 6962 over leaves `H(0x00 || digest)`. A *node* (level, position) is the root
of the complete subtree over the leaves from `position << level` to `(position + 1) << level`; level
0 are the leaf hashes. A node never changes once its leaves are there, so a tree of any earlier size
is made of nodes that are stored, and of hashes over at most 48 of them.

Source: RFC 6962, section 2.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

Lookup = Callable[[int, int], bytes]
"""(level, position) to the hash of a node that exists."""


class Node(NamedTuple):
    """A node that an appended leaf completed."""

    level: int
    position: int
    hash: bytes


def leaf_hash(digest: bytes) -> bytes:
    """Hash of the leaf that commits to a digest."""
    return hashlib.sha256(b"\x00" + digest).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of the node over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree: the roots of its complete subtrees, largest first.

    Args:
        size: number of leaves.
        hashes: one hash for each bit that is set in `size`.
    """

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        self.size = size
        self._hashes = list(hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Frontier:
        """What `to_bytes` gave for a tree of this size. Raises ValueError when it is not."""
        if len(data) != 32 * size.bit_count():
            raise ValueError("not the edge of a tree of this size")
        return cls(size, [data[at : at + 32] for at in range(0, len(data), 32)])

    def to_bytes(self) -> bytes:
        """All hashes one after another."""
        return b"".join(self._hashes)

    def append(self, digest: bytes) -> list[Node]:
        """Add a leaf; returns the nodes above level 0 that it completes."""
        made = []
        level, position, found = 0, self.size, leaf_hash(digest)
        while position & 1:
            found = node_hash(self._hashes.pop(), found)
            level, position = level + 1, position >> 1
            made.append(Node(level, position, found))
        self._hashes.append(found)
        self.size += 1
        return made

    @property
    def root(self) -> bytes:
        """Root of the tree."""
        if not self._hashes:
            return EMPTY_ROOT
        found = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            found = node_hash(left, found)
        return found


def root_at(size: int, lookup: Lookup) -> bytes:
    """Root of the tree of an earlier size."""
    return _subtree(0, size, lookup) if size else EMPTY_ROOT


def inclusion(index: int, size: int, lookup: Lookup) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size` leaves, from the leaf upwards.

    `index` is below `size`, and `size` not above the tree's.
    """
    path = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            path.append(_subtree(middle, end, lookup))
            end = middle
        else:
            path.append(_subtree(first, middle, lookup))
            first = middle
    return path[::-1]


def consistency(old: int, new: int, lookup: Lookup) -> list[bytes]:
    """The proof that the tree of `old` leaves is the beginning of that of `new` leaves.

    Empty when `old` is 0 or equal to `new`.
    """
    if old in (0, new):
        return []
    path = []
    first, end = 0, new
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            path.append(_subtree(middle, end, lookup))
            end = middle
        else:
            path.append(_subtree(first, middle, lookup))
            first = middle
    if first:
        path.append(_subtree(first, end, lookup))
    return path[::-1]


def _split(count: int) -> int:
    """The greatest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _subtree(first: int, end: int, lookup: Lookup) -> bytes:
    """Root over the leaves from `first` to `end`.

    `first` is a multiple of a power of two that is not below their number, as it is wherever RFC
    6962 splits a tree: so every complete subtree in it is a node.
    """
    hashes = []
    while first < end:
        level = (end - first).bit_length() - 1
        hashes.append(lookup(level, first >> level))
        first += 1 << level
    found = hashes[-1]
    for left in reversed(hashes[:-1]):
        found = node_hash(left, found)
    return found
