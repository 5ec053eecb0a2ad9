"""Frames of snapshots: cut from settled objects, kept on disk, made again when one was deleted.

A frame covers all that was added after the frame before it, up to its own last object; as nothing
is ever added behind a collection's head, it changes only by deletions. Those raise the collection's
generation, and then each frame's objects are counted again: a range that lost one has another
count, as nothing can take its place. So a deleted object is in no frame that is given out
afterwards, whichever process deleted it. The folder is a cache: the file names say everything,
several processes may share it, and it may be removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import msgspec
import zstandard

from hub.errors import StillwatchError, StoreError
from hub.server.refusals import HiddenError
from hub.settings import PushSettings
from hub.store.interface import Store
from hub.taxii import frames
from hub.taxii.filters import EVERY, SPEC_VERSIONS, Filters
from hub.taxii.times import to_text

_logger = logging.getLogger("stillwatch.snapshots")
_NAME: Final = re.compile(
    r"(-?[0-9]{1,19})_(-?[0-9]{1,19})_([0-9]{1,9})_([0-9]{1,12})_([0-9a-f]{64})\.zst"
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_COLLECTION: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_ROWS: Final = 1000
_LEVEL: Final = 3
_AT_ONCE: Final = 2
"""So many frames are cut before a manifest is given out; the others in the background."""
_YIELD_SECONDS: Final = 0.001
"""Between two frames, so that those who wait for the lock get it."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A frame in the folder; `last` and `first` in microseconds."""

    frame: frames.Frame
    first: int
    last: int
    path: Path


@dataclass(slots=True)
class _Shelf:
    """The frames of one collection, and the generation at which they were counted."""

    folder: Path
    frames: list[_Kept] = field(default_factory=list)
    generation: int | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def last(self) -> int | None:
        return self.frames[-1].last if self.frames else None

    def holds(self, generation: int) -> bool:
        """Whether the frames are right at this generation, and are all still on disk."""
        return generation == self.generation and all(kept.path.exists() for kept in self.frames)


class Snapshots:
    """See the module's text. Every method may wait for disk and database.

    Args:
        store: the objects.
        settings: size of a frame, and the folder; without one there are no frames.
        most_bytes: disk for all frames of all collections.
        sign: makes the note over a collection's manifest, None where nothing is signed.
    """

    def __init__(
        self,
        store: Store,
        settings: PushSettings,
        most_bytes: int,
        *,
        sign: Callable[[str, bytes], str | None] = lambda collection_id, manifest: None,
    ) -> None:
        self._sign = sign
        self._store = store
        self._settings = settings
        self._most = most_bytes
        self._shelves: dict[str, _Shelf] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._background = ThreadPoolExecutor(1, thread_name_prefix="stillwatch-snapshots")
        self._queued: set[str] = set()

    def close(self) -> None:
        """End what runs in the background; what is half done is thrown away."""
        self._stopped.set()
        self._background.shutdown(wait=True, cancel_futures=True)

    def signed(self, collection_id: str) -> bytes:
        """The resource: the manifest, with the note of the log's key over it."""
        manifest = self.manifest(collection_id)
        note = self._sign(collection_id, manifest)
        return msgspec.json.encode(frames.Snapshot(msgspec.Raw(manifest), note))

    def manifest(self, collection_id: str) -> bytes:
        """The manifest of what is cut; what more there is to cut is begun.

        Raises:
            StoreError: the disk or the database fails.
        """
        made = self.build(collection_id, most=_AT_ONCE)
        if made == _AT_ONCE:
            self._go_on(collection_id)
        kept = [each.frame for each in self._current(collection_id)]
        manifest = frames.Manifest(
            collection=collection_id,
            epoch=self._store.epoch,
            head=kept[-1].last if kept else None,
            objects=sum(each.objects for each in kept),
            frames=tuple(kept),
        )
        return msgspec.json.encode(manifest)

    def frame(self, collection_id: str, name: str) -> tuple[Path, frames.Frame]:
        """Where a frame lies that is still right.

        Raises:
            HiddenError: there is no such frame, or no more.
        """
        found = self._found(collection_id, name)
        if found is None and self._cut_elsewhere(collection_id, name):
            found = self._found(collection_id, name)
        if found is not None:
            return found.path, found.frame
        raise HiddenError(
            "no such frame: something in it was deleted, or it was never there",
            hint="ask for the manifest again",
        )

    def build(
        self,
        collection_id: str,
        *,
        most: int | None = None,
        advance: Callable[[int], None] = lambda objects: None,
    ) -> int:
        """Cut frames while there are enough objects for another one.

        Args:
            collection_id: of the collection.
            most: frames to cut at most; None for all.
            advance: told the objects of each frame.
        Returns:
            How many were cut.
        """
        if self._settings.snapshots is None:
            return 0
        shelf = self._shelf(collection_id)
        made = 0
        while (most is None or made < most) and not self._stopped.is_set():
            # Held for one frame at a time, as those that are there are asked for meanwhile. Whoever
            # wants a few while somebody cuts takes what is there.
            if not shelf.lock.acquire(blocking=most is None):
                break
            try:
                if not made:
                    with _disk(collection_id):
                        os.utime(shelf.folder.parent)
                    self._recount(collection_id, shelf)
                kept = self._cut(collection_id, shelf, shelf.last, None)
                if kept is None:
                    break
                shelf.frames.append(kept)
            finally:
                shelf.lock.release()
            advance(kept.frame.objects)
            made += 1
            self._stopped.wait(_YIELD_SECONDS)
        return made

    # -- the background ----------------------------------------------------------------------------

    def _go_on(self, collection_id: str) -> None:
        with self._lock:
            if collection_id in self._queued or self._stopped.is_set():
                return
            self._queued.add(collection_id)
        self._background.submit(self._build_all, collection_id)

    def _build_all(self, collection_id: str) -> None:
        try:
            self.build(collection_id)
        except StillwatchError as error:
            fields = {"cause": error.message}
            _logger.warning("cannot make a snapshot", extra={"fields": fields})
        finally:
            with self._lock:
                self._queued.discard(collection_id)

    # -- what is there -----------------------------------------------------------------------------

    def _current(self, collection_id: str) -> list[_Kept]:
        if self._settings.snapshots is None:
            return []
        shelf = self._shelf(collection_id)
        position = self._store.positions([collection_id]).get(collection_id)
        if position is not None and shelf.holds(position.generation):
            return list(shelf.frames)
        with shelf.lock:
            self._recount(collection_id, shelf)
            return list(shelf.frames)

    def _found(self, collection_id: str, name: str) -> _Kept | None:
        kept = self._current(collection_id)
        return next((each for each in kept if each.frame.sha256 == name), None)

    def _cut_elsewhere(self, collection_id: str, name: str) -> bool:
        """Whether another process has cut a frame since; the folder is then read anew."""
        if self._settings.snapshots is None or not _SHA256.fullmatch(name):
            return False
        shelf = self._shelf(collection_id)
        if not any(shelf.folder.glob(f"*_{name}.zst")):
            return False
        with self._lock:
            if self._shelves.get(collection_id) is shelf:
                del self._shelves[collection_id]
        return True

    def _shelf(self, collection_id: str) -> _Shelf:
        with self._lock:
            shelf = self._shelves.get(collection_id)
            # Another process may have needed its room, or somebody removed it.
            if shelf is None or not shelf.folder.is_dir():
                shelf = self._shelves[collection_id] = self._load(collection_id)
            return shelf

    def _load(self, collection_id: str) -> _Shelf:
        """Read a folder: frames in order; what overlaps, or is of another epoch, goes."""
        assert self._settings.snapshots is not None
        if not _COLLECTION.fullmatch(collection_id):
            raise HiddenError("no such collection, or none that you may know of")
        folder = self._settings.snapshots / collection_id / self._store.epoch
        with _disk(collection_id):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for other in folder.parent.iterdir():
                if other.name != folder.name:
                    shutil.rmtree(other, ignore_errors=True)
            found = [kept for path in folder.iterdir() if (kept := _read_name(path)) is not None]
        shelf = _Shelf(folder)
        for kept in sorted(found, key=lambda kept: (kept.first, kept.last)):
            if shelf.last is None or kept.first > shelf.last:
                shelf.frames.append(kept)
            else:
                kept.path.unlink(missing_ok=True)
        return shelf

    def _recount(self, collection_id: str, shelf: _Shelf) -> None:
        """Cut again what lost an object since the frames were last counted, or is gone."""
        # Before the counting: what is deleted meanwhile is found by the next look.
        position = self._store.positions([collection_id]).get(collection_id)
        if position is None or shelf.holds(position.generation):
            return
        before: int | None = None
        right: list[_Kept] = []
        for kept in shelf.frames:
            most = kept.frame.objects + 1
            count = self._store.added(collection_id, before, kept.last, most)
            if count == kept.frame.objects and kept.path.exists():
                right.append(kept)
            else:
                kept.path.unlink(missing_ok=True)
                again = self._cut(collection_id, shelf, before, kept.last)
                if again is not None:
                    right.append(again)
            before = right[-1].last if right else None
        shelf.frames = right
        shelf.generation = position.generation

    # -- cutting -----------------------------------------------------------------------------------

    def _cut(
        self, collection_id: str, shelf: _Shelf, after: int | None, until: int | None
    ) -> _Kept | None:
        """Write the frame of what comes after a position.

        Without `until` it is as many objects as a frame has, and nothing if there are fewer yet.
        """
        partial = shelf.folder / f".{secrets.token_hex(8)}"
        with _disk(collection_id):
            try:
                with _Writer(partial) as writer:
                    if not self._fill(writer, collection_id, after, until):
                        return None
                frame = writer.frame()
                if not self._make_room(shelf, frame.bytes):
                    return None
                first, last = writer.first, writer.last
                numbers = f"{first}_{last}_{frame.objects}_{frame.unpacked}"
                path = shelf.folder / f"{numbers}_{frame.sha256}.zst"
                partial.rename(path)
                return _Kept(frame, first, last, path)
            finally:
                partial.unlink(missing_ok=True)

    def _fill(
        self, writer: _Writer, collection_id: str, after: int | None, until: int | None
    ) -> bool:
        settings = self._settings
        for date_added, raw in self._rows(collection_id, after, until):
            writer.add(date_added, raw)
            full = writer.objects == settings.frame_objects
            if until is None and (full or writer.unpacked >= settings.frame_bytes):
                return True
        return until is not None and writer.objects > 0 and not self._stopped.is_set()

    def _rows(
        self, collection_id: str, after: int | None, until: int | None
    ) -> Iterator[tuple[int, bytes]]:
        while not self._stopped.is_set():
            wanted = Filters(added_after=after, versions=EVERY, spec_versions=SPEC_VERSIONS)
            page = self._store.page(collection_id, wanted, _ROWS)
            for row in page.rows:
                if until is not None and row.date_added > until:
                    return
                yield row.date_added, row.raw
            if not page.more:
                return
            after = page.rows[-1].date_added

    def _make_room(self, shelf: _Shelf, size: int) -> bool:
        """Drop the frames of the collections that were asked for longest ago, if need be."""
        assert self._settings.snapshots is not None
        folders = sorted(self._settings.snapshots.iterdir(), key=lambda one: one.stat().st_mtime)
        sizes = {folder: _size(folder) for folder in folders}
        for folder in folders:
            if sum(sizes.values()) + size <= self._most:
                return True
            if folder != shelf.folder.parent:
                shutil.rmtree(folder, ignore_errors=True)
                self._shelves.pop(folder.name, None)
                sizes[folder] = 0
        return sum(sizes.values()) + size <= self._most


class _Writer:
    """Packs objects into a new file, mode 0600, which is on disk when the block ends."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._packer = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
        self._hasher = hashlib.sha256()
        self._size = 0
        self.objects = self.unpacked = self.first = self.last = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._file:
            self._write(self._packer.flush())
            self._file.flush()
            os.fsync(self._file.fileno())

    def add(self, date_added: int, raw: bytes) -> None:
        """One more object."""
        text = frames.line(date_added, raw)
        self.first, self.last = self.first if self.objects else date_added, date_added
        self.objects += 1
        self.unpacked += len(text)
        self._write(self._packer.compress(text))

    def _write(self, packed: bytes) -> None:
        self._hasher.update(packed)
        self._size += self._file.write(packed)

    def frame(self) -> frames.Frame:
        """What was written."""
        return frames.Frame(
            self._hasher.hexdigest(),
            self._size,
            self.unpacked,
            self.objects,
            to_text(self.first),
            to_text(self.last),
        )


def _read_name(path: Path) -> _Kept | None:
    found = _NAME.fullmatch(path.name)
    if found is None:
        return None
    first, last, objects, unpacked = (int(part) for part in found.groups()[:4])
    size = path.stat().st_size
    frame = frames.Frame(found[5], size, unpacked, objects, to_text(first), to_text(last))
    return _Kept(frame, first, last, path)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.zst"))


@contextlib.contextmanager
def _disk(collection_id: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the frames of snapshots cannot be kept ({error.strerror})", where=collection_id
        ) from error
