"""Snapshots as they travel: a manifest, and frames of stored objects, each compressed by itself.

A frame is one zstd frame of JSON lines, by date_added: `{"date_added": ..., "object": {...}}` with
the object's exact bytes, or `"body"` with them as text where they hold a line break. Frames hold
every version of every object; what was added after the last one is asked for with `added_after`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import zstandard

from hub.errors import InputError
from hub.taxii.times import to_micros, to_text

MEDIA_TYPE: Final = "application/zstd"
MOST_FRAMES: Final = 100_000
if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_WINDOW: Final = 8 * 1024 * 1024
_CHUNK: Final = 256 * 1024


class Frame(msgspec.Struct, frozen=True):
    """One frame.

    Args:
        sha256: of its bytes, in hex; the frame's name.
        bytes: its length.
        unpacked: length of its lines.
        objects: how many there are.
        first, last: date_added of the first and the last object.
    """

    sha256: str
    bytes: int
    unpacked: int
    objects: int
    first: str
    last: str


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot holds.

    Args:
        collection: id of the collection.
        epoch: incarnation of the hub's data.
        head: date_added of the last object, the `added_after` to go on with; None without frames.
        objects: in all frames.
        frames: in order of date_added.
    """

    collection: str
    epoch: str
    head: str | None
    objects: int
    frames: tuple[Frame, ...] = ()


class Snapshot(msgspec.Struct, frozen=True):
    """The resource: a manifest's exact bytes, and the note of the log's key over their digest."""

    manifest: msgspec.Raw
    note: str | None = None


class _Line(msgspec.Struct):
    date_added: str
    object: msgspec.Raw = msgspec.Raw()
    body: str = ""


class Item(NamedTuple):
    """One object of a frame: date_added in microseconds, and its exact bytes."""

    date_added: int
    raw: bytes


_LINE: Final = msgspec.json.Decoder(_Line)
_SNAPSHOT: Final = msgspec.json.Decoder(Snapshot)
_MANIFEST: Final = msgspec.json.Decoder(Manifest)


def line(date_added: int, raw: bytes) -> bytes:
    """Write one object of a frame."""
    head = b'{"date_added":"' + to_text(date_added).encode()
    if b"\n" not in raw:
        return head + b'","object":' + raw + b"}\n"
    return head + b'","body":' + msgspec.json.encode(raw.decode()) + b"}\n"


def parse(body: bytes) -> tuple[Manifest, bytes, str | None]:
    """Read a snapshot: the manifest, its exact bytes, and the note over them.

    Raises:
        InputError: another form, or frames that do not follow each other.
    """
    try:
        found = _SNAPSHOT.decode(body)
        raw = bytes(found.manifest)
        manifest = _MANIFEST.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("not a snapshot's manifest", where="snapshot") from error
    _check(manifest)
    return manifest, raw, found.note


def _check(manifest: Manifest) -> None:
    if len(manifest.frames) > MOST_FRAMES:
        raise InputError(f"more than {MOST_FRAMES} frames", where="snapshot")
    before: int | None = None
    for frame in manifest.frames:
        first, last = to_micros(frame.first, where="first"), to_micros(frame.last, where="last")
        named = len(frame.sha256) == 64 and set(frame.sha256) <= set("0123456789abcdef")
        counted = frame.objects > 0 and frame.bytes > 0 and frame.unpacked > 0
        if not named or not counted or last < first or (before is not None and first <= before):
            raise InputError("the frames of the snapshot do not follow each other", where="frames")
        before = last
    head = None if manifest.head is None else to_micros(manifest.head, where="head")
    if head != before or manifest.objects != sum(frame.objects for frame in manifest.frames):
        raise InputError("the snapshot contradicts its frames", where="snapshot")


def unpack(frame: Frame, packed: Iterable[bytes]) -> Iterator[Item]:
    """The objects of a frame, whose digest the caller has checked or will check.

    No more is unpacked than the manifest says, whatever the bytes would become.

    Args:
        frame: what the manifest says of it.
        packed: its bytes, in pieces.
    Raises:
        InputError: not such a frame: damaged, longer, or of other objects.
    """
    first, last = to_micros(frame.first), to_micros(frame.last)
    count, before = 0, first - 1
    for text in _lines(frame, packed):
        item = _item(text)
        count += 1
        if count > frame.objects or not before < item.date_added <= last:
            raise InputError("the frame holds other objects than announced", where=frame.sha256)
        before = item.date_added
        yield item
    if count != frame.objects or before != last:
        raise InputError("the frame lacks objects", where=frame.sha256)


def _item(text: bytes) -> Item:
    try:
        found = _LINE.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("not a line of a snapshot's frame", where="frame") from error
    raw = bytes(found.object) or found.body.encode()
    if not raw:
        raise InputError("a line without an object", where="frame")
    return Item(to_micros(found.date_added, where="date_added"), raw)


def _lines(frame: Frame, packed: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in _unpacked(frame, packed):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        raise InputError("the frame ends within a line", where=frame.sha256)


def _unpacked(frame: Frame, packed: Iterable[bytes]) -> Iterator[bytes]:
    room = frame.unpacked
    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(
        io.BufferedReader(_Pieces(packed), _CHUNK), read_across_frames=False
    )
    try:
        while piece := reader.read(_CHUNK):
            room -= len(piece)
            if room < 0:
                raise InputError("the frame unpacks to more than announced", where=frame.sha256)
            yield piece
    except zstandard.ZstdError as error:
        raise InputError("the frame cannot be unpacked", where=frame.sha256) from error
    if room:
        raise InputError("the frame unpacks to less than announced", where=frame.sha256)


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Copy as much of the next piece as there is room for."""
        room = memoryview(buffer)
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(room), len(self._rest))
        room[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
