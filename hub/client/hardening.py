"""What the platform offers against secrets that leave the process: core dumps, swap, tracebacks.

Python cannot wipe what it has copied: `bytes` and `str` stay in the heap until the memory is used
again. So `LockedSecret` is for the few secrets that live long and that nothing else needs to copy,
and everything else relies on the process being short and closed to other processes.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import resource
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from hub.errors import StillwatchError

_PR_GET_DUMPABLE: Final = 3
_PR_SET_DUMPABLE: Final = 4


def protect_process() -> None:
    """Forbid core dumps and, on Linux, that other processes of this account look inside.

    Called before a command touches keys. On Linux `PR_SET_DUMPABLE` 0 also closes `/proc/PID/mem`
    and `environ` and tracing to everybody but root. Elsewhere the core limit alone is set.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def is_protected() -> bool:
    """Whether this process leaves no core dump."""
    if resource.getrlimit(resource.RLIMIT_CORE)[0] != 0:
        return False
    if sys.platform != "linux":
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)


def quiet_tracebacks() -> None:
    """Let an unexpected error show where it happened, and no value.

    The message of a foreign exception may quote what it was given.
    """
    sys.excepthook = _show
    threading.excepthook = _show_thread


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("stillwatch: interrupted\n")
        return
    sys.stderr.write(described(error))


def _show_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        sys.stderr.write(described(args.exc_value))


def described(error: BaseException) -> str:
    """An unexpected error for the operator: its type and places, without messages and values."""
    lines = ["stillwatch: an error that should not happen; please report these lines\n"]
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            break
        lines += [
            f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n'
            for frame in traceback.extract_tb(seen.__traceback__)
        ]
        text = f": {seen}" if isinstance(seen, StillwatchError) else ""
        lines.append(f"{type(seen).__module__}.{type(seen).__qualname__}{text}\n")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "".join(lines)


class LockedSecret:
    """Bytes in memory of their own: not swapped, not dumped, not inherited, wiped on close.

    Args:
        content: is copied; a `bytearray` or `memoryview` of the caller is wiped afterwards.

    Attributes:
        locked: whether the platform keeps it out of swap; a low limit on locked memory forbids it.
    """

    def __init__(self, content: bytes | bytearray | memoryview) -> None:
        self._size = len(content)
        self._map = mmap.mmap(-1, max(self._size, 1))
        self.locked = _lock(self._map)
        for name in ("MADV_DONTDUMP", "MADV_DONTFORK"):
            advice = getattr(mmap, name, None)
            if advice is not None:
                with contextlib.suppress(OSError):
                    self._map.madvise(advice)
        self._map[: self._size] = bytes(content) if isinstance(content, bytes) else content
        if not isinstance(content, bytes):
            content[:] = bytes(len(content))

    def __len__(self) -> int:
        return self._size

    @contextlib.contextmanager
    def view(self) -> Iterator[memoryview]:
        """The bytes where they lie; valid inside the `with` only."""
        whole = memoryview(self._map)
        part = whole[: self._size]
        try:
            yield part
        finally:
            part.release()
            whole.release()

    def close(self) -> None:
        """Overwrite with zeros and give the memory back; may be repeated."""
        if not self._map.closed:
            self._map[:] = bytes(len(self._map))
            self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LockedSecret({self._size} bytes)"


def _lock(area: mmap.mmap) -> bool:
    """Keep a mapping out of swap; the pointer lives no longer than the call."""
    first = ctypes.c_char.from_buffer(area)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        address = ctypes.c_void_p(ctypes.addressof(first))
        return bool(libc.mlock(address, ctypes.c_size_t(len(area))) == 0)
    except (OSError, AttributeError):
        return False
    finally:
        del first
