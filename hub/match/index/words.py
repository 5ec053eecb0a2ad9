"""Memory as kernels read it, and the seeded hash of all tables.

Numba counts a reference to every array that is handed from one function to another, which costs a
lookup ten times its own time. So a kernel takes arrays, which keeps them alive, and hands the
addresses of their buffers to its parts.

The hash is keyed by three secret words, drawn once a process: whoever writes the traffic, or
publishes indicators, cannot make values collide on purpose.

Source: wyhash (public domain), with every constant but one replaced by a secret.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from hub.fingerprint.jit import kernel
from hub.match.index.buffers import Whole, Words64, frozen

Secret: TypeAlias = tuple[np.uint64, np.uint64, np.uint64]

SECRET: Final[Words64] = frozen(
    np.asarray([secrets.randbits(64) | 1 for _ in range(3)], dtype=np.uint64)
)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_B8: Final = np.uint64(8)
_B16: Final = np.uint64(16)
_Build: TypeAlias = Callable[[Any, Any, Any, Any], Any]


def _address(_: Any, array: Any) -> tuple[Any, _Build]:
    """Where the first element of an array, or of a bytes object, lies in memory."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.intp(array), generate


def _load(bits: int, kind: Any) -> Any:
    """A read of `bits` at any address, widened to 64."""

    def load(_: Any, at: Any) -> tuple[Any, _Build]:
        def generate(_: Any, builder: Any, __: Any, values: Any) -> Any:
            place = builder.inttoptr(values[0], ir.IntType(bits).as_pointer())
            found = builder.load(place, align=1)
            if bits == 64:
                return found
            widen = builder.sext if bits == 32 and kind is types.int64 else builder.zext
            return widen(found, ir.IntType(64))

        return kind(types.intp), generate

    return intrinsic(load)


def _store(bits: int) -> Any:
    """A write of the lowest `bits` of a word."""

    def store(_: Any, at: Any, value: Any) -> tuple[Any, _Build]:
        def generate(context: Any, builder: Any, __: Any, values: Any) -> Any:
            place = builder.inttoptr(values[0], ir.IntType(bits).as_pointer())
            found = values[1] if bits == 64 else builder.trunc(values[1], ir.IntType(bits))
            builder.store(found, place, align=1)
            return context.get_dummy_value()

        return types.void(types.intp, types.uint64), generate

    return intrinsic(store)


def _fold(_: Any, left: Any, right: Any) -> tuple[Any, _Build]:
    """The two halves of the 128-bit product, combined by exclusive or."""

    def generate(_: Any, builder: Any, __: Any, values: Any) -> Any:
        wide, word = ir.IntType(128), ir.IntType(64)
        product = builder.mul(builder.zext(values[0], wide), builder.zext(values[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word)
        return builder.xor(high, builder.trunc(product, word))

    return types.uint64(types.uint64, types.uint64), generate


def _trailing(_: Any, value: Any) -> tuple[Any, _Build]:
    """How many of the lowest bits are zero."""

    def generate(_: Any, builder: Any, __: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


address: Final[Any] = intrinsic(_address)
word_at: Final[Any] = _load(64, types.uint64)
half_at: Final[Any] = _load(32, types.uint64)
key_at: Final[Any] = _load(32, types.int64)
byte_at: Final[Any] = _load(8, types.int64)
put_word: Final[Any] = _store(64)
put_key: Final[Any] = _store(32)
put_byte: Final[Any] = _store(8)
fold: Final[Any] = intrinsic(_fold)
trailing_zeros: Final[Any] = intrinsic(_trailing)


@kernel
def hash_bytes(start: Whole, size: Whole, secret: Secret) -> np.uint64:
    """Hash the bytes at an address."""
    length = np.uint64(size)
    state = secret[0] ^ length
    first = np.uint64(0)
    last = np.uint64(0)
    end = start + size
    if size > 16:
        i = start
        while end - i > 16:
            state = fold(word_at(i) ^ secret[1], word_at(i + 8) ^ state)
            i += 16
        first, last = word_at(end - 16), word_at(end - 8)
    elif size >= 8:
        first, last = word_at(start), word_at(end - 8)
    elif size >= 4:
        first, last = half_at(start), half_at(end - 4)
    elif size > 0:
        middle = np.uint64(byte_at(start + (size >> 1)))
        first = (np.uint64(byte_at(start)) << _B16) | (middle << _B8) | np.uint64(byte_at(end - 1))
    hashed: np.uint64 = fold(fold(first ^ secret[1], last ^ state) ^ secret[2], length ^ _MIX)
    return hashed


@kernel
def hash_words(high: np.uint64, low: np.uint64, secret: Secret) -> np.uint64:
    """Hash a 128-bit value."""
    hashed: np.uint64 = fold(fold(high ^ secret[1], low ^ secret[0]) ^ secret[2], _MIX)
    return hashed


@kernel
def same_bytes(left: Whole, right: Whole, size: Whole) -> bool:
    """Tell whether the bytes at two addresses are the same."""
    k = 0
    while size - k >= 8:
        if word_at(left + k) != word_at(right + k):
            return False
        k += 8
    while k < size:
        if byte_at(left + k) != byte_at(right + k):
            return False
        k += 1
    return True
