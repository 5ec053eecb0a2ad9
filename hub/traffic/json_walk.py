"""One pass over a block of JSON lines: where on each line the wanted values stand.

The kernel checks each line as strictly as JSON asks and follows the objects on the way to wanted
fields. A line with anything out of the ordinary is only noted: see `hub.traffic.json_tokens`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hub.fingerprint.jit import inlined, kernel
from hub.traffic.json_fields import (
    ABSENT,
    AS_JSON,
    AS_LIST,
    AS_STRING,
    AS_TEXT,
    AS_TIME,
    ESCAPED,
    GLIMPSED,
    INNER,
    KEY,
    KEY_COLUMN,
    KEY_TAKES,
    LINE,
    LINE_NAIVE,
    LINE_SEEN,
    NAIVE,
    NESTED,
    NO_TEXT,
    NUMBER,
    ODD,
    PLAIN,
    ROWS,
    SEEN,
    STOPPED,
    UNKNOWN,
    Bytes,
    Longs,
    key_of,
)
from hub.traffic.json_tokens import QUOTE, literal_end, number_end, string_end
from hub.traffic.json_values import NO_TIME, epoch, fraction_epoch, iso_time, whole_number
from hub.traffic.line_ends import line_end
from hub.traffic.vectors import byte_at, item, put_item

# Places in the state of a line: keys seen, columns filled, keys glimpsed (all sets of bits), how
# many objects and lists are open, what closes the innermost, its node (UNKNOWN inside what nobody
# asks for), whether it is still empty, the column whose list is open and on which level; then what
# closes each open one, and its node.
_SEEN: Final = 0
_FILLED: Final = 1
_GLIMPSES: Final = 2
_LEVEL: Final = 3
_CLOSING: Final = 4
_NODE: Final = 5
_FRESH: Final = 6
_NESTED: Final = 7
_NESTED_LEVEL: Final = 8
_STACK: Final = 9
_DEPTH: Final = 64
_OPEN_OBJECT: Final = 0x7B
_CLOSE_OBJECT: Final = 0x7D
_OPEN_LIST: Final = 0x5B
_CLOSE_LIST: Final = 0x5D
_COMMA: Final = 0x2C
_COLON: Final = 0x3A
_LINE_FEED: Final = 0x0A


@inlined
def _next(data: int, at: int, size: int) -> int:
    """The next byte that is no space; the block's end where there is none."""
    while at < size and (
        byte_at(data, at) == 0x20 or byte_at(data, at) == 0x09 or byte_at(data, at) == 0x0D
    ):
        at += 1
    return at


@inlined
def _text_cell(data: int, at: int, end: int, escaped: bool, takes: int) -> tuple[int, int, int]:
    """A string as a cell, and whether it counts: -1 where the column takes none, or not this one.

    The third is 1 for a time without a zone.
    """
    if takes == AS_TIME:
        micros, naive = iso_time(data, at, end)
        if micros == NO_TIME or escaped:
            return 0, -1, 0
        return micros, NUMBER, 1 if naive else 0
    if takes == AS_JSON:
        return at - 1, (end + 1) << 3 | NESTED, 0
    if takes not in (AS_TEXT, AS_STRING):
        return 0, -1, 0
    if end == at:
        return 0, ABSENT, 0
    return at, end << 3 | (ESCAPED if escaped else PLAIN), 0


@inlined
def _number_cell(data: int, at: int, end: int, takes: int) -> tuple[int, int]:
    """A whole number as a cell; -1 where the column takes none."""
    value, fits = whole_number(data, at, end)
    if takes in (AS_LIST, AS_STRING, AS_JSON):
        return 0, -1
    if not fits or (takes == AS_TEXT and byte_at(data, at) == 0x2D):
        return 0, -1
    if takes == AS_TEXT:
        return at, end << 3 | PLAIN
    if takes == AS_TIME:
        value = epoch(value)
        if value == NO_TIME:
            return 0, -1
    return value, NUMBER


@inlined
def _fraction_cell(data: int, at: int, end: int, takes: int) -> tuple[int, int]:
    """A number with a point as a cell; -1 where it is no time."""
    value = fraction_epoch(data, at, end) if takes == AS_TIME else NO_TIME
    return value, (-1 if value == NO_TIME else NUMBER)


@inlined
def _scalar(
    data: int, at: int, size: int, utf8: bool, column: int, takes: int, cell: int, totals: int
) -> tuple[int, bool]:
    """Read a string, number or literal; gives where it ends, or -1, and whether it is a value.

    Args:
        column: where to keep it; below 0 it is only checked.
    """
    byte = byte_at(data, at)
    if byte == QUOTE:
        end, escaped = string_end(data, at + 1, size, utf8)
        if end >= 0 and column >= 0:
            value, kind, naive = _text_cell(data, at + 1, end, escaped, takes)
            if kind < 0:
                return -1, False
            put_item(cell, 0, value)
            put_item(cell, 1, kind)
            if column == 0:
                put_item(totals, LINE_NAIVE, naive)
        return (end + 1 if end >= 0 else -1), True
    if byte == 0x2D or 0x30 <= byte <= 0x39:
        end, whole = number_end(data, at, size)
        if end >= 0 and column >= 0:
            if whole:
                value, kind = _number_cell(data, at, end, takes)
            else:
                value, kind = _fraction_cell(data, at, end, takes)
            if kind < 0:
                return -1, False
            put_item(cell, 0, value)
            put_item(cell, 1, kind)
        return end, True
    end = literal_end(data, at, size)
    if byte == 0x6E:
        return end, False
    return (-1 if column >= 0 else end), True


@inlined
def _member(
    data: int,
    at: int,
    size: int,
    utf8: bool,
    node: int,
    arena: int,
    keys: int,
    table: int,
    slots: int,
) -> tuple[int, int]:
    """Read a key and its colon; gives where the value begins, or -1, and which key it is."""
    if byte_at(data, at) != QUOTE:
        return -1, UNKNOWN
    end, escaped = string_end(data, at + 1, size, utf8)
    if end < 0:
        return -1, UNKNOWN
    key = UNKNOWN
    if node >= 0:
        if escaped:
            return -1, UNKNOWN
        key = key_of(data, at + 1, end - at - 1, node, arena, keys, table, slots)
    at = _next(data, end + 1, size)
    if at >= size or byte_at(data, at) != _COLON:
        return -1, UNKNOWN
    at = _next(data, at + 1, size)
    return (at if at < size else -1), key


@inlined
def _first(state: int, place: int, number: int) -> bool:
    """Set a bit of one of the sets in `state`; False if it was set already."""
    bit = np.int64(1) << number
    before = item(state, place)
    put_item(state, place, before | bit)
    return bool(before & bit == 0)


@inlined
def _open(byte: int, at: int, column: int, takes: int, inner: int, cell: int, state: int) -> int:
    """Enter an object or a list; gives where its first member begins, or -1."""
    if column >= 0 and takes != AS_JSON and (takes != AS_LIST or byte == _OPEN_OBJECT):
        return -1
    depth = item(state, _LEVEL)
    if depth == _DEPTH:
        return -1
    if column >= 0:
        put_item(cell, 0, at)
        put_item(state, _NESTED, column)
        put_item(state, _NESTED_LEVEL, depth)
    closing = _CLOSE_LIST if byte == _OPEN_LIST else _CLOSE_OBJECT
    node = inner if byte == _OPEN_OBJECT else UNKNOWN
    put_item(state, _CLOSING, closing)
    put_item(state, _NODE, node)
    put_item(state, _STACK + 2 * depth, closing)
    put_item(state, _STACK + 2 * depth + 1, node)
    put_item(state, _LEVEL, depth + 1)
    put_item(state, _FRESH, 1)
    return at + 1


@inlined
def _value(
    data: int,
    at: int,
    size: int,
    utf8: bool,
    key: int,
    keys: int,
    row: int,
    cells: int,
    capacity: int,
    totals: int,
    state: int,
) -> int:
    """Read a scalar, or enter an object or list; gives where it goes on, or -1."""
    column = takes = inner = UNKNOWN
    if key >= 0:
        if not _first(state, _SEEN, key):
            return -1
        column = item(keys, key * KEY + KEY_COLUMN)
        takes = item(keys, key * KEY + KEY_TAKES)
        if column in (INNER, NO_TEXT):
            inner = key + 1
    cell = cells + 16 * (column * capacity + row)
    byte = byte_at(data, at)
    if byte in (_OPEN_OBJECT, _OPEN_LIST):
        at = _open(byte, at, column, takes, inner, cell, state)
        valued = True
    elif column == NO_TEXT and byte == QUOTE:
        return -1
    else:
        at, valued = _scalar(data, at, size, utf8, column, takes, cell, totals)
    if valued and key >= 0:
        if column == GLIMPSED:
            _first(state, _GLIMPSES, key)
        if column >= 0 and not _first(state, _FILLED, column):
            return -1
    return at


@inlined
def _after(
    data: int, at: int, size: int, row: int, cells: int, capacity: int, state: int
) -> tuple[int, bool]:
    """Leave what closes behind a value; gives where a member begins or the line ends, or -1."""
    while True:
        at = _next(data, at, size)
        if at >= size:
            return -1, False
        byte = byte_at(data, at)
        at += 1
        if byte == _COMMA:
            return at, False
        if byte != item(state, _CLOSING):
            return -1, False
        depth = item(state, _LEVEL) - 1
        put_item(state, _LEVEL, depth)
        if depth == item(state, _NESTED_LEVEL):
            cell = cells + 16 * (item(state, _NESTED) * capacity + row)
            put_item(cell, 1, at << 3 | NESTED)
            put_item(state, _NESTED_LEVEL, -1)
        if depth == 0:
            at = _next(data, at, size)
            ended = at >= size or byte_at(data, at) == _LINE_FEED
            return (at if ended else -1), True
        put_item(state, _CLOSING, item(state, _STACK + 2 * depth - 2))
        put_item(state, _NODE, item(state, _STACK + 2 * depth - 1))


@kernel
def _line(
    data: int,
    at: int,
    size: int,
    row: int,
    utf8: bool,
    arena: int,
    keys: int,
    table: int,
    slots: int,
    cells: int,
    capacity: int,
    totals: int,
    state: int,
) -> int:
    """Read one line; gives where it ends, or -1 less a place in it if it is out of the ordinary."""
    if byte_at(data, at) != _OPEN_OBJECT:
        return -1 - at
    for place in (_SEEN, _FILLED, _GLIMPSES, _LEVEL):
        put_item(state, place, 0)
    put_item(state, _NESTED_LEVEL, -1)
    at = _open(_OPEN_OBJECT, at, UNKNOWN, UNKNOWN, 0, cells, state)
    while True:
        stop = -1 - at
        at = _next(data, at, size)
        if at >= size:
            return stop
        closing = item(state, _CLOSING)
        if not (item(state, _FRESH) and byte_at(data, at) == closing):
            key = UNKNOWN
            if closing == _CLOSE_OBJECT:
                node = item(state, _NODE)
                at, key = _member(data, at, size, utf8, node, arena, keys, table, slots)
                if at < 0:
                    return stop
            put_item(state, _FRESH, 0)
            at = _value(data, at, size, utf8, key, keys, row, cells, capacity, totals, state)
            if at < 0:
                return stop
            if item(state, _FRESH):
                continue
        put_item(state, _FRESH, 0)
        at, done = _after(data, at, size, row, cells, capacity, state)
        if at < 0:
            return stop
        if done:
            put_item(totals, LINE_SEEN, item(state, _GLIMPSES))
            return at


@kernel
def walk(
    data: Bytes,
    at: int,
    line: int,
    utf8: bool,
    longest: int,
    arena: Bytes,
    keys: Longs,
    table: Longs,
    cells: Longs,
    lines: Longs,
    odd_lines: Longs,
    totals: Longs,
) -> None:
    """Read lines from the byte `at` on, until the room is full or the block ends.

    Args:
        line: the number of the first of them.
        utf8: whether the block is known to be UTF-8.
        longest: a longer line, in bytes, is out of the ordinary.
        arena, keys, table: see `Fields`.
        cells, lines, odd_lines, totals: see `Found`.
    """
    size = data.size
    text = data.ctypes.data
    capacity = lines.size
    state = np.empty(_STACK + 2 * _DEPTH, np.int64)
    rows = odd = naive = 0
    glimpsed = np.int64(0)
    while at < size and rows + odd < capacity:
        begin = at
        at = _next(text, at, size)
        if at < size and data[at] != _LINE_FEED:
            for column in range(cells.shape[0]):
                cells[column, rows, 1] = ABSENT
            totals[LINE_NAIVE] = 0
            stop = _line(
                text,
                at,
                size,
                rows,
                utf8,
                arena.ctypes.data,
                keys.ctypes.data,
                table.ctypes.data,
                table.size,
                cells.ctypes.data,
                capacity,
                totals.ctypes.data,
                state.ctypes.data,
            )
            at = line_end(text, stop if stop >= 0 else -1 - stop, size)
            if stop >= 0 and at - begin <= longest:
                lines[rows] = line
                naive += totals[LINE_NAIVE]
                glimpsed |= totals[LINE_SEEN]
                rows += 1
            else:
                odd_lines[odd, 0], odd_lines[odd, 1], odd_lines[odd, 2] = begin, at, line
                odd += 1
        at += 1
        line += 1
    totals[ROWS], totals[ODD], totals[STOPPED], totals[LINE] = rows, odd, at, line
    totals[SEEN], totals[NAIVE] = glimpsed, naive
