"""Lookup of addresses in prefixes, and the columnar parse of addresses.

Prefixes either nest or are disjoint, so they cut the address space into intervals with one
innermost prefix each, and every other prefix that holds an address is an ancestor of it. An exact
address is a prefix of full length. IPv4-mapped IPv6 is IPv4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.match.compare import network, quad
from hub.match.index.buffers import Bytes, Hits, Keys, Offsets, Rows, string_buffers

Words64: TypeAlias = NDArray[np.uint64]
Block: TypeAlias = tuple[int, int, int]
"""A prefix: family (4 or 6), first address, length."""

_JUMP_BITS: Final = 16


@dataclass(frozen=True, slots=True)
class Addresses:
    """N parsed addresses.

    Attributes:
        family: 4, 6, or 0 where the text is no address.
        high, low: the 128 bits; of IPv4 only the lowest 32 of `low` are used.
    """

    family: NDArray[np.uint8]
    high: Words64
    low: Words64


# Numba gives uint64 with int64 a float, so bytes become int64 before they are counted with.
@kernel
def _parse_v4(data: Bytes, start: int, end: int) -> np.int64:
    """The 32 bits of a dotted quad, or -1."""
    wrong = np.int64(-1)
    value = np.int64(0)
    part = np.int64(0)
    digits = 0
    dots = 0
    if end - start < 7 or end - start > 15:
        return wrong
    for i in range(start, end):
        byte = np.int64(data[i])
        if byte == 46:
            if digits == 0 or dots == 3:
                return wrong
            value = (value << 8) | part
            part = np.int64(0)
            digits = 0
            dots += 1
            continue
        if byte < 48 or byte > 57 or (digits == 1 and part == 0):
            return wrong
        part = part * 10 + byte - 48
        digits += 1
        if part > 255:
            return wrong
    return (value << 8) | part if dots == 3 and digits > 0 else wrong


@kernel
def _hex_digit(byte: np.int64) -> np.int64:
    if 48 <= byte <= 57:
        return byte - 48
    if 97 <= byte <= 102:
        return byte - 87
    if 65 <= byte <= 70:
        return byte - 55
    return np.int64(-1)


@kernel
def _group(data: Bytes, start: int, end: int) -> tuple[np.int64, int]:
    """Read one group of hex digits: its value and where it ends."""
    value = np.int64(0)
    i = start
    while i < end and i - start < 5:
        digit = _hex_digit(np.int64(data[i]))
        if digit < 0:
            break
        value = (value << 4) | digit
        i += 1
    return value, i


@kernel
def _groups(data: Bytes, start: int, end: int, groups: Rows) -> tuple[int, int]:
    """Read the groups of an IPv6 address: their number (-1: none) and where `::` stands (or -1)."""
    count = 0
    gap = -1
    i = start
    if data[start] == 58:
        if data[start + 1] != 58:
            return -1, -1
        gap = 0
        i = start + 2
    while i < end and count < 8:
        first = i
        value, i = _group(data, first, end)
        if i < end and data[i] == 46:
            quad = _parse_v4(data, first, end)
            if quad < 0 or count > 6:
                return -1, -1
            groups[count] = quad >> 16
            groups[count + 1] = quad & 0xFFFF
            return count + 2, gap
        if i == first or i - first > 4:
            return -1, -1
        groups[count] = value
        count += 1
        if i == end:
            return count, gap
        i += _colons(data, i, end)
        if data[i - 1] == 58 and data[i - 2] == 58:
            if gap >= 0:
                return -1, -1
            gap = count
        elif i == end or data[i - 1] != 58:
            return -1, -1
    return (count, gap) if i == end else (-1, -1)


@kernel
def _colons(data: Bytes, at: int, end: int) -> int:
    """How many characters of `:` or `::` to step over; at least one, to come to an end."""
    return 2 if data[at] == 58 and at + 1 < end and data[at + 1] == 58 else 1


@kernel
def _parse(
    data: Bytes, offsets: Offsets, family: NDArray[np.uint8], high: Words64, low: Words64
) -> None:
    groups = np.zeros(9, np.int64)
    for row in range(offsets.size - 1):
        start, end = offsets[row], offsets[row + 1]
        family[row] = 0
        quad = _parse_v4(data, start, end)
        if quad >= 0:
            family[row] = 4
            high[row] = 0
            low[row] = quad
            continue
        if end - start < 2 or end - start > 45:
            continue
        count, gap = _groups(data, start, end, groups)
        if count < 0 or (gap < 0 and count != 8) or (gap >= 0 and count > 7):
            continue
        words = np.zeros(2, np.uint64)
        for k in range(count):
            at = k if gap < 0 or k < gap else 8 - count + k
            words[at >> 2] |= np.uint64(groups[k]) << np.uint64(16 * (3 - (at & 3)))
        mapped = words[0] == 0 and words[1] >> np.uint64(32) == np.uint64(0xFFFF)
        family[row] = 4 if mapped else 6
        high[row] = words[0]
        low[row] = words[1] & np.uint64(0xFFFFFFFF) if mapped else words[1]


def parse_addresses(values: Any) -> Addresses:
    """Parse N strings as Python's `ipaddress` does, without zones; null has family 0."""
    data, offsets = string_buffers(values)
    family = np.zeros(len(values), dtype=np.uint8)
    high, low = (np.zeros(len(values), dtype=np.uint64) for _ in range(2))
    _parse(data, offsets, family, high, low)
    if values.null_count:
        family[values.is_null().to_numpy(zero_copy_only=False)] = 0
    return Addresses(family, high, low)


@kernel
def _innermost_v4(
    family: NDArray[np.uint8],
    low: Words64,
    jump: Keys,
    bounds: Words64,
    inner: Keys,
    out: Keys,
) -> None:
    for row in range(family.size):
        if family[row] != 4:
            continue
        value = low[row]
        bucket = np.int64(value >> np.uint64(32 - _JUMP_BITS))
        left, right = np.int64(jump[bucket]), np.int64(jump[bucket + 1])
        while left < right:
            middle = (left + right) >> 1
            if bounds[middle] <= value:
                left = middle + 1
            else:
                right = middle
        if left > 0:
            out[row] = inner[left - 1]


@kernel
def _innermost_v6(
    family: NDArray[np.uint8],
    high: Words64,
    low: Words64,
    bounds_high: Words64,
    bounds_low: Words64,
    inner: Keys,
    out: Keys,
) -> None:
    for row in range(family.size):
        if family[row] != 6:
            continue
        left, right = 0, bounds_high.size
        while left < right:
            middle = (left + right) >> 1
            if bounds_high[middle] < high[row] or (
                bounds_high[middle] == high[row] and bounds_low[middle] <= low[row]
            ):
                left = middle + 1
            else:
                right = middle
        if left > 0:
            out[row] = inner[left - 1]


@kernel
def _climb(innermost: Keys, parent: Keys, rows: Rows, keys: Keys) -> int:
    found = 0
    for row in range(innermost.size):
        key = innermost[row]
        while key >= 0:
            if found < rows.size:
                rows[found] = row
                keys[found] = key
            found += 1
            key = parent[key]
    return found


def block_of(text: str) -> Block | None:
    """Read an address or a CIDR block, IPv4-mapped IPv6 as IPv4; None if it is neither."""
    address, slash, length = text.partition("/")
    first = quad(address)
    if first is None:
        block = network(text)
        if block is None:
            return None
        return block.version, int(block.network_address), block.prefixlen
    if not slash:
        return 4, first, 32
    if not (length.isascii() and length.isdecimal()) or int(length) > 32:
        return None
    spare = 32 - int(length)
    return 4, first >> spare << spare, int(length)


class PrefixIndex:
    """A set of distinct prefixes of both families; key k is the k-th of them."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._parent: Keys = np.full(len(blocks), -1, dtype=np.int32)
        bounds, inner = self._cut(4, 32, blocks)
        self._bounds4: Words64 = np.asarray(bounds, dtype=np.uint64)
        self._inner4: Keys = np.asarray(inner, dtype=np.int32)
        edges = np.arange(1, (1 << _JUMP_BITS) + 1, dtype=np.uint64) << np.uint64(32 - _JUMP_BITS)
        # jump[b] tells how many intervals begin before the first address of bucket b.
        self._jump: Keys = np.zeros((1 << _JUMP_BITS) + 1, dtype=np.int32)
        self._jump[1:] = np.searchsorted(self._bounds4, edges, side="left")
        bounds, inner = self._cut(6, 128, blocks)
        self._high6: Words64 = np.asarray([b >> 64 for b in bounds], dtype=np.uint64)
        self._low6: Words64 = np.asarray([b & (2**64 - 1) for b in bounds], dtype=np.uint64)
        self._inner6: Keys = np.asarray(inner, dtype=np.int32)

    def _cut(self, family: int, bits: int, blocks: Sequence[Block]) -> tuple[list[int], list[int]]:
        """Where intervals begin, and the innermost prefix of each (-1: none)."""
        spans = sorted(
            (first, -(first + (1 << (bits - length)) - 1), key)
            for key, (version, first, length) in enumerate(blocks)
            if version == family
        )
        bounds: list[int] = []
        inner: list[int] = []
        open_spans: list[tuple[int, int]] = []

        def begin(address: int, key: int) -> None:
            if bounds and bounds[-1] == address:
                inner[-1] = key
            else:
                bounds.append(address)
                inner.append(key)

        def close(before: int | None) -> None:
            while open_spans and (before is None or open_spans[-1][0] < before):
                last, _ = open_spans.pop()
                begin(last + 1, open_spans[-1][1] if open_spans else -1)

        for first, negative_last, key in spans:
            close(first)
            self._parent[key] = open_spans[-1][1] if open_spans else -1
            open_spans.append((-negative_last, key))
            begin(first, key)
        close(None)
        if bounds and bounds[-1] == 1 << bits:
            bounds.pop()
            inner.pop()
        return bounds, inner

    def probe(self, addresses: Addresses) -> Hits:
        """Find all prefixes that hold each of N addresses."""
        innermost: Keys = np.full(len(addresses.family), -1, dtype=np.int32)
        if len(self._bounds4):
            _innermost_v4(
                addresses.family,
                addresses.low,
                self._jump,
                self._bounds4,
                self._inner4,
                innermost,
            )
        if len(self._high6):
            _innermost_v6(
                addresses.family,
                addresses.high,
                addresses.low,
                self._high6,
                self._low6,
                self._inner6,
                innermost,
            )
        room = max(1024, len(innermost))
        while True:
            rows: Rows = np.empty(room, dtype=np.int64)
            keys: Keys = np.empty(room, dtype=np.int32)
            found = _climb(innermost, self._parent, rows, keys)
            if found <= room:
                return rows[:found], keys[:found]
            room = found
