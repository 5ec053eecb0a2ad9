"""Words of a byte buffer, and the seeded hash of all tables.

The hash is keyed by three secret words, drawn once a process: whoever writes the traffic, or
publishes indicators, cannot make values collide on purpose.

Source: wyhash (public domain), with every constant but one replaced by a secret.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from hub.fingerprint.jit import kernel
from hub.match.index.buffers import Bytes, Whole, Words64, frozen

SECRET: Final[Words64] = frozen(
    np.asarray([secrets.randbits(64) | 1 for _ in range(3)], dtype=np.uint64)
)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_B8: Final = np.uint64(8)
_B16: Final = np.uint64(16)


def _load(bits: int) -> Any:
    """A read of `bits` at any byte, as one unaligned machine word, without a check of bounds."""

    def load(_: Any, data: Any, at: Any) -> tuple[Any, Any]:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, values[0])
            place = builder.gep(array.data, [values[1]])
            word = builder.load(builder.bitcast(place, ir.IntType(bits).as_pointer()), align=1)
            return builder.zext(word, ir.IntType(64)) if bits < 64 else word

        return types.uint64(data, types.intp), generate

    return intrinsic(load)


load64: Final[Any] = _load(64)
load32: Final[Any] = _load(32)


def _fold(_: Any, left: Any, right: Any) -> tuple[Any, Any]:
    """The two halves of the 128-bit product, combined by exclusive or."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        wide, word = ir.IntType(128), ir.IntType(64)
        product = builder.mul(builder.zext(values[0], wide), builder.zext(values[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word)
        return builder.xor(high, builder.trunc(product, word))

    return types.uint64(types.uint64, types.uint64), generate


fold: Final[Any] = intrinsic(_fold)


@kernel
def hash_bytes(data: Bytes, start: Whole, end: Whole, secret: Words64) -> np.uint64:
    """Hash `data[start:end]`."""
    size = end - start
    length = np.uint64(size)
    state = secret[0] ^ length
    first = np.uint64(0)
    last = np.uint64(0)
    if size > 16:
        i = start
        while end - i > 16:
            state = fold(load64(data, i) ^ secret[1], load64(data, i + 8) ^ state)
            i += 16
        first, last = load64(data, end - 16), load64(data, end - 8)
    elif size >= 8:
        first, last = load64(data, start), load64(data, end - 8)
    elif size >= 4:
        first, last = load32(data, start), load32(data, end - 4)
    elif size > 0:
        middle = np.uint64(data[start + (size >> 1)])
        first = (np.uint64(data[start]) << _B16) | (middle << _B8) | np.uint64(data[end - 1])
    hashed: np.uint64 = fold(fold(first ^ secret[1], last ^ state) ^ secret[2], length ^ _MIX)
    return hashed


@kernel
def hash_words(high: np.uint64, low: np.uint64, secret: Words64) -> np.uint64:
    """Hash a 128-bit value."""
    hashed: np.uint64 = fold(fold(high ^ secret[1], low ^ secret[0]) ^ secret[2], _MIX)
    return hashed


@kernel
def same_bytes(
    data: Bytes, start: Whole, end: Whole, other: Bytes, first: Whole, last: Whole
) -> bool:
    """Tell whether `data[start:end]` is `other[first:last]`."""
    size = end - start
    if size != last - first:
        return False
    k = 0
    while size - k >= 8:
        if load64(data, start + k) != load64(other, first + k):
            return False
        k += 8
    while k < size:
        if data[start + k] != other[first + k]:
            return False
        k += 1
    return True
