"""Kernels that step over the tokens of JSON text; each gives -1 for what is not plainly right.

What they refuse is not always wrong: a number with an exponent, say, or a lone surrogate. Whoever
meets -1 hands the whole line to the ordinary parser, so that these kernels need to be right only
about what they accept.

Source: RFC 8259.
"""

from __future__ import annotations

from typing import Final

from hub.fingerprint.jit import inlined, kernel
from hub.traffic.vectors import (
    WIDTH,
    beyond_ascii,
    byte_at,
    copy_bytes,
    lowest_bit,
    put_byte,
    string_stops,
)

QUOTE: Final = 0x22
BACKSLASH: Final = 0x5C
_SPACE: Final = 0x20
_NUMBER: Final = 40
"""A longer number goes to the ordinary parser."""


@kernel
def _meaning(sign: int) -> int:
    """What an escape of one sign means; 0 for none."""
    if sign in (QUOTE, BACKSLASH, 0x2F):
        return sign
    if sign == 0x6E:
        return 0x0A
    if sign == 0x74:
        return 0x09
    if sign == 0x72:
        return 0x0D
    if sign == 0x62:
        return 0x08
    return 0x0C if sign == 0x66 else 0


@kernel
def _unit(data: int, at: int, size: int) -> int:
    """The UTF-16 unit whose four hex digits begin at `at`."""
    if at + 4 > size:
        return -1
    value = 0
    for k in range(4):
        digit = byte_at(data, at + k)
        if 0x30 <= digit <= 0x39:
            digit -= 0x30
        elif 0x61 <= digit | 0x20 <= 0x66:
            digit = (digit | 0x20) - 0x57
        else:
            return -1
        value = value << 4 | digit
    return value


@kernel
def _escape_end(data: int, at: int, size: int) -> int:
    """Where the escape that begins at the backslash `at` ends."""
    if at + 1 >= size:
        return -1
    sign = byte_at(data, at + 1)
    if _meaning(sign):
        return at + 2
    if sign != 0x75:
        return -1
    unit = _unit(data, at + 2, size)
    if unit < 0 or 0xDC00 <= unit < 0xE000:
        return -1
    if unit < 0xD800 or unit >= 0xE000:
        return at + 6
    if at + 8 > size or byte_at(data, at + 6) != BACKSLASH or byte_at(data, at + 7) != 0x75:
        return -1
    low = _unit(data, at + 8, size)
    return at + 12 if 0xDC00 <= low < 0xE000 else -1


@inlined
def string_end(data: int, at: int, size: int, utf8: bool) -> tuple[int, bool]:
    """The closing quote of the string whose text begins at `at`, and whether it has escapes.

    Args:
        data, size: address and size of the block.
        utf8: whether it is known to be UTF-8; else bytes above 127 are refused.
    """
    escaped = False
    while True:
        if at + WIDTH <= size:
            mask = string_stops(data, at)
            if not utf8:
                mask |= beyond_ascii(data, at)
            if not mask:
                at += WIDTH
                continue
            at += lowest_bit(mask)
        elif at >= size:
            return -1, False
        byte = byte_at(data, at)
        if byte == QUOTE:
            return at, escaped
        if byte == BACKSLASH:
            escaped = True
            at = _escape_end(data, at, size)
            if at < 0:
                return -1, False
        elif byte < _SPACE or (byte > 127 and not utf8):
            return -1, False
        else:
            at += 1


@inlined
def _digits_end(data: int, at: int, size: int) -> int:
    while at < size and 0x30 <= byte_at(data, at) <= 0x39:
        at += 1
    return at


@inlined
def number_end(data: int, at: int, size: int) -> tuple[int, bool]:
    """Where the number that begins at `at` ends, and whether it is whole."""
    start = at
    if byte_at(data, at) == 0x2D:
        at += 1
    first = at
    at = _digits_end(data, at, size)
    if at == first or (byte_at(data, first) == 0x30 and at > first + 1):
        return -1, False
    whole = True
    if at < size and byte_at(data, at) == 0x2E:
        whole = False
        first = at + 1
        at = _digits_end(data, first, size)
        if at == first:
            return -1, False
    if at - start > _NUMBER or (at < size and byte_at(data, at) | 0x20 == 0x65):
        return -1, False
    return at, whole


@inlined
def literal_end(data: int, at: int, size: int) -> int:
    """Where `true`, `false` or `null` ends."""
    if at + 4 > size:
        return -1
    a, b, c, d = (
        byte_at(data, at),
        byte_at(data, at + 1),
        byte_at(data, at + 2),
        byte_at(data, at + 3),
    )
    if a == 0x6E:
        return at + 4 if b == 0x75 and c == 0x6C and d == 0x6C else -1
    if a == 0x74:
        return at + 4 if b == 0x72 and c == 0x75 and d == 0x65 else -1
    if a == 0x66 and b == 0x61 and c == 0x6C and d == 0x73 and at + 5 <= size:
        return at + 5 if byte_at(data, at + 4) == 0x65 else -1
    return -1


@kernel
def _utf8(code: int, out: int, to: int) -> int:
    if code < 0x80:
        put_byte(out, to, code)
        return to + 1
    if code < 0x800:
        put_byte(out, to, 0xC0 | code >> 6)
        put_byte(out, to + 1, 0x80 | code & 0x3F)
        return to + 2
    if code < 0x10000:
        put_byte(out, to, 0xE0 | code >> 12)
        put_byte(out, to + 1, 0x80 | code >> 6 & 0x3F)
        put_byte(out, to + 2, 0x80 | code & 0x3F)
        return to + 3
    put_byte(out, to, 0xF0 | code >> 18)
    put_byte(out, to + 1, 0x80 | code >> 12 & 0x3F)
    put_byte(out, to + 2, 0x80 | code >> 6 & 0x3F)
    put_byte(out, to + 3, 0x80 | code & 0x3F)
    return to + 4


@kernel
def unescape(data: int, at: int, end: int, size: int, out: int, to: int) -> int:
    """Write the text of a string that `string_end` accepted; gives where it ends in `out`."""
    while at < end:
        run = at
        while run < end:
            if run + WIDTH <= size:
                mask = string_stops(data, run)
                run += lowest_bit(mask)
                if mask:
                    break
            elif byte_at(data, run) == BACKSLASH:
                break
            else:
                run += 1
        run = min(run, end)
        copy_bytes(out, to, data, at, run - at)
        to += run - at
        at = run
        if at >= end:
            break
        sign = byte_at(data, at + 1)
        if sign != 0x75:
            put_byte(out, to, _meaning(sign))
            to += 1
            at += 2
            continue
        code = _unit(data, at + 2, end)
        at += 6
        if 0xD800 <= code < 0xDC00:
            code = 0x10000 + ((code - 0xD800) << 10) + _unit(data, at + 2, end) - 0xDC00
            at += 6
        to = _utf8(code, out, to)
    return to
