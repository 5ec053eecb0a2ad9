"""How the Merkle tree of a log grows: which nodes each leaf completes.

The tree is that of RFC 6962 over leaves `H(0x00 || digest)`. A *node* (level, position) is the root
of the complete subtree over the leaves from `position << level` to `(position + 1) << level`; level
0 are the leaf hashes. A node never changes once its leaves are there, so that whoever has the nodes
makes any proof for any earlier size from some forty of them.

Source: RFC 6962, section 2.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple


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
