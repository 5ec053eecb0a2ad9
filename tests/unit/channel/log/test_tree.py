"""The tree: vectors of RFC 6962, laws over random trees, and every altered proof refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.channel.log.tree import (
    EMPTY_ROOT,
    MAX_PROOF,
    Frontier,
    LeafNodes,
    Node,
    consistency_proof,
    cover,
    inclusion_proof,
    leaf_hash,
    root_at,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from hub.errors import InputError, VerificationError

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "log" / "rfc6962.json").read_text()
)
LEAVES = [leaf_hash(bytes.fromhex(each)) for each in VECTORS["leaves"]]
ROOTS = [bytes.fromhex(each) for each in VECTORS["roots"]]
SIZES = st.integers(1, 130)


def _leaves(count: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(32, "big")) for number in range(count)]


def _plain_root(leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 6962 defines it, by recursion."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    parts = _plain_root(leaves[:half]) + _plain_root(leaves[half:])
    return hashlib.sha256(b"\x01" + parts).digest()


def _hex(hashes: Sequence[bytes]) -> list[str]:
    return [each.hex() for each in hashes]


def test_roots_of_the_vectors() -> None:
    assert LEAVES[0].hex() == VECTORS["empty_leaf_hash"]
    for size, root in enumerate(ROOTS):
        assert root_of(LEAVES[:size]) == root
        assert root_at(LeafNodes(LEAVES), size) == root


@pytest.mark.parametrize("case", VECTORS["inclusion"])
def test_inclusion_of_the_vectors(case: Any) -> None:
    index, size = case["index"], case["size"]
    proof = inclusion_proof(LeafNodes(LEAVES), index, size)
    assert _hex(proof) == case["proof"]
    verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


@pytest.mark.parametrize("case", VECTORS["consistency"])
def test_consistency_of_the_vectors(case: Any) -> None:
    first, second = case["first"], case["second"]
    proof = consistency_proof(LeafNodes(LEAVES), first, second)
    assert _hex(proof) == case["proof"]
    verify_consistency(first, ROOTS[first], second, ROOTS[second], proof)


@given(size=SIZES, data=st.data())
@settings(max_examples=50)
def test_every_proof_verifies_and_every_altered_one_fails(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    source, root = LeafNodes(leaves), _plain_root(leaves)
    index = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(0, size))
    old = _plain_root(leaves[:first])
    path = inclusion_proof(source, index, size)
    proof = consistency_proof(source, first, size)
    verify_inclusion(leaves[index], index, size, path, root)
    verify_consistency(first, old, size, root, proof)
    for altered in _altered(path, data):
        with pytest.raises(VerificationError):
            verify_inclusion(leaves[index], index, size, altered, root)
    for altered in _altered(proof, data):
        with pytest.raises(VerificationError):
            verify_consistency(first, old, size, root, altered)
    with pytest.raises(VerificationError):
        verify_inclusion(_flip(leaves[index], 0), index, size, path, root)
    with pytest.raises(VerificationError):
        verify_consistency(first, _flip(old, 1), size, root, proof)
    # Every tree continues the empty one, so the root of the larger is not looked at there.
    if first:
        with pytest.raises(VerificationError):
            verify_consistency(first, old, size, _flip(root, 2), proof)


def _altered(proof: list[bytes], data: st.DataObject) -> list[list[bytes]]:
    """A bit flipped, a hash too many at either end, one too few, two swapped."""
    found = [[*proof, b"\0" * 32], [b"\0" * 32, *proof]]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        bit = data.draw(st.integers(0, 255))
        found.append([*proof[:at], _flip(proof[at], bit), *proof[at + 1 :]])
        found.append(proof[:at] + proof[at + 1 :])
        found.append(proof[:at])
    if len(proof) > 1:
        found.append([proof[1], proof[0], *proof[2:]])
    return found


def _flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(size=st.integers(0, 130), cut=st.integers(0, 130))
@settings(max_examples=50)
def test_a_frontier_is_the_tree(size: int, cut: int) -> None:
    leaves = _leaves(size)
    frontier = Frontier()
    frontier.extend(leaves[:cut])
    kept = Frontier.from_bytes(frontier.to_bytes())
    twin = kept.copy()
    kept.extend(leaves[cut:])
    assert (kept.size, kept.root()) == (size, _plain_root(leaves)) == (size, root_of(leaves))
    assert twin.root() == frontier.root() == _plain_root(leaves[:cut])


@given(size=SIZES)
@settings(max_examples=30)
def test_stored_nodes_make_the_same_proofs(size: int) -> None:
    """A store that keeps what `append` completes needs no leaf again."""
    leaves = _leaves(size)
    frontier, kept = Frontier(), dict[Node, bytes]()
    for leaf in leaves:
        kept.update(frontier.append(leaf))

    class Store:
        def nodes(self, wanted: Sequence[Node]) -> Sequence[bytes]:
            assert len(wanted) <= 2 * size.bit_length() + 1
            return [kept[each] for each in wanted]

    plain = LeafNodes(leaves)
    assert len(kept) < 2 * size
    for first in {1, size // 2 or 1, size}:
        assert consistency_proof(Store(), first, size) == consistency_proof(plain, first, size)
        assert inclusion_proof(Store(), first - 1, size) == inclusion_proof(plain, first - 1, size)
        assert root_at(Store(), first) == root_of(leaves[:first])


@given(start=st.integers(0, 300), length=st.integers(0, 300))
@settings(max_examples=50)
def test_a_cover_is_the_range(start: int, length: int) -> None:
    at = start
    for node in cover(start, start + length):
        assert node.at << node.level == at
        at += 1 << node.level
    assert at == start + length


def test_shapes_that_no_proof_has() -> None:
    root, other = ROOTS[8], ROOTS[7]
    for index, size in ((8, 8), (-1, 8), (0, 0), (0, 2**48 + 1)):
        with pytest.raises(VerificationError, match="shape"):
            verify_inclusion(LEAVES[0], index, size, [], root)
    for first, second in ((9, 8), (-1, 8), (1, 2**48 + 1)):
        with pytest.raises(VerificationError, match="shape"):
            verify_consistency(first, other, second, root, [])
    long = [b"\0" * 32] * (MAX_PROOF + 1)
    with pytest.raises(VerificationError, match="shape"):
        verify_inclusion(LEAVES[0], 0, 8, long, root)
    with pytest.raises(VerificationError, match="shape"):
        verify_consistency(7, other, 8, root, long)
    with pytest.raises(VerificationError, match="too short"):
        verify_consistency(7, other, 8, root, [])
    # From nothing, and from itself, nothing needs a proof.
    verify_consistency(0, EMPTY_ROOT, 8, root, [])
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    for args in (
        (0, root, 8, root, []),
        (0, EMPTY_ROOT, 0, root, []),
        (0, EMPTY_ROOT, 8, root, [root]),
        (8, other, 8, root, []),
        (8, root, 8, root, [root]),
    ):
        with pytest.raises(VerificationError, match="wrong for these sizes"):
            verify_consistency(*args)


def test_questions_that_no_log_answers() -> None:
    source = LeafNodes(LEAVES)
    for index, size in ((8, 8), (-1, 8), (0, 0)):
        with pytest.raises(InputError, match="no entry"):
            inclusion_proof(source, index, size)
    with pytest.raises(InputError, match="no consistency from"):
        consistency_proof(source, 8, 7)
    with pytest.raises(InputError, match="no such node yet"):
        inclusion_proof(source, 0, 9)
    assert consistency_proof(source, 0, 8) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        b"\0" * 9,
        (1).to_bytes(8, "big"),
        (3).to_bytes(8, "big") + b"\0" * 32,
        (3).to_bytes(8, "big") + b"\0" * 65,
        (2**48 + 1).to_bytes(8, "big"),
        b"\xff" * 8,
    ],
)
def test_bytes_that_are_no_frontier(data: bytes) -> None:
    with pytest.raises(InputError):
        Frontier.from_bytes(data)


def test_a_full_log_takes_no_more() -> None:
    full = Frontier(2**48, [b"\0" * 32])
    with pytest.raises(InputError, match="at most"):
        full.append(LEAVES[0])
    with pytest.raises(InputError, match="32 bytes"):
        Frontier(1, [b"\0" * 31])
