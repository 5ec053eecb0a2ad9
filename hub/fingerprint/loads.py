"""Loads of whole words from anywhere in a byte array, inside kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray


def _typed(typing_context: Any, data: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        word = context.get_value_type(types.uint64).as_pointer()
        return builder.load(builder.bitcast(place, word), align=1)

    return types.uint64(data, types.int64), generate


word_at = cast("Callable[[NDArray[np.uint8], int | np.int64], np.uint64]", intrinsic(_typed))
"""The 8 bytes of an array from a place on as one number, in the machine's byte order.

Nothing checks that they are all inside the array: the kernel that asks must.
"""
