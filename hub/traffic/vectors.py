"""Bytes by address inside kernels, also 64 at once; LLVM lowers these to what the machine has.

An address is a plain integer, so that passing it on costs nothing: each array that one compiled
function hands to another is counted as used and unused again, which took most of the time of
reading JSON. Nothing here checks bounds, and nothing keeps the memory alive: the kernel must.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_instruction: Callable[[Any], Any] = intrinsic
WIDTH: Final = 64
"""Bytes that one operation reads: the kernel must see to it that they are there."""
_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C
_SPACE: Final = 0x20
_WORD: Final = ir.IntType(64)


_BYTE: Final = ir.IntType(8)


def _pointer(builder: Any, base: Any, offset: Any, kind: ir.Type) -> Any:
    return builder.inttoptr(builder.add(base, offset), kind.as_pointer())


def _load(builder: Any, values: Any, kind: ir.Type) -> Any:
    return builder.load(_pointer(builder, values[0], values[1], kind), align=1)


def _block(builder: Any, values: Any) -> Any:
    return _load(builder, values, ir.VectorType(_BYTE, WIDTH))


def _all(byte: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(ir.IntType(8), WIDTH), [byte] * WIDTH)


@_instruction
def string_stops(_: Any, data: Any, at: Any) -> Any:
    """Bit k: byte `at + k` is a quote, a backslash or a control character."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        block = _block(builder, values)
        stop = builder.icmp_unsigned("==", block, _all(_QUOTE))
        stop = builder.or_(stop, builder.icmp_unsigned("==", block, _all(_BACKSLASH)))
        stop = builder.or_(stop, builder.icmp_unsigned("<", block, _all(_SPACE)))
        return builder.bitcast(stop, _WORD)

    return types.uint64(types.int64, types.int64), generate


@_instruction
def beyond_ascii(_: Any, data: Any, at: Any) -> Any:
    """Bit k: byte `at + k` is above 127."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        block = _block(builder, values)
        return builder.bitcast(builder.icmp_signed("<", block, _all(0)), _WORD)

    return types.uint64(types.int64, types.int64), generate


@_instruction
def line_ends(_: Any, data: Any, at: Any) -> Any:
    """Bit k: byte `at + k` is a line feed."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        block = _block(builder, values)
        return builder.bitcast(builder.icmp_unsigned("==", block, _all(10)), _WORD)

    return types.uint64(types.int64, types.int64), generate


@_instruction
def byte_at(_: Any, data: Any, at: Any) -> Any:
    """The byte at the address `data + at`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.zext(_load(builder, values, _BYTE), _WORD)

    return types.int64(types.int64, types.int64), generate


@_instruction
def put_byte(_: Any, data: Any, at: Any, value: Any) -> Any:
    """Write a byte at the address `data + at`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _pointer(builder, values[0], values[1], _BYTE)
        builder.store(builder.trunc(values[2], _BYTE), place)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@_instruction
def word_at(_: Any, data: Any, at: Any) -> Any:
    """The 8 bytes from the address `data + at` on, in the machine's byte order."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _load(builder, values, _WORD)

    return types.uint64(types.int64, types.int64), generate


@_instruction
def item(_: Any, array: Any, index: Any) -> Any:
    """Element `index` of 64-bit whole numbers that begin at the address `array`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.inttoptr(values[0], _WORD.as_pointer())
        return builder.load(builder.gep(place, [values[1]]))

    return types.int64(types.int64, types.int64), generate


@_instruction
def put_item(_: Any, array: Any, index: Any, value: Any) -> Any:
    """Write element `index` of 64-bit whole numbers that begin at the address `array`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.inttoptr(values[0], _WORD.as_pointer())
        builder.store(values[2], builder.gep(place, [values[1]]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@_instruction
def lowest_bit(_: Any, mask: Any) -> Any:
    """The number of the lowest bit that is set; 64 where none is."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@_instruction
def bits_set(_: Any, mask: Any) -> Any:
    """How many bits are set."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.ctpop(values[0])

    return types.int64(types.uint64), generate


@_instruction
def copy_bytes(_: Any, out: Any, to: Any, data: Any, at: Any, size: Any) -> Any:
    """Copy `size` bytes from the address `data + at` to `out + to`; the two must not overlap."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        copy: Any = cgutils.raw_memcpy
        copy(
            builder,
            _pointer(builder, values[0], values[1], _BYTE),
            _pointer(builder, values[2], values[3], _BYTE),
            values[4],
            1,
        )
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate
