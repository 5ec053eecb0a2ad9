"""The text of addresses inside kernels: read as Python's `ipaddress` does, and written so."""

from __future__ import annotations

from typing import Final

import numpy as np

from hub.fingerprint.jit import kernel
from hub.match.index.buffers import Whole
from hub.match.index.words import byte_at, half_at, put_byte, put_word, trailing_zeros, word_at

_COLON: Final = np.uint64(58)
_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_DOTS: Final = np.uint64(0x2E2E2E2E2E2E2E2E)
_SEVENS: Final = np.uint64(0x7F7F7F7F7F7F7F7F)
_GATHER: Final = np.uint64(0x0102040810204080)


# Numba gives uint64 with int64 a float, so bytes become int64 before they are counted with.
@kernel
def _parse_v4(start: Whole, end: Whole, limit: Whole) -> Whole:
    """The 32 bits of a dotted quad, or -1; up to `limit` bytes may be read."""
    size = end - start
    if size < 7 or size > 15:
        return np.int64(-1)
    if start + 16 > limit:
        return _parse_slowly(start, end)
    last = word_at(start + 8) & ((_ONE << np.uint64(8 * (size - 8))) - _ONE if size > 8 else _NONE)
    first = word_at(start)
    dots = np.int64(_dots(first) | (_dots(last) << np.uint64(8))) & ((1 << size) - 1)
    one = trailing_zeros(dots)
    dots &= dots - 1
    two = trailing_zeros(dots)
    dots &= dots - 1
    three = trailing_zeros(dots)
    if dots == 0 or dots & (dots - 1) != 0:
        return np.int64(-1)
    value = _octet(start, one) << 24 | _octet(start + one + 1, two - one - 1) << 16
    value |= _octet(start + two + 1, three - two - 1) << 8
    value |= _octet(start + three + 1, size - three - 1)
    return value if value >= 0 else np.int64(-1)


@kernel
def _dots(word: np.uint64) -> np.uint64:
    """Which of eight bytes are dots, a bit each."""
    other = word ^ _DOTS
    equal = ~(((other & _SEVENS) + _SEVENS) | other | _SEVENS)
    return ((equal >> np.uint64(7)) * _GATHER) >> np.uint64(56)


@kernel
def _octet(start: Whole, size: Whole) -> Whole:
    """A number of one to three digits up to 255, without a leading zero; or -1."""
    if size < 1 or size > 3:
        return np.int64(-1)
    digits = (np.int64(half_at(start)) ^ 0x30303030) & ((1 << (8 * size)) - 1)
    wrong = ((digits + 0x76767676) | digits) & 0x80808080
    aligned = digits << (8 * (3 - size))
    value = (aligned & 255) * 100 + (aligned >> 8 & 255) * 10 + (aligned >> 16 & 255)
    padded = size > 1 and digits & 255 == 0
    return np.int64(-1) if wrong != 0 or padded or value > 255 else value


@kernel
def _parse_slowly(start: Whole, end: Whole) -> Whole:
    """The same where the text ends the buffer."""
    value = np.int64(0)
    part = np.int64(0)
    digits = 0
    dots = 0
    for i in range(start, end):
        byte = byte_at(i)
        if byte == 46 and digits > 0 and dots < 3:
            value = (value << 8) | part
            part = np.int64(0)
            digits = 0
            dots += 1
            continue
        part = part * 10 + byte - 48
        if byte < 48 or byte > 57 or (digits == 1 and part < 10) or part > 255:
            return np.int64(-1)
        digits += 1
    return (value << 8) | part if dots == 3 and digits > 0 else np.int64(-1)


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
def _groups(start: Whole, end: Whole, limit: Whole, groups: Whole) -> tuple[Whole, Whole]:
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
            quad = _parse_v4(first, end, limit)
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
def parse_one(
    start: Whole, end: Whole, limit: Whole, groups: Whole
) -> tuple[Whole, np.uint64, np.uint64]:
    """Family (0: none) and 128 bits of one text; mapped IPv4 is left as IPv6."""
    four = _parse_v4(start, end, limit)
    if four >= 0:
        return 4, np.uint64(0), np.uint64(four)
    high = np.uint64(0)
    low = np.uint64(0)
    if end - start < 2 or end - start > 45:
        return 0, high, low
    count, gap = _groups(start, end, limit, groups)
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


@kernel
def is_mapped(high: np.uint64, low: np.uint64) -> bool:
    mapped: bool = high == 0 and low >> np.uint64(32) == np.uint64(0xFFFF)
    return mapped


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
def written(high: np.uint64, low: np.uint64, out: Whole) -> Whole:
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
def written_v4(value: Whole, out: Whole) -> Whole:
    """Write the 32 bits of an IPv4 address; how long it is."""
    end: Whole = 0
    for shift in (24, 16, 8, 0):
        octet = (value >> shift) & 255
        if shift < 24:
            put_byte(out + end, np.uint64(46))
            end += 1
        if octet >= 100:
            put_byte(out + end, np.uint64(48 + octet // 100))
            end += 1
        if octet >= 10:
            put_byte(out + end, np.uint64(48 + octet // 10 % 10))
            end += 1
        put_byte(out + end, np.uint64(48 + octet % 10))
        end += 1
    return end
