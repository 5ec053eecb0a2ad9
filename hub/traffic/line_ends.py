"""Kernels that find and count line ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.traffic.vectors import WIDTH, bits_set, byte_at, line_ends, lowest_bit

_LINE_FEED = 0x0A


@kernel
def line_end(data: int, at: int, size: int) -> int:
    """The next line feed of the bytes at the address `data`, from `at` on; else `size`."""
    while at + WIDTH <= size:
        mask = line_ends(data, at)
        if mask:
            at += lowest_bit(mask)
            return at
        at += WIDTH
    while at < size and byte_at(data, at) != _LINE_FEED:
        at += 1
    return at


@kernel
def _count(data: NDArray[np.uint8]) -> int:
    address, size = data.ctypes.data, data.size
    count = at = 0
    while at + WIDTH <= size:
        count += bits_set(line_ends(address, at))
        at += WIDTH
    while at < size:
        count += byte_at(address, at) == _LINE_FEED
        at += 1
    return count


@kernel
def _after_last(data: NDArray[np.uint8]) -> int:
    address, at = data.ctypes.data, data.size
    while at and byte_at(address, at - 1) != _LINE_FEED:
        at -= 1
    return at


@kernel
def _after_first(data: NDArray[np.uint8]) -> int:
    end = line_end(data.ctypes.data, 0, data.size)
    return end + 1 if end < data.size else end


def _bytes(data: bytes | memoryview) -> NDArray[np.uint8]:
    found = np.frombuffer(data, np.uint8)
    found.flags.writeable = False  # one compiled function serves bytes and memory that is reused
    return found


def count_lines(data: bytes | memoryview) -> int:
    """How many line feeds there are; counted without the lock of the interpreter."""
    return _count(_bytes(data))


def last_line_end(data: bytes | memoryview) -> int:
    """Where the last whole line ends, behind its line feed; 0 where there is none."""
    return _after_last(_bytes(data))


def line_length(data: bytes | memoryview) -> int:
    """How long the first line is, with its line feed if it has one."""
    return _after_first(_bytes(data))
