"""Compile a kernel with Numba, and keep the machine code where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar, cast

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")
_UNKEPT: Final[list[str]] = []


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile at the first call, without the interpreter's lock, and cache on disk.

    Numba caches beside the module or below the user's cache folder. Where neither can be written,
    as for a service in a hardened unit, it raises at once; then the code is compiled anew in each
    process instead.
    """
    decorated: Any
    try:
        decorated = njit(cache=True, nogil=True)(function)
    except RuntimeError:
        _UNKEPT.append(function.__qualname__)
        decorated = njit(nogil=True)(function)
    return cast("Callable[_P, _R]", decorated)


def inlined(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """As `kernel`, and built into each kernel that calls it: for steps of a few instructions."""
    decorated: Any
    try:
        decorated = njit(cache=True, nogil=True, forceinline=True)(function)
    except RuntimeError:
        _UNKEPT.append(function.__qualname__)
        decorated = njit(nogil=True, forceinline=True)(function)
    return cast("Callable[_P, _R]", decorated)


def kept() -> bool:
    """Whether the machine code of every kernel imported so far is kept for the next process."""
    return not _UNKEPT
