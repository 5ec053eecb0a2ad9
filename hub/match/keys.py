"""Ids and times of STIX objects as numbers, read by the column.

An id of its type's usual form, such as `indicator--` and 32 hex digits in small letters with
the dashes of a UUID, is those 16 bytes. Any other id is a 16-byte hash of its text, which is kept
beside.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, TypeAlias
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.match.index.buffers import Bytes, Offsets, Rows, string_buffers

KeyTable: TypeAlias = NDArray[np.uint8]
"""N ids, (N, 16)."""

NO_TIME: Final = -(2**63)
"""What a text that is no plain timestamp reads as."""

_UUID: Final = 36
_HEX: Final = np.frombuffer(b"".join(b"%02x" % n for n in range(256)), np.uint8).reshape(256, 2)
_DASHES: Final = (8, 13, 18, 23)
_PLACES: Final = np.asarray([at for at in range(_UUID) if at not in _DASHES], dtype=np.int64)


@kernel
def _read_keys(
    data: Bytes, offsets: Offsets, prefix: Bytes, keys: KeyTable, usual: NDArray[np.bool_]
) -> None:
    for row in range(offsets.size - 1):
        start = offsets[row]
        usual[row] = False
        if offsets[row + 1] - start != prefix.size + 36:
            continue
        fits = True
        for k in range(prefix.size):
            if data[start + k] != prefix[k]:
                fits = False
        start += prefix.size
        nibble = 0
        for k in range(36):
            byte = np.int64(data[start + k])
            if k == 8 or k == 13 or k == 18 or k == 23:
                if byte != 45:
                    fits = False
                continue
            value = np.int64(-1)
            if 48 <= byte <= 57:
                value = byte - 48
            elif 97 <= byte <= 102:
                value = byte - 87
            if value < 0:
                fits = False
            if nibble & 1:
                keys[row, nibble >> 1] |= np.uint8(value & 15)
            else:
                keys[row, nibble >> 1] = np.uint8((value & 15) << 4)
            nibble += 1
        usual[row] = fits


def read_keys(ids: list[str], object_type: str, odd: dict[bytes, str]) -> KeyTable:
    """The keys of N ids; those of unusual form are added to `odd` by their key."""
    column = pa.array(ids, pa.large_string())
    data, offsets = string_buffers(column)
    keys: KeyTable = np.zeros((len(ids), 16), dtype=np.uint8)
    usual = np.zeros(len(ids), dtype=np.bool_)
    prefix = np.frombuffer(f"{object_type}--".encode(), dtype=np.uint8)
    _read_keys(data, offsets, prefix, keys, usual)
    for row in np.flatnonzero(~usual).tolist():
        key = hashlib.blake2b(ids[row].encode(), digest_size=16, person=b"stix id").digest()
        keys[row] = np.frombuffer(key, dtype=np.uint8)
        odd[key] = ids[row]
    return keys


def key_of(identifier: str, object_type: str) -> bytes:
    """The key of one id."""
    return bytes(read_keys([identifier], object_type, {})[0])


def write_ids(keys: KeyTable, object_type: str, odd: dict[bytes, str]) -> Any:
    """The ids (Arrow strings) of N keys."""
    prefix = f"{object_type}--".encode()
    width = len(prefix) + _UUID
    text = np.full((len(keys), width), ord("-"), dtype=np.uint8)
    text[:, : len(prefix)] = np.frombuffer(prefix, dtype=np.uint8)
    text[:, len(prefix) + _PLACES] = _HEX[keys].reshape(len(keys), 32)
    offsets = np.arange(len(keys) + 1, dtype=np.int64) * width
    ids = pa.LargeStringArray.from_buffers(len(keys), pa.py_buffer(offsets), pa.py_buffer(text))
    if not odd:
        return ids.cast(pa.string())
    return pa.array(
        [
            odd.get(key.tobytes(), identifier)
            for key, identifier in zip(keys, ids.to_pylist(), strict=True)
        ],
        pa.string(),
    )


def write_id(key: bytes, object_type: str, odd: dict[bytes, str]) -> str:
    """The id of one key."""
    return odd.get(key) or f"{object_type}--{UUID(bytes=key)}"


def sortable(keys: KeyTable) -> NDArray[np.bytes_]:
    """The same keys as one array that NumPy can order and search; no copy."""
    return np.ascontiguousarray(keys).view("S16").reshape(-1)


def newest(keys: KeyTable, versions: Rows) -> Rows:
    """Where the newest version of each id stands, by id; of equal versions the last one."""
    if len(keys) == 0:
        return np.zeros(0, dtype=np.int64)
    words = np.ascontiguousarray(keys).view(">u8").astype(np.uint64)
    order = np.lexsort((versions, words[:, 1], words[:, 0]))
    words = words[order]
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = np.any(words[1:] != words[:-1], axis=1)
    chosen: Rows = order[last]
    return chosen


def find_keys(table: KeyTable, wanted: KeyTable) -> Rows:
    """Where each wanted id stands in a table that is ordered by id; -1: it does not."""
    if len(table) == 0 or len(wanted) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    column, keys = sortable(table), sortable(wanted)
    at = np.searchsorted(column, keys)
    at[at == len(column)] = 0
    found: Rows = np.where(column[at] == keys, at, -1).astype(np.int64)
    return found


@kernel
def _digits(data: Bytes, start: int, count: int) -> np.int64:
    value = np.int64(0)
    for k in range(count):
        digit = np.int64(data[start + k]) - 48
        if digit < 0 or digit > 9:
            return np.int64(-1)
        value = value * 10 + digit
    return value


@kernel
def _days(year: np.int64, month: np.int64, day: np.int64) -> np.int64:
    """Days since 1970 of a date of the proleptic Gregorian calendar; -1 << 40: there is none."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = np.int64(31)
    if month == 2:
        longest = np.int64(29 if leap else 28)
    elif month == 4 or month == 6 or month == 9 or month == 11:
        longest = np.int64(30)
    if year < 1 or month < 1 or month > 12 or day < 1 or day > longest:
        return np.int64(-1 << 40)
    # Years begin in March here, so that the leap day is the last one.
    shifted = year - 1 if month <= 2 else year
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@kernel
def _micros(data: Bytes, start: int, end: int) -> np.int64:
    """Up to six digits of a fraction of a second; more are cut off; -1: not digits."""
    value = np.int64(0)
    for k in range(end - start):
        digit = np.int64(data[start + k]) - 48
        if digit < 0 or digit > 9:
            return np.int64(-1)
        if k < 6:
            value = value * 10 + digit
    for _ in range(end - start, 6):
        value *= 10
    return value


@kernel
def _is_shaped(data: Bytes, at: int, end: int) -> bool:
    return (
        end - at >= 20
        and data[at + 4] == 45
        and data[at + 7] == 45
        and data[at + 10] == 84
        and data[at + 13] == 58
        and data[at + 16] == 58
        and data[end - 1] == 90
        and (end - at == 20 or (data[at + 19] == 46 and end - at > 21))
    )


@kernel
def _read_times(data: Bytes, offsets: Offsets, out: Rows, none: np.int64) -> None:
    for row in range(offsets.size - 1):
        at, end = offsets[row], offsets[row + 1]
        out[row] = none
        if not _is_shaped(data, at, end):
            continue
        day = _days(_digits(data, at, 4), _digits(data, at + 5, 2), _digits(data, at + 8, 2))
        hour, minute = _digits(data, at + 11, 2), _digits(data, at + 14, 2)
        second = _digits(data, at + 17, 2)
        micros = np.int64(0) if end - at == 20 else _micros(data, at + 20, end - 1)
        within = 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60
        if day > np.int64(-1 << 40) and within and micros >= 0:
            seconds = ((day * 24 + hour) * 60 + minute) * 60 + second
            out[row] = seconds * 1_000_000 + micros


def read_times(texts: list[str]) -> Rows:
    """Microseconds since 1970 of N STIX timestamps; `NO_TIME` for all but the plain spelling."""
    data, offsets = string_buffers(pa.array(texts, pa.large_string()))
    times: Rows = np.empty(len(texts), dtype=np.int64)
    _read_times(data, offsets, times, np.int64(NO_TIME))
    return times
