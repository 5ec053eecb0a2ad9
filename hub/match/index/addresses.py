"""The columnar parse of addresses and blocks; IPv4-mapped IPv6 is IPv4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.match.compare import network, quad
from hub.match.index.buffers import Bytes, Keys, Offsets, Whole, Words64, frozen, string_buffers
from hub.match.index.spelling import is_mapped, parse_one, written, written_v4
from hub.match.index.words import address, byte_at, same_bytes

Small: TypeAlias = NDArray[np.uint8]
_LONGEST: Final = 39

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


def _scratch() -> Words64:
    """Room for nine groups and a written address; a kernel's own array may be freed too soon."""
    return np.zeros(16, dtype=np.uint64)


@kernel
def _parse(
    data: Bytes, offsets: Offsets, scratch: Words64, family: Small, high: Words64, low: Words64
) -> None:
    base, groups = address(data), address(scratch)
    limit = base + data.size
    for row in range(offsets.size - 1):
        start, end = base + np.int64(offsets[row]), base + np.int64(offsets[row + 1])
        family[row], high[row], low[row] = parse_one(start, end, limit, groups)
        if family[row] == 6 and is_mapped(high[row], low[row]):
            family[row] = 4
            low[row] &= np.uint64(0xFFFFFFFF)


@kernel
def _check(data: Bytes, offsets: Offsets, scratch: Words64, plain: NDArray[np.bool_]) -> None:
    base, groups = address(data), address(scratch)
    limit = base + data.size
    out = groups + 72
    for row in range(offsets.size - 1):
        start, end = base + np.int64(offsets[row]), base + np.int64(offsets[row + 1])
        family, high, low = parse_one(start, end, limit, groups)
        plain[row] = family == 4
        if family == 6 and not is_mapped(high, low):
            size = written(high, low, out)
            plain[row] = end - start == size and same_bytes(start, out, size)


def canonical(values: Any) -> NDArray[np.bool_]:
    """Which of N strings (Arrow) are addresses as Python writes them; a null may be either."""
    plain: NDArray[np.bool_] = np.zeros(len(values), dtype=np.bool_)
    data, offsets = string_buffers(values)
    _check(data, offsets, _scratch(), plain)
    return plain


@kernel
def _write(family: Small, high: Words64, low: Words64, out: Bytes, offsets: Keys) -> None:
    base = address(out)
    end: Whole = 0
    for row in range(family.size):
        if family[row] == 4:
            end += written_v4(np.int64(low[row]), base + end)
        elif family[row] == 6:
            end += written(high[row], low[row], base + end)
        offsets[row + 1] = end


def write_addresses(addresses: Addresses) -> Any:
    """The text of N addresses, as Python writes them (Arrow strings); empty where there is none."""
    count = len(addresses.family)
    out: Bytes = np.empty(_LONGEST * count, dtype=np.uint8)
    offsets: Keys = np.zeros(count + 1, dtype=np.int32)
    columns = (frozen(addresses.family), frozen(addresses.high), frozen(addresses.low))
    _write(*columns, out, offsets)
    text = pa.py_buffer(out[: offsets[-1]].copy())
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), text)


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
    limit = base + data.size
    for row in range(offsets.size - 1):
        start, end = base + np.int64(offsets[row]), base + np.int64(offsets[row + 1])
        slash = start
        while slash < end and byte_at(slash) != 47:
            slash += 1
        version, first, second = parse_one(start, slash, limit, groups)
        bits = 32 if version == 4 else 128
        size = bits if slash == end else _length(slash + 1, end)
        if version == 0 or size < 0 or size > bits:
            continue
        spare = np.int64(bits - size)
        first, second = _cleared(first, second, spare)
        if version == 6 and size >= 96 and is_mapped(first, second):
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
