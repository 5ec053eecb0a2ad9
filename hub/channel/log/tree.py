"""The Merkle tree over the messages of a channel: hashes, roots, proofs.

Leaf `n` is the digest of the n-th message. A *node* is the hash of a perfect subtree: node
`(level, at)` covers the `2**level` leaves from `at << level`. Every range of leaves is a row of
perfect subtrees, so whoever stores nodes as they become complete (`Frontier.append` names them)
makes a root or a proof for any size from some `2 * log2(size)` of them.
Source: RFC 6962, section 2.1; RFC 9162, sections 2.1.3 and 2.1.4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from hub.channel.primitives.hash import HASH_SIZE, Reader, u64
from hub.errors import InputError, VerificationError

MAX_SIZE: Final = 2**48
# A proof has at most one hash for each level, a consistency proof one more.
MAX_PROOF: Final = 49
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
_sha256 = hashlib.sha256


class Node(NamedTuple):
    """The place of a perfect subtree: its `2**level` leaves begin at `at << level`."""

    level: int
    at: int


class NodeSource(Protocol):
    """Hashes of perfect subtrees, from wherever they are kept."""

    def nodes(self, wanted: Sequence[Node]) -> Sequence[bytes]:
        """The hash of each wanted node, in this order; all are complete in the tree's size."""
        ...


def leaf_hash(digest: bytes) -> bytes:
    """H(0x00 ‖ digest): the leaf of a message.

    Args:
        digest: what the leaf stands for; a message's digest is 32 bytes.
    """
    return _sha256(b"\x00" + digest).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """H(0x01 ‖ left ‖ right): the parent of two nodes."""
    return _sha256(b"\x01" + left + right).digest()


class Frontier:
    """The least that must be kept of a tree to let it grow: the perfect subtrees that it ends in.

    Args:
        size: number of leaves.
        hashes: one for each bit that is set in `size`, the largest subtree first.
    Raises:
        InputError: they do not fit each other.
    """

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if not 0 <= size <= MAX_SIZE or len(hashes) != size.bit_count():
            raise InputError("a frontier has one hash for each bit of its size", where="log")
        if any(len(each) != HASH_SIZE for each in hashes):
            raise InputError(f"a hash has {HASH_SIZE} bytes", where="log")
        self._size = size
        self._hashes = list(hashes)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The perfect subtrees, the largest first."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> list[tuple[Node, bytes]]:
        """Add a leaf.

        Args:
            leaf: its leaf hash.
        Returns:
            The nodes that are complete now, the leaf itself first, for who stores nodes.
        Raises:
            InputError: the tree is full.
        """
        if self._size >= MAX_SIZE:
            raise InputError(f"a log has at most {MAX_SIZE} entries", where="log")
        index, level, value = self._size, 0, leaf
        complete = [(Node(0, index), value)]
        while index & 1:
            value = node_hash(self._hashes.pop(), value)
            index, level = index >> 1, level + 1
            complete.append((Node(level, index), value))
        self._hashes.append(value)
        self._size += 1
        return complete

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """The root of the tree: 32 bytes."""
        return _fold(self._hashes) if self._hashes else EMPTY_ROOT

    def copy(self) -> Frontier:
        """One that grows on its own."""
        return Frontier(self._size, self._hashes)

    def to_bytes(self) -> bytes:
        """u64(size) and the hashes."""
        return u64(self._size) + b"".join(self._hashes)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """What `to_bytes` gave.

        Raises:
            InputError: it is not of this form.
        """
        reader = Reader(data, "log frontier")
        size = int.from_bytes(reader.fixed(8, "size"), "big")
        count = size.bit_count() if size <= MAX_SIZE else 0
        frontier = cls(size, [reader.fixed(HASH_SIZE, "hash") for _ in range(count)])
        reader.end()
        return frontier


class LeafNodes:
    """A `NodeSource` over leaf hashes in memory; each subtree is hashed once.

    Args:
        leaves: leaf hashes, in order.
    """

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels: list[list[bytes]] = [list(leaves)]

    def nodes(self, wanted: Sequence[Node]) -> Sequence[bytes]:
        """The hash of each wanted node.

        Raises:
            InputError: a node is not complete yet.
        """
        found = []
        for level, at in wanted:
            row = self._level(level)
            if not 0 <= at < len(row):
                raise InputError("the log has no such node yet", where="log")
            found.append(row[at])
        return found

    def _level(self, level: int) -> list[bytes]:
        while len(self._levels) <= level:
            below = self._levels[-1]
            self._levels.append(
                [node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
            )
        return self._levels[level]


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes, in order: MTH of RFC 6962.

    Args:
        leaves: leaf hashes.
    """
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def cover(start: int, end: int) -> list[Node]:
    """The fewest perfect subtrees that make up the leaves `start` to `end - 1`, in order."""
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        found.append(Node(level, start >> level))
        start += 1 << level
    return found


def root_at(source: NodeSource, size: int) -> bytes:
    """The root that a log had at a size.

    Args:
        source: of a log of at least this size.
        size: number of leaves.
    """
    return _subtrees(source, [(0, size)])[0] if size else EMPTY_ROOT


def inclusion_proof(source: NodeSource, index: int, size: int) -> list[bytes]:
    """The audit path of a leaf: PATH of RFC 6962, from the leaf's sibling upwards.

    Args:
        source: of a log of at least `size` leaves.
        index: of the leaf, from 0.
        size: of the tree that the path leads to the root of.
    Raises:
        InputError: the tree of that size has no such leaf.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise InputError(f"no entry {index} in a log of {size}", where="log proof")
    ranges: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return _subtrees(source, ranges[::-1])


def consistency_proof(source: NodeSource, first: int, second: int) -> list[bytes]:
    """What shows that the tree of size `second` continues the one of size `first`.

    Args:
        source: of a log of at least `second` leaves.
        first: the smaller size; for 0 the proof is empty.
        second: the larger size; for `first` the proof is empty.
    Raises:
        InputError: the sizes are not in this order.
    """
    if not 0 <= first <= second <= MAX_SIZE:
        raise InputError(f"no consistency from {first} to {second}", where="log proof")
    if first in (0, second):
        return []
    ranges: list[tuple[int, int]] = []
    start, end, known = 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, known = middle, False
    if not known:
        ranges.append((start, end))
    return _subtrees(source, ranges[::-1])


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes, *, where: str = "proof"
) -> None:
    """Check that a leaf is in the tree with a root (RFC 9162, section 2.1.3.2).

    Args:
        leaf: its leaf hash.
        index: its position, from 0.
        size: of the tree.
        proof: audit path, the leaf's sibling first.
        root: of the tree.
        where: the place, for the error.
    Raises:
        VerificationError: it is not.
    """
    if not 0 <= index < size <= MAX_SIZE or len(proof) > MAX_PROOF:
        raise VerificationError("no inclusion proof of this shape holds", where=where)
    position, last, value = index, size - 1, leaf
    for each in proof:
        if not last:
            raise VerificationError("the inclusion proof is too long", where=where)
        if position & 1 or position == last:
            value = node_hash(each, value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            value = node_hash(value, each)
        position, last = position >> 1, last >> 1
    if last:
        raise VerificationError("the inclusion proof is too short", where=where)
    if value != root:
        raise VerificationError("the inclusion proof leads to another root", where=where)


def verify_consistency(
    first: int,
    first_root: bytes,
    second: int,
    second_root: bytes,
    proof: Sequence[bytes],
    *,
    where: str = "proof",
) -> None:
    """Check that one tree continues another (RFC 9162, section 2.1.4.2).

    Args:
        first: size of the smaller tree; 0 is the beginning of every tree.
        first_root: its root.
        second: size of the larger tree.
        second_root: its root.
        proof: as `consistency_proof` makes it.
        where: the place, for the error.
    Raises:
        VerificationError: it does not.
    """
    if not 0 <= first <= second <= MAX_SIZE or len(proof) > MAX_PROOF:
        raise VerificationError("no consistency proof of this shape holds", where=where)
    if first in (0, second):
        wanted = EMPTY_ROOT if first == 0 else second_root
        if proof or first_root != wanted or (second == 0 and second_root != EMPTY_ROOT):
            raise VerificationError("the consistency proof is wrong for these sizes", where=where)
        return
    # A perfect first tree is a node itself, and is not repeated in the proof.
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    if not path:
        raise VerificationError("the consistency proof is too short", where=where)
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for each in path[1:]:
        if not last:
            raise VerificationError("the consistency proof is too long", where=where)
        if position & 1 or position == last:
            old, new = node_hash(each, old), node_hash(each, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, each)
        position, last = position >> 1, last >> 1
    if last:
        raise VerificationError("the consistency proof is too short", where=where)
    if old != first_root or new != second_root:
        raise VerificationError("the consistency proof leads to other roots", where=where)


def _split(count: int) -> int:
    """The largest power of two below a number of leaves."""
    return 1 << ((count - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    """The root over a row of perfect subtrees that shrink from left to right."""
    value = hashes[-1]
    for each in reversed(hashes[:-1]):
        value = node_hash(each, value)
    return value


def _subtrees(source: NodeSource, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """The hash of each range of leaves, with one question to the source."""
    covers = [cover(start, end) for start, end in ranges]
    found = iter(source.nodes([node for each in covers for node in each]))
    return [_fold([next(found) for _ in each]) for each in covers]
