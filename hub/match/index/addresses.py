"""The columnar parse of addresses and blocks; IPv4-mapped IPv6 is IPv4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.match.compare import network, quad
from hub.match.index.buffers import Bytes, Offsets, Whole, Words64, string_buffers
from hub.match.index.words import address, byte_at, put_byte, put_word, same_bytes, word_at

Small: TypeAlias = NDArray[np.uint8]
_COLON: Final = np.uint64(58)

Block: TypeAlias = tuple[int, int, int]
"""A prefix: family (4 or 6), first address, length."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """N parsed addresses.

    Attributes:
        family: 4, 6, or 0 where the text is no address.
        high, low: the 128 bits; of IPv4 only the lowest 32 of `low` are used.
    """

    family: Small
    high: Words64
    low: Words64

    def take(self, rows: NDArray[Any]) -> Addresses:
        """The addresses of some rows."""
        return Addresses(self.family[rows], self.high[rows], self.low[rows])

    def without(self, values: Any) -> Addresses:
        """These, with no address where an Arrow array of N values is null."""
        if values.null_count:
            self.family[values.is_null().to_numpy(zero_copy_only=False)] = 0
        return self


# Numba gives uint64 with int64 a float, so bytes become int64 before they are counted with.
@kernel
def _parse_v4(start: Whole, end: Whole) -> Whole:
    """The 32 bits of a dotted quad, or -1."""
    wrong = np.int64(-1)
    value = np.int64(0)
    part = np.int64(0)
    digits = 0
    dots = 0
    if end - start < 7 or end - start > 15:
        return wrong
    for i in range(start, end):
        byte = byte_at(i)
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
def _hex_digit(byte: np.int64) -> Whole:
    if 48 <= byte <= 57:
        return byte - 48
    if 97 <= byte <= 102:
        return byte - 87
    if 65 <= byte <= 70:
        return byte - 55
    return np.int64(-1)


@kernel
def _group(start: Whole, end: Whole) -> tuple[np.int64, Whole]:
    """Read one group of hex digits: its value and where it ends."""
    value = np.int64(0)
    i = start
    while i < end and i - start < 5:
        digit = _hex_digit(byte_at(i))
        if digit < 0:
            break
        value = (value << 4) | digit
        i += 1
    return value, i


@kernel
def _groups(start: Whole, end: Whole, groups: Whole) -> tuple[Whole, Whole]:
    """Read the groups of an IPv6 address: their number (-1: none) and where `::` stands (or -1)."""
    count = 0
    gap = -1
    i = start
    if byte_at(start) == 58:
        if byte_at(start + 1) != 58:
            return -1, -1
        gap = 0
        i = start + 2
    while i < end and count < 8:
        first = i
        value, i = _group(first, end)
        if i < end and byte_at(i) == 46:
            quad = _parse_v4(first, end)
            if quad < 0 or count > 6:
                return -1, -1
            put_word(groups + 8 * count, np.uint64(quad >> 16))
            put_word(groups + 8 * count + 8, np.uint64(quad & 0xFFFF))
            return count + 2, gap
        if i == first or i - first > 4:
            return -1, -1
        put_word(groups + 8 * count, np.uint64(value))
        count += 1
        if i == end:
            return count, gap
        i += _colons(i, end)
        if byte_at(i - 1) == 58 and byte_at(i - 2) == 58:
            if gap >= 0:
                return -1, -1
            gap = count
        elif i == end or byte_at(i - 1) != 58:
            return -1, -1
    return (count, gap) if i == end else (-1, -1)


@kernel
def _colons(at: Whole, end: Whole) -> Whole:
    """How many characters of `:` or `::` to step over; at least one, to come to an end."""
    return 2 if byte_at(at) == 58 and at + 1 < end and byte_at(at + 1) == 58 else 1


@kernel
def _parse_one(start: Whole, end: Whole, groups: Whole) -> tuple[Whole, np.uint64, np.uint64]:
    """Family (0: none) and 128 bits of one text; mapped IPv4 is left as IPv6."""
    four = _parse_v4(start, end)
    if four >= 0:
        return 4, np.uint64(0), np.uint64(four)
    high = np.uint64(0)
    low = np.uint64(0)
    if end - start < 2 or end - start > 45:
        return 0, high, low
    count, gap = _groups(start, end, groups)
    if count < 0 or (gap < 0 and count != 8) or (gap >= 0 and count > 7):
        return 0, high, low
    for k in range(count):
        at = k if gap < 0 or k < gap else 8 - count + k
        word = word_at(groups + 8 * k) << np.uint64(16 * (3 - (at & 3)))
        if at < 4:
            high |= word
        else:
            low |= word
    return 6, high, low


def _scratch() -> Words64:
    """Room for nine groups and a written address; a kernel's own array may be freed too soon."""
    return np.zeros(16, dtype=np.uint64)


@kernel
def _is_mapped(high: np.uint64, low: np.uint64) -> bool:
    mapped: bool = high == 0 and low >> np.uint64(32) == np.uint64(0xFFFF)
    return mapped


@kernel
def _parse(
    data: Bytes, offsets: Offsets, scratch: Words64, family: Small, high: Words64, low: Words64
) -> None:
    base, groups = address(data), address(scratch)
    for row in range(offsets.size - 1):
        start, end = base + np.int64(offsets[row]), base + np.int64(offsets[row + 1])
        family[row], high[row], low[row] = _parse_one(start, end, groups)
        if family[row] == 6 and _is_mapped(high[row], low[row]):
            family[row] = 4
            low[row] &= np.uint64(0xFFFFFFFF)


@kernel
def _longest_gap(high: np.uint64, low: np.uint64) -> tuple[Whole, Whole]:
    """Where the first longest run of two or more zero groups begins (or -9), and its size."""
    begun: Whole = -1
    best: Whole = -9
    size: Whole = 1
    for at in range(8):
        if _word(high, low, at) != 0:
            begun = -1
            continue
        begun = at if begun < 0 else begun
        if at + 1 - begun > size:
            best, size = begun, at + 1 - begun
    return best, size


@kernel
def _word(high: np.uint64, low: np.uint64, at: Whole) -> Whole:
    half = high if at < 4 else low
    return np.int64((half >> np.uint64(16 * (3 - (at & 3)))) & np.uint64(0xFFFF))


@kernel
def _written(high: np.uint64, low: np.uint64, out: Whole) -> Whole:
    """Write an IPv6 address as RFC 5952 has it (without dotted quads); how long it is."""
    gap, size = _longest_gap(high, low)
    end: Whole = 0
    at: Whole = 0
    while at < 8:
        if at == gap:
            put_byte(out + end, _COLON)
            put_byte(out + end + 1, _COLON)
            end += 2
            at += size
            continue
        if at > 0 and at != gap + size:
            put_byte(out + end, _COLON)
            end += 1
        word = _word(high, low, at)
        for shift in (12, 8, 4, 0):
            if word >> shift or shift == 0:
                digit = (word >> shift) & 15
                put_byte(out + end, np.uint64(digit + (48 if digit < 10 else 87)))
                end += 1
        at += 1
    return end


@kernel
def _check(data: Bytes, offsets: Offsets, scratch: Words64, plain: NDArray[np.bool_]) -> None:
    base, groups = address(data), address(scratch)
    out = groups + 72
    for row in range(offsets.size - 1):
        start, end = base + np.int64(offsets[row]), base + np.int64(offsets[row + 1])
        family, high, low = _parse_one(start, end, groups)
        plain[row] = family == 4
        if family == 6 and not _is_mapped(high, low):
            size = _written(high, low, out)
            plain[row] = end - start == size and same_bytes(start, out, size)


def canonical(values: Any) -> NDArray[np.bool_]:
    """Which of N strings (Arrow) are addresses as Python writes them; a null may be either."""
    plain: NDArray[np.bool_] = np.zeros(len(values), dtype=np.bool_)
    data, offsets = string_buffers(values)
    _check(data, offsets, _scratch(), plain)
    return plain


def parse_addresses(values: Any) -> Addresses:
    """Parse N strings as Python's `ipaddress` does, without zones; null has family 0.

    Args:
        values: Arrow strings, large strings, or a dictionary of either.
    """
    if pa.types.is_dictionary(values.type):
        distinct = parse_addresses(values.dictionary)
        # A null takes the first of the dictionary's, and is blanked below; so it needs one.
        if len(distinct.family):
            indices = values.indices
            at = indices.fill_null(0) if indices.null_count else indices
            found = distinct.take(at.to_numpy())
            return found.without(indices)
        return _no_addresses(len(values))
    found = _no_addresses(len(values))
    data, offsets = string_buffers(values)
    _parse(data, offsets, _scratch(), found.family, found.high, found.low)
    return found.without(values)


def _no_addresses(count: int) -> Addresses:
    high, low = (np.zeros(count, dtype=np.uint64) for _ in range(2))
    return Addresses(np.zeros(count, dtype=np.uint8), high, low)


@kernel
def _length(start: Whole, end: Whole) -> Whole:
    """The number of one to three digits, or -1."""
    value: Whole = 0
    if end - start < 1 or end - start > 3:
        return -1
    for i in range(start, end):
        digit = byte_at(i) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@kernel
def _parse_blocks(
    data: Bytes,
    offsets: Offsets,
    scratch: Words64,
    family: Small,
    high: Words64,
    low: Words64,
    length: Small,
) -> None:
    base, groups = address(data), address(scratch)
    for row in range(offsets.size - 1):
        start, end = base + np.int64(offsets[row]), base + np.int64(offsets[row + 1])
        slash = start
        while slash < end and byte_at(slash) != 47:
            slash += 1
        version, first, second = _parse_one(start, slash, groups)
        bits = 32 if version == 4 else 128
        size = bits if slash == end else _length(slash + 1, end)
        if version == 0 or size < 0 or size > bits:
            continue
        spare = np.int64(bits - size)
        first, second = _cleared(first, second, spare)
        if version == 6 and size >= 96 and _is_mapped(first, second):
            version, size = 4, size - 96
            second &= np.uint64(0xFFFFFFFF)
        family[row], high[row], low[row], length[row] = version, first, second, size


@kernel
def _cleared(high: np.uint64, low: np.uint64, spare: Whole) -> tuple[np.uint64, np.uint64]:
    """128 bits with the lowest `spare` of them zero."""
    if spare >= 64:
        rest = np.uint64(spare - 64)
        return (high >> rest << rest if spare < 128 else np.uint64(0)), np.uint64(0)
    return high, low >> np.uint64(spare) << np.uint64(spare)


@kernel
def clear(high: Words64, low: Words64, length: Small) -> None:
    """Set the bits beyond the length of each of N prefixes of 128 bits to zero."""
    for k in range(high.size):
        high[k], low[k] = _cleared(high[k], low[k], np.int64(128) - np.int64(length[k]))


def parse_blocks(values: Any) -> tuple[Addresses, Small]:
    """Parse N addresses or CIDR blocks: their first addresses, and their lengths.

    What has family 0 is no block, or one in a spelling with a mask or a zone: `block_of` tells.
    """
    found = _no_addresses(len(values))
    length: Small = np.zeros(len(values), dtype=np.uint8)
    data, offsets = string_buffers(values)
    _parse_blocks(data, offsets, _scratch(), found.family, found.high, found.low, length)
    return found.without(values), length


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
