"""Search of many byte strings in many texts at once, in a Numba kernel.

Of each literal one window of 8 bytes (fewer of a short one) is chosen that few others share. The
kernel hashes the window at every place of a text and looks into a bitmap that stays in the
processor's cache; only where the bit is set does it look at the literals themselves. Windows are
compared without the case of ASCII letters, literals with it unless they are caseless. A key may
have several parts, each with its literals: it is found where every part has one of them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import inlined, kernel
from hub.fingerprint.loads import word_at
from hub.fingerprint.masking import Index
from hub.match.index.buffers import NO_BYTES, Bytes, Hits, Keys, Offsets, Rows, frozen

WIDE: Final = 8
SHORT: Final = 4
NARROW: Final = 2
"""Bytes of the shortest literal that the table takes."""
_SIZES: Final = (WIDE, SHORT, 3, NARROW)
MAX_PARTS: Final = 8

_FOLD: Final = np.uint64(0x2020202020202020)
_HASH: Final = np.uint64(0x9E3779B97F4A7C15)
_B6: Final = np.uint64(6)
_B12: Final = np.uint64(12)
_B16: Final = np.uint64(16)
_B63: Final = np.uint64(63)
_BITS_PER_WINDOW: Final = 64
_CHUNK: Final = 2048
_WORK_PER_BYTE: Final = 64
_FREE_WORK: Final = 65_536

Entries: TypeAlias = NDArray[np.int32]
"""A row for each literal: start and length in the arena, place of its window, key, whether
caseless, part."""
Spans: TypeAlias = NDArray[np.int32]
Words64: TypeAlias = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Literal:
    """A byte string of at least NARROW bytes that stands for one part of a key.

    Attributes:
        part: 0 to MAX_PARTS - 1; the parts of a key are numbered without gaps.
    """

    content: bytes
    caseless: bool
    key: int
    part: int = 0


@kernel
def _looked(
    data: Bytes, at: Index, arena: Bytes, start: Index, length: Index, caseless: Index
) -> Index:
    """How many bytes of the literal stand at a place of the text, from its first on."""
    for k in range(length):
        left = data[at + k]
        right = arena[start + k]
        if left != right:
            letter = left | np.uint8(0x20)
            if not caseless or (left ^ right) != 0x20 or letter < 0x61 or letter > 0x7A:
                return k
    return length


@inlined
def _mark(hashed: np.uint64, shift: np.uint64) -> np.uint64:
    """The two bits that a window sets in its word of the bitmap."""
    one = (hashed >> (shift - _B6)) & _B63
    other = (hashed >> (shift - _B12)) & _B63
    return (np.uint64(1) << one) | (np.uint64(1) << other)


@inlined
def _marked(hashed: np.uint64, shift: np.uint64, bits: Words64) -> np.uint64:
    """1 if both bits of a window are set, else 0."""
    word = bits[hashed >> shift]
    one = (hashed >> (shift - _B6)) & _B63
    other = (hashed >> (shift - _B12)) & _B63
    both: np.uint64 = (word >> one) & (word >> other) & np.uint64(1)
    return both


@inlined
def _slot(window: np.uint64, hashed: np.uint64, slots: Words64, spans: Spans) -> np.uint64:
    """The slot of a window, or the empty one where it would be."""
    mask = np.uint64(slots.size - 1)
    at = (hashed >> _B16) & mask
    while spans[at, 1] > 0 and slots[at] != window:
        at = (at + np.uint64(1)) & mask
    return at


@kernel
def _fill(
    windows: Words64, starts: Rows, shift: np.uint64, bits: Words64, slots: Words64, spans: Spans
) -> None:
    for number in range(windows.size):
        hashed = windows[number] * _HASH
        bits[hashed >> shift] |= _mark(hashed, shift)
        at = _slot(windows[number], hashed, slots, spans)
        slots[at] = windows[number]
        spans[at, 0] = starts[number]
        spans[at, 1] = starts[number + 1]


@kernel
def _window(data: Bytes, at: Index, end: Index) -> np.uint64:
    """The folded bytes from a place on, zero behind the end of the text."""
    if at + WIDE <= end:
        return word_at(data, at) | _FOLD
    word = np.uint64(0)
    for k in range(end - at):
        word |= np.uint64(data[at + k] | np.uint8(0x20)) << np.uint64(8 * k)
    return word


@kernel
def _candidates(
    data: Bytes,
    first: Index,
    last: Index,
    mask: np.uint64,
    shift: np.uint64,
    bits: Words64,
    out: Rows,
) -> Index:
    """Collect the places in [first, last) where a window may be; 8 bytes follow each."""
    count = np.uint64(0)
    # No branch and unsigned indices: nothing foresees where a bit is set.
    for at in range(first, last):
        window = (word_at(data, at) | _FOLD) & mask
        out[count] = at
        count += _marked(window * _HASH, shift, bits)
    return np.int64(count)


@kernel
def _judge(
    data: Bytes,
    begin: Index,
    end: Index,
    at: Index,
    entry: Index,
    last: Index,
    arena: Bytes,
    entries: Entries,
    wanted: Bytes,
    seen: Rows,
    parts: Bytes,
    stamp: int,
    keys: Keys,
    found: Index,
) -> tuple[Index, Index]:
    """Compare the literals of one window with the text round it; returns hits and work."""
    work: Index = 0
    for number in range(entry, last):
        key = entries[number, 3]
        length = entries[number, 1]
        first = at - entries[number, 2]
        work += 1
        part = np.uint8(1) << np.uint8(entries[number, 5])
        if seen[key] != stamp:
            seen[key] = stamp
            parts[key] = 0
        if parts[key] & part or first < begin or first + length > end:
            continue
        looked = _looked(data, first, arena, entries[number, 0], length, entries[number, 4])
        work += looked
        if looked == length:
            parts[key] |= part
            if parts[key] == wanted[key]:
                if found < keys.size:
                    keys[found] = key
                found += 1
    return found, work


@kernel
def _search(
    data: Bytes,
    offsets: Offsets,
    rows: Rows,
    arena: Bytes,
    entries: Entries,
    masks: Words64,
    shift: np.uint64,
    bits: Words64,
    slots: Words64,
    spans: Spans,
    wanted: Bytes,
    seen: Rows,
    parts: Bytes,
    stamp: int,
    ends: Rows,
    heavy: NDArray[np.bool_],
    keys: Keys,
    first_row: int,
) -> int:
    """Write the keys found in `rows` from one on, and where those of each end.

    Returns the first row whose keys found no room.
    """
    found = ends[first_row - 1] if first_row else np.int64(0)
    places = np.empty(_CHUNK + WIDE + 1, np.int64)
    for number in range(first_row, rows.size):
        begin: np.int64 = np.int64(offsets[rows[number]])
        end: np.int64 = np.int64(offsets[rows[number] + 1])
        left = _FREE_WORK + _WORK_PER_BYTE * (end - begin)
        stop = np.int64(end - NARROW + 1)
        # A window that reaches into the next text is found out later.
        safe = min(stop, np.int64(data.size - WIDE + 1))
        for mask in masks:
            first = begin
            while first < stop and left >= 0:
                last = min(first + _CHUNK, max(first, safe))
                count = _candidates(data, first, last, mask, shift, bits, places)
                if last >= safe:
                    for at in range(last, stop):
                        places[count] = at
                        count += 1
                    last = stop
                first = last
                for k in range(count):
                    if left < 0:
                        break
                    window = _window(data, places[k], end) & mask
                    slot = _slot(window, window * _HASH, slots, spans)
                    if spans[slot, 1] > 0:
                        found, work = _judge(
                            data,
                            begin,
                            end,
                            places[k],
                            spans[slot, 0],
                            spans[slot, 1],
                            arena,
                            entries,
                            wanted,
                            seen,
                            parts,
                            stamp + number,
                            keys,
                            found,
                        )
                        left -= work
        if found > keys.size:
            return number
        heavy[number] = left < 0
        ends[number] = found
    return rows.size


class _Mine:
    """What one thread needs for itself.

    Attributes:
        seen: in which text a part of a key was looked for last.
        parts: which of its parts that text has.
        stamp: the number that the next text gets.
    """

    def __init__(self, keys: int) -> None:
        self.seen: Rows = np.zeros(keys, dtype=np.int64)
        self.parts: Bytes = np.zeros(keys, dtype=np.uint8)
        self.stamp = 1
        self.edges: Rows = np.zeros(2, dtype=np.int64)
        self.row: Rows = np.zeros(1, dtype=np.int64)
        self.end: Rows = np.zeros(1, dtype=np.int64)
        self.heavy: NDArray[np.bool_] = np.zeros(1, dtype=np.bool_)
        self.keys: Keys = np.empty(64, dtype=np.int32)


class LiteralTable:
    """Finds the keys of the literals that occur in texts; several threads may search at once.

    Args:
        literals: in any order; a key may have several.
        keys: how many keys there are.
    Attributes:
        distinct: the keys that have literals, in order.
    """

    def __init__(self, literals: Sequence[Literal], keys: int) -> None:
        self._keys = keys
        self.distinct: Keys = np.unique(np.asarray([one.key for one in literals], dtype=np.int32))
        self._threads = threading.local()
        windows, places = _windows(literals)
        order = np.argsort(windows, kind="stable")
        windows = windows[order]
        starts = np.flatnonzero(np.concatenate([[True], windows[1:] != windows[:-1]]))
        distinct = windows[starts] if len(windows) else windows
        edges: Rows = np.append(starts[: len(distinct)], len(windows)).astype(np.int64)
        power = max(4, (_BITS_PER_WINDOW * len(distinct) // 64).bit_length())
        self._shift = np.uint64(64 - power)
        sizes = sorted({_size(one.content) for one in literals})
        self._masks: Words64 = np.asarray([(1 << 8 * n) - 1 for n in sizes], dtype=np.uint64)
        self._wanted: Bytes = np.zeros(keys, dtype=np.uint8)
        for one in literals:
            self._wanted[one.key] |= 1 << one.part
        self._bits: Words64 = np.zeros(1 << power, dtype=np.uint64)
        size = 1 << max(4, (2 * len(distinct)).bit_length())
        self._slots: Words64 = np.zeros(size, dtype=np.uint64)
        self._spans: Spans = np.zeros((size, 2), dtype=np.int32)
        _fill(distinct, edges, self._shift, self._bits, self._slots, self._spans)
        chosen = [literals[number] for number in order.tolist()]
        content = b"".join(one.content for one in chosen)
        self._arena: Bytes = np.frombuffer(content, dtype=np.uint8) if content else NO_BYTES
        self._entries = _entries(chosen, places[order])

    def search(self, data: Bytes, offsets: Offsets, rows: Rows) -> tuple[Hits, NDArray[np.bool_]]:
        """Find the keys in some rows of N texts.

        Args:
            data: the bytes of all texts.
            offsets: N + 1 places in it.
            rows: numbers of the texts to search.
        Returns:
            Rows and keys, in the order of `rows`, and which of `rows` were given up because the
            comparisons took too long; their hits are not complete.
        """
        ends: Rows = np.zeros(len(rows), dtype=np.int64)
        heavy: NDArray[np.bool_] = np.zeros(len(rows), dtype=np.bool_)
        keys: Keys = np.empty(1024 + len(rows), dtype=np.int32)
        mine, done = self._taken(), 0
        # One form of the arguments, so that the kernel is compiled once.
        data, starts = frozen(data), frozen(offsets.astype(np.int64, copy=False))
        while True:
            done = self._run(mine, data, starts, rows, ends, heavy, keys, done)
            if done == len(rows):
                break
            keys = np.concatenate([keys, np.empty(len(keys) + self._keys, dtype=np.int32)])
        found = int(ends[-1]) if len(ends) else 0
        counts = np.diff(ends, prepend=0)
        return (np.repeat(rows, counts), keys[:found]), heavy

    def find(self, data: Bytes) -> list[int] | None:
        """The keys in one text; None if the comparisons took too long."""
        mine = self._taken()
        mine.edges[1] = len(data)
        if not self._run(mine, data, mine.edges, mine.row, mine.end, mine.heavy, mine.keys, 0):
            mine.keys = np.empty(self._keys, dtype=np.int32)
            return self.find(data)
        if mine.heavy[0]:
            return None
        kept: list[int] = mine.keys[: mine.end[0]].tolist()
        return kept

    def _taken(self) -> _Mine:
        """What belongs to this thread."""
        mine: _Mine | None = getattr(self._threads, "mine", None)
        if mine is None:
            mine = self._threads.mine = _Mine(self._keys)
        return mine

    def _run(
        self,
        mine: _Mine,
        data: Bytes,
        offsets: Offsets,
        rows: Rows,
        ends: Rows,
        heavy: NDArray[np.bool_],
        keys: Keys,
        first: int,
    ) -> int:
        stamp = mine.stamp
        mine.stamp = stamp + len(rows)
        return _search(
            data,
            offsets,
            rows,
            self._arena,
            self._entries,
            self._masks,
            self._shift,
            self._bits,
            self._slots,
            self._spans,
            self._wanted,
            mine.seen,
            mine.parts,
            stamp,
            ends,
            heavy,
            keys,
            first,
        )


def _entries(literals: Sequence[Literal], places: Rows) -> Entries:
    table = np.zeros((len(literals), 6), dtype=np.int32)
    table[:, 1] = [len(one.content) for one in literals]
    table[1:, 0] = np.cumsum(table[:-1, 1])
    table[:, 2] = places
    table[:, 3] = [one.key for one in literals]
    table[:, 4] = [one.caseless for one in literals]
    table[:, 5] = [one.part for one in literals]
    return table


def _windows(literals: Sequence[Literal]) -> tuple[Words64, Rows]:
    """The window of each literal and its place: the one that the fewest literals have."""
    folded = [bytes(byte | 0x20 for byte in one.content) for one in literals]
    # What the alternatives of one part share counts once: better one window of all than many.
    has = {
        (window, one.key, one.part)
        for one, content in zip(literals, folded, strict=True)
        for window in _of(content)
    }
    counts = Counter(window for window, _, _ in has)
    # Short windows are common in texts where they are in other literals too.
    texts = [content for content in folded if len(content) >= WIDE]
    counts.update(text[k : k + SHORT] for text in texts for k in range(len(text) - SHORT + 1))
    chosen: list[bytes] = []
    places: list[int] = []
    for content in folded:
        windows = _of(content)
        place = min(range(len(windows)), key=lambda k: counts[windows[k]])
        chosen.append(windows[place])
        places.append(place)
    packed = b"".join(window.ljust(WIDE, b"\0") for window in chosen)
    return np.frombuffer(packed, dtype=np.uint64), np.asarray(places, dtype=np.int64)


def _of(content: bytes) -> list[bytes]:
    size = _size(content)
    return [content[k : k + size] for k in range(min(len(content) - size + 1, 256))]


def _size(content: bytes) -> int:
    """Bytes in the window of a literal."""
    return next(size for size in _SIZES if len(content) >= size)
