"""Lookup of addresses in prefixes.

Single addresses, which most prefixes are, go to a hash table. The others either nest or are
disjoint, so they cut the address space into intervals with one innermost prefix each, and every
other prefix that holds an address is an ancestor of it; equal ones nest as well. IPv4 intervals are
found from a table over the first bits, IPv6 intervals by bisection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from hub.fingerprint.jit import kernel
from hub.match.index.addresses import (
    Addresses,
    Block,
    Small,
    block_of,
    clear,
    parse_addresses,
    parse_blocks,
)
from hub.match.index.buffers import NO_HITS, Hits, Keys, Rows, Whole, Words64, frozen, growing
from hub.match.index.table import Table, chain, fill_words, find_word, probe_pairs
from hub.match.index.words import SECRET, address, key_at, word_at

_JUMP_BITS: Final = (16, 22)
_HALF: Final = np.uint64(32)
_NONE: Final = np.int64(-1)


_Values: TypeAlias = tuple[Small, Words64, Words64]
_Cuts: TypeAlias = tuple[Whole, Whole, Whole, Whole, Whole, Whole, Whole]
"""Intervals inside a kernel: addresses and sizes of the arrays of `_Blocks`."""


class _Hosts(NamedTuple):
    """Single addresses of one family: a table of words, and their keys in the index."""

    bits: Words64
    slots: Words64
    links: Keys
    high: Words64
    low: Words64
    keys: Keys


class _Blocks(NamedTuple):
    """Prefixes of one family, sorted, and the intervals into which they cut the addresses.

    Attributes:
        jump: of each value of the first bits of an IPv4 address, how many intervals begin before.
        high, low: where intervals begin, in 128 bits with the prefix first; `low` is empty for
            IPv4, where the highest 32 bits are all.
        inner: the innermost prefix of each interval, or -1.
        parent: the innermost other prefix that holds each prefix, or -1.
        keys: the keys in the index.
    """

    jump: Keys
    high: Words64
    low: Words64
    inner: Keys
    parent: Keys
    keys: Keys


@kernel
def _last(high: np.uint64, low: np.uint64, length: Whole) -> tuple[np.uint64, np.uint64]:
    """The last address of a prefix."""
    ones = ~np.uint64(0)
    if length >= 64:
        return high, low | (ones >> np.uint64(length - 64) if length < 128 else np.uint64(0))
    return high | (ones >> np.uint64(length)), ones


@kernel
def _begin(
    high: np.uint64, low: np.uint64, key: Whole, count: Whole, out: tuple[Words64, Words64, Keys]
) -> Whole:
    """Begin an interval, or rename the one that begins there; how many there are then."""
    if count == 0 or out[0][count - 1] != high or out[1][count - 1] != low:
        count += 1
    out[0][count - 1] = high
    out[1][count - 1] = low
    out[2][count - 1] = key
    return count


@kernel
def _close(
    high: np.uint64,
    low: np.uint64,
    every: bool,
    depth: Whole,
    count: Whole,
    last: tuple[Words64, Words64],
    nest: Keys,
    out: tuple[Words64, Words64, Keys],
) -> tuple[Whole, Whole]:
    """Close the open prefixes that end before an address, or every one."""
    while depth > 0:
        top = nest[depth - 1]
        if not every and (last[0][top] > high or (last[0][top] == high and last[1][top] >= low)):
            break
        depth -= 1
        next_low = last[1][top] + np.uint64(1)
        next_high = last[0][top] + np.uint64(1) if next_low == 0 else last[0][top]
        # The last prefix may reach to the end of all addresses.
        if next_high != 0 or next_low != 0:
            outer = np.int64(nest[depth - 1]) if depth > 0 else _NONE
            count = _begin(next_high, next_low, outer, count, out)
    return depth, count


@kernel
def _cut(
    high: Words64, low: Words64, length: Small, parent: Keys, out: tuple[Words64, Words64, Keys]
) -> Whole:
    """Cut the address space at the sorted prefixes; how many intervals there are."""
    nest = np.empty(high.size, np.int32)
    last = (np.empty_like(high), np.empty_like(low))
    depth: Whole = 0
    count: Whole = 0
    for key in range(high.size):
        last[0][key], last[1][key] = _last(high[key], low[key], np.int64(length[key]))
        depth, count = _close(high[key], low[key], False, depth, count, last, nest, out)
        parent[key] = np.int64(nest[depth - 1]) if depth > 0 else _NONE
        nest[depth] = key
        depth += 1
        count = _begin(high[key], low[key], key, count, out)
    return _close(np.uint64(0), np.uint64(0), True, depth, count, last, nest, out)[1]


@kernel
def _innermost(high: np.uint64, low: np.uint64, cuts: _Cuts) -> Whole:
    """The innermost prefix that holds an address, or -1."""
    jump, buckets, bounds, left, lows, right, inner = cuts
    if buckets > 0:
        # The table has a power of two of buckets: this one is of the address's first bits.
        bucket = jump + 4 * np.int64(((high >> _HALF) * np.uint64(buckets)) >> _HALF)
        left, right = key_at(bucket), key_at(bucket + 4)
    while left < right:
        middle = (left + right) >> 1
        bound = word_at(bounds + 8 * middle)
        if bound < high or (bound == high and (lows == 0 or word_at(lows + 8 * middle) <= low)):
            left = middle + 1
        else:
            right = middle
    return key_at(inner + 4 * (left - 1)) if left > 0 else np.int64(-1)


@kernel
def _cuts(jump: Keys, high: Words64, low: Words64, inner: Keys) -> _Cuts:
    """Intervals as the parts of a kernel take them."""
    lows = address(low) if low.size > 0 else np.int64(0)
    start = np.int64(0)
    return address(jump), jump.size - 1, address(high), start, lows, high.size, address(inner)


@kernel
def _find_innermost(
    high: int, low: int, jump: Keys, bounds: Words64, lows: Words64, inner: Keys
) -> int:
    return int(_innermost(np.uint64(high), np.uint64(low), _cuts(jump, bounds, lows, inner)))


@kernel
def _probe_blocks(
    version: Whole,
    family: Small,
    high: Words64,
    low: Words64,
    blocks: _Blocks,
    rows: Rows,
    keys: Keys,
) -> int:
    """Write the hits of N addresses on prefixes of one family, as far as they fit."""
    found = 0
    cuts = _cuts(blocks.jump, blocks.high, blocks.low, blocks.inner)
    for row in range(family.size):
        if family[row] != version:
            continue
        if version == 4:
            block = _innermost(low[row] << _HALF, np.uint64(0), cuts)
        else:
            block = _innermost(high[row], low[row], cuts)
        while block >= 0:
            if found < rows.size:
                rows[found] = row
                keys[found] = blocks.keys[block]
            found += 1
            block = np.int64(blocks.parent[block])
    return found


class PrefixIndex:
    """N prefixes of both families, which may nest and repeat; key k is the k-th of them."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        count = len(blocks)
        columns = (
            np.fromiter((family for family, _, _ in blocks), np.uint8, count),
            np.fromiter((first >> 64 for _, first, _ in blocks), np.uint64, count),
            np.fromiter((first & (2**64 - 1) for _, first, _ in blocks), np.uint64, count),
            np.fromiter((length for _, _, length in blocks), np.uint8, count),
        )
        self._hold(*columns)

    @classmethod
    def of(cls, family: Small, high: Words64, low: Words64, length: Small) -> PrefixIndex:
        """Index prefixes.

        Args:
            family: 4 or 6; a prefix of another family holds nothing.
            high, low: 128 bits of an address, of IPv4 the lowest 32 of `low`; those beyond
                `length` count for nothing.
            length: 0 to 32, or 128.
        """
        index = cls.__new__(cls)
        index._hold(family, high, low, length)
        return index

    def _hold(self, family: Small, high: Words64, low: Words64, length: Small) -> None:
        self._count = len(family)
        columns = (family, high, low, length)
        self._hosts4, self._blocks4 = _hosts(4, 32, *columns), _blocks(4, 32, *columns)
        self._hosts6, self._blocks6 = _hosts(6, 128, *columns), _blocks(6, 128, *columns)

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        arrays = (*self._hosts4, *self._blocks4, *self._hosts6, *self._blocks6)
        return sum(array.nbytes for array in arrays)

    def probe(self, addresses: Addresses) -> Hits:
        """Find all prefixes that hold each of N addresses, by row."""
        family = frozen(addresses.family)
        values = (family, frozen(addresses.high), frozen(addresses.low))
        parts: list[Hits] = []
        if len(family):
            parts += [
                self._hosts_of(4, self._hosts4, values),
                self._hosts_of(6, self._hosts6, values),
            ]
            parts += [self._blocks_of(4, self._blocks4, values)]
            parts += [self._blocks_of(6, self._blocks6, values)]
        parts = [part for part in parts if len(part[0])]
        if len(parts) < 2:
            return parts[0] if parts else NO_HITS
        rows: Rows = np.concatenate([rows for rows, _ in parts])
        order = np.argsort(rows, kind="stable")
        return rows[order], np.concatenate([keys for _, keys in parts])[order]

    def _hosts_of(self, version: int, hosts: _Hosts, values: _Values) -> Hits:
        if not len(hosts.keys):
            return NO_HITS
        room = len(values[0]) // 16 + 64
        table = (SECRET, hosts.bits, hosts.slots, hosts.links, hosts.high, hosts.low)
        given = (version, *values, *table)
        rows, found = growing(room, lambda r, k: probe_pairs(*given, r, k))
        return rows, hosts.keys[found]

    def _blocks_of(self, version: int, blocks: _Blocks, values: _Values) -> Hits:
        if not len(blocks.inner):
            return NO_HITS
        room = len(values[0]) // 16 + 64
        return growing(room, lambda r, k: _probe_blocks(version, *values, blocks, r, k))

    def find(self, family: int, high: int, low: int) -> Sequence[int]:
        """All prefixes that hold one address; its 128 bits as of `Addresses`."""
        if family == 4:
            hosts, blocks, top, rest = self._hosts4, self._blocks4, low << 32, 0
        else:
            hosts, blocks, top, rest = self._hosts6, self._blocks6, high, low
        found: list[int] = []
        if len(hosts.keys):
            table = (SECRET, hosts.bits, hosts.slots, hosts.high, hosts.low)
            key = find_word(_signed(high), _signed(low), *table)
            found += [int(hosts.keys[host]) for host in chain(key, hosts.links)]
        if len(blocks.inner):
            intervals = (blocks.jump, blocks.high, blocks.low, blocks.inner)
            block = _find_innermost(_signed(top), _signed(rest), *intervals)
            while block >= 0:
                found.append(int(blocks.keys[block]))
                block = int(blocks.parent[block])
        return found


def _signed(word: int) -> int:
    """The same 64 bits as Numba takes an integer."""
    return word - 2**64 if word >= 2**63 else word


def _hosts(
    version: int, bits: int, family: Small, high: Words64, low: Words64, length: Small
) -> _Hosts:
    numbers: Rows = np.flatnonzero((family == version) & (length == bits))
    tops: Words64 = np.zeros(1, dtype=np.uint64) if version == 4 else high[numbers]
    tops, bottoms = frozen(tops), frozen(low[numbers])
    table = Table.of(len(numbers), lambda *parts: fill_words(tops, bottoms, SECRET, *parts))
    keys = frozen(numbers.astype(np.int32))
    return _Hosts(table.bits, table.slots, table.links, tops, bottoms, keys)


def _blocks(
    version: int, bits: int, family: Small, high: Words64, low: Words64, length: Small
) -> _Blocks:
    numbers: Rows = np.flatnonzero((family == version) & (length < bits))
    sizes = length[numbers]
    tops, bottoms = high[numbers], low[numbers]
    if version == 4:
        tops, bottoms = bottoms << _HALF, np.zeros_like(bottoms)
    clear(tops, bottoms, sizes)
    # Outer before inner; of IPv4 both fit one word, which sorts much faster.
    order = (
        np.argsort(tops | sizes, kind="stable")
        if version == 4
        else np.lexsort((sizes, bottoms, tops))
    )
    sizes, tops, bottoms = sizes[order], tops[order], bottoms[order]
    bound_high, bound_low = (np.empty(2 * len(order), dtype=np.uint64) for _ in range(2))
    inner: Keys = np.empty(2 * len(order), dtype=np.int32)
    parent: Keys = np.empty(len(order), dtype=np.int32)
    count = _cut(tops, bottoms, sizes, parent, (bound_high, bound_low, inner))
    bound_high = bound_high[:count].copy()
    four = version == 4
    return _Blocks(
        frozen(_jumps(bound_high) if four else np.zeros(1, dtype=np.int32)),
        frozen(bound_high),
        frozen(np.zeros(0, dtype=np.uint64) if four else bound_low[:count].copy()),
        frozen(inner[:count].copy()),
        frozen(parent),
        frozen(numbers[order].astype(np.int32)),
    )


def _jumps(bounds: Words64) -> Keys:
    """How many intervals begin before each bucket of IPv4 addresses; about one or two in each."""
    least, most = _JUMP_BITS
    bits = min(most, max(least, len(bounds).bit_length() - 1))
    edges = np.arange((1 << bits), dtype=np.uint64) << np.uint64(64 - bits)
    jump: Keys = np.full((1 << bits) + 1, len(bounds), dtype=np.int32)
    jump[:-1] = np.searchsorted(bounds, edges, side="left")
    return jump


__all__ = ["Addresses", "Block", "PrefixIndex", "block_of", "parse_addresses", "parse_blocks"]
