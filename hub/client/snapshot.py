"""Beginning with a snapshot: many objects in few requests, taken in as pages are.

A snapshot saves requests and nothing else: its objects go through the same intake as those of
pages, and are held against the channel's log by the same pull. What is checked here is that a frame
is what the manifest says, that the manifest is signed by the key of the log that the channel pins,
and that nothing unpacks to more than it announces. A pull that breaks off goes on where it stood,
with the part of a frame that has come.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hub.channel.log.snapshot import verify_snapshot
from hub.client.port import Page
from hub.client.rows import ChannelRow
from hub.client.snapshot_port import Bulk
from hub.client.work import Desk
from hub.errors import InputError, StoreError, TransportError, VerificationError
from hub.model.codec import Json
from hub.taxii import frames
from hub.taxii.times import to_micros, to_text

MOST_UNPACKED: Final = 512 * 1024 * 1024
_PAGE: Final = 1_000
_CHUNK: Final = 256 * 1024
_FOLDER: Final = "snapshot"


def pages(desk: Desk, channel: ChannelRow) -> Iterator[Page]:
    """What a snapshot holds beyond the channel's cursor, as pages; none where it is not worth it.

    Args:
        desk: the home and the network.
        channel: as it is before the pull.
    Raises:
        TransportError: the hub is not there, or what it gives is no snapshot.
        VerificationError: the manifest is not signed by the log's key.
        StoreError: the disk is full or fails.
    """
    bulk = desk.hub_of(channel).bulk(channel.collection_id)
    body = bulk.snapshot()
    if body is None:
        return
    with _readable(channel):
        manifest, raw, note = frames.parse(body)
        if manifest.collection != channel.collection_id:
            raise InputError("the snapshot is of another collection", where="collection")
    verified = _verify(desk, channel, raw, note)
    reached = None if channel.cursor is None else _micros(channel.cursor)
    wanted = [each for each in manifest.frames if reached is None or to_micros(each.last) > reached]
    if sum(each.objects for each in wanted) < desk.home.settings.snapshot_objects:
        return
    folder = desk.home.path / _FOLDER
    with _disk(channel):
        folder.mkdir(mode=0o700, exist_ok=True)
        _forget(folder, {each.sha256 for each in wanted})
        for frame in wanted:
            path = _fetched(bulk, frame, folder, desk.home.settings.max_response_bytes)
            if path is None:
                # Something in it was deleted meanwhile; pages go on from here.
                break
            yield from _pages_of(frame, path, reached, channel)
            path.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()
    if not verified:
        # Of a channel that is new here the key came with the frames.
        _verify(desk, desk.home.state.channel(channel.channel_id), raw, note)


def _verify(desk: Desk, channel: ChannelRow, raw: bytes, note: str | None) -> bool:
    """Whether the manifest is known to be signed; False where no key is known yet."""
    if channel.trusted is None:
        return False
    log = desk.home.trusted(channel).manifest.log
    if log is None:
        return True
    if note is None:
        raise VerificationError("the hub's snapshot is not signed", where=channel.name)
    try:
        verify_snapshot(note, raw, log.verifier_key)
    except InputError as error:
        raise VerificationError(error.message, where=channel.name) from error
    return True


def _micros(cursor: str) -> int | None:
    # A server's own text, which need not be a timestamp that we can read.
    with contextlib.suppress(InputError):
        return to_micros(cursor)
    return None


def _fetched(bulk: Bulk, frame: frames.Frame, folder: Path, most: int) -> Path | None:
    """The frame in a file, going on with the part that is there; None when the hub has it not."""
    if frame.bytes > most or frame.unpacked > MOST_UNPACKED:
        raise TransportError("a frame of the snapshot is too large", where=frame.sha256)
    path = folder / f"{frame.sha256}.part"
    with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+b") as file:
        hasher = hashlib.sha256()
        while piece := file.read(_CHUNK):
            hasher.update(piece)
        have = file.tell()
        while have < frame.bytes:
            found = bulk.piece(frame.sha256, have, frame.bytes)
            if not found:
                path.unlink()
                return None
            file.write(found)
            hasher.update(found)
            have += len(found)
    if have != frame.bytes or hasher.hexdigest() != frame.sha256:
        path.unlink()
        raise TransportError(
            "a frame of the snapshot is not what its manifest says",
            where=frame.sha256,
            hint="pull again; without --snapshot it comes in pages",
        )
    return path


def _pages_of(
    frame: frames.Frame, path: Path, reached: int | None, channel: ChannelRow
) -> Iterator[Page]:
    objects: list[Json] = []
    last = ""
    for date_added, each in _objects(frame, path, channel):
        if reached is not None and date_added <= reached:
            continue
        objects.append(each)
        last = to_text(date_added)
        if len(objects) == _PAGE:
            yield Page(objects, last, last)
            objects = []
    if objects:
        yield Page(objects, last, last)


def _objects(frame: frames.Frame, path: Path, channel: ChannelRow) -> Iterator[tuple[int, Json]]:
    with path.open("rb") as file, _readable(channel):
        for item in frames.unpack(frame, iter(lambda: file.read(_CHUNK), b"")):
            try:
                found = json.loads(item.raw)
            except (ValueError, RecursionError) as error:
                raise InputError("an object of the frame is no JSON", where=frame.sha256) from error
            if not isinstance(found, dict):
                raise InputError("the frame holds something that is no object", where=frame.sha256)
            yield item.date_added, found


def _forget(folder: Path, wanted: set[str]) -> None:
    """Drop parts of frames that nobody asks for any more."""
    for path in folder.iterdir():
        if path.name.partition(".")[0] not in wanted:
            path.unlink()


@contextlib.contextmanager
def _readable(channel: ChannelRow) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise TransportError(
            f"the hub's snapshot is not readable: {error.message}",
            where=channel.name,
            hint="pull without --snapshot",
        ) from error


@contextlib.contextmanager
def _disk(channel: ChannelRow) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the snapshot cannot be kept ({error.strerror})", where=channel.name
        ) from error
