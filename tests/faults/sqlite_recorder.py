"""Records what the standard library's SQLite does to its files, through a VFS of our own.

The system's VFS does the work; ours stands before it and notes writes, truncations, syncs and
deletions. It is registered with the very library that `sqlite3` uses, so that the store under test
runs unchanged. Shared memory (`-shm`) is rebuilt after a crash and is left out.
"""

from __future__ import annotations

import _sqlite3
import contextlib
import ctypes
from collections.abc import Callable, Iterator
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, Final

from tests.faults.disk_model import (
    Cropped,
    FolderSynced,
    Made,
    Operation,
    Removed,
    Synced,
    Written,
)

_KEPT: Final = 0x100 | 0x800 | 0x80000  # main database, rollback journal, write-ahead log
_WITH_FOLDER: Final = 0x800 | 0x80000

# The name is passed on as the address it came with: SQLite reads it as long as the file is open.
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
_DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(Structure):
    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", _OPEN),
        ("delete", _DELETE),
        ("others", c_void_p * 13),
    )


class _Methods(Structure):
    _fields_ = (
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", _WRITE),
        ("truncate", _TRUNCATE),
        ("sync", _SYNC),
        ("others", c_void_p * 13),
    )


class Recorder:
    """Notes what happens to the files of one folder.

    Args:
        folder: names are noted relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self.operations: list[Operation] = []
        self._folder = folder
        self._known: dict[str, int] = {}
        self._open: dict[int, int] = {}
        self._unsynced: dict[int, str] = {}
        self._kept_alive: list[object] = []

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Everything that SQLite opens meanwhile is recorded."""
        library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
        library.sqlite3_vfs_find.restype = POINTER(_Vfs)
        library.sqlite3_vfs_register.argtypes = (POINTER(_Vfs), c_int)
        system = library.sqlite3_vfs_find(None)
        own = _Vfs.from_buffer_copy(system.contents)
        own.name = b"recorded"
        own.open = _OPEN(self._opener(system.contents.open))
        own.delete = _DELETE(self._deleter(system.contents.delete))
        self._kept_alive += [own, own.open, own.delete]
        library.sqlite3_vfs_register(ctypes.byref(own), 1)
        try:
            yield
        finally:
            library.sqlite3_vfs_unregister(ctypes.byref(own))
            library.sqlite3_vfs_register(system, 1)

    def _relative(self, name: bytes) -> str:
        return str(Path(name.decode()).relative_to(self._folder))

    def _opener(self, system: Callable[..., int]) -> Callable[..., int]:
        def opened(vfs: int, name: int | None, file: int, flags: int, out: Any) -> int:
            done = system(vfs, name, file, flags, out)
            if done == 0 and name is not None and flags & _KEPT:
                self._note_open(file, self._relative(ctypes.string_at(name)), flags)
            return done

        return opened

    def _note_open(self, file: int, name: str, flags: int) -> None:
        if name not in self._known:
            number = len(self.operations) + 1
            self._known[name] = number
            self.operations.append(Made(name, number))
            if flags & _WITH_FOLDER:
                # SQLite syncs the folder of a new journal together with its first sync.
                self._unsynced[number] = name
        self._open[file] = self._known[name]
        place = ctypes.cast(file, POINTER(POINTER(_Methods)))
        system = place.contents.contents
        own = _Methods.from_buffer_copy(system)
        own.write = _WRITE(self._writer(system.write))
        own.truncate = _TRUNCATE(self._cropper(system.truncate))
        own.sync = _SYNC(self._syncer(system.sync))
        self._kept_alive += [own, own.write, own.truncate, own.sync]
        place[0] = ctypes.pointer(own)

    def _writer(self, system: Callable[..., int]) -> Callable[..., int]:
        def written(file: int, data: int, length: int, offset: int) -> int:
            self.operations.append(
                Written(self._open[file], offset, ctypes.string_at(data, length))
            )
            return system(file, data, length, offset)

        return written

    def _cropper(self, system: Callable[..., int]) -> Callable[..., int]:
        def cropped(file: int, size: int) -> int:
            self.operations.append(Cropped(self._open[file], size))
            return system(file, size)

        return cropped

    def _syncer(self, system: Callable[..., int]) -> Callable[..., int]:
        def synced(file: int, flags: int) -> int:
            done = system(file, flags)
            number = self._open[file]
            self.operations.append(Synced(number))
            if self._unsynced.pop(number, None) is not None:
                self.operations.append(FolderSynced("."))
            return done

        return synced

    def _deleter(self, system: Callable[..., int]) -> Callable[..., int]:
        def deleted(vfs: int, name: bytes, sync_folder: int) -> int:
            relative = self._relative(name)
            if self._known.pop(relative, None) is not None:
                self.operations.append(Removed(relative))
            if sync_folder:
                self.operations.append(FolderSynced("."))
            return system(vfs, name, sync_folder)

        return deleted
