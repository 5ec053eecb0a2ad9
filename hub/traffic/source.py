"""A log file as a stream of plain blocks or lines, whatever it is packed in, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import zstandard

from hub.errors import InputError
from hub.traffic.blocks import Block, spare
from hub.traffic.line_ends import count_lines, last_line_end, line_length
from hub.traffic.problems import Problems

BLOCK_BYTES: Final = 1 << 20
CUT_BYTES: Final = 8 << 20
"""About how much of a log one task decodes."""
LINE_BYTES: Final = 8 << 20
"""A longer line is dropped and counted; it is never held in memory."""
WINDOW_BYTES: Final = 128 << 20
"""The largest zstd window that is accepted: a frame may ask for gigabytes of memory."""
HEAD_BYTES: Final = 256 << 10
# 4 bytes of zstd can ask for a 128 KiB block, so 2 KiB of input makes at most 64 MiB at once.
_ZSTD_PIECE: Final = 2048

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_PACK: Final = "give it plain, as gzip or as zstd"
_RECODE: Final = "convert it to UTF-8"
_FOREIGN: Final = (
    (b"PK\x03\x04", "a zip archive", _PACK),
    (b"BZh", "a bzip2 file", _PACK),
    (b"\xfd7zXZ\x00", "an xz file", _PACK),
    (b"\xff\xfe", "UTF-16 text", _RECODE),
    (b"\xfe\xff", "UTF-16 text", _RECODE),
)
_MARK: Final = b"\xef\xbb\xbf"
BEFORE: Final = "what came before was read"
"""What a stream that ends early leaves, for the reason of its damage."""


class Line(NamedTuple):
    """One line without its end; `number` counts from 1; `data` is None where it was too long."""

    number: int
    data: bytes | None


class Source:
    """One file on disk; every pass opens it anew.

    Args:
        path: the file.
        block_bytes, line_bytes: the most that is held of the stream, and of one line.
    Attributes:
        packing: `plain`, `gzip` or `zstd`, told by the first bytes.
        size: bytes on disk.
        read: bytes of the file consumed by the present pass.
    Raises:
        InputError: the file cannot be opened, is empty, or is packed in another way.
    """

    def __init__(
        self, path: Path, *, block_bytes: int = BLOCK_BYTES, line_bytes: int = LINE_BYTES
    ) -> None:
        self.path = path
        self.line_bytes = line_bytes
        self.read = 0
        self._block_bytes = block_bytes
        try:
            if not path.is_file():
                raise InputError("no such log file", where=str(path))
            self.size = path.stat().st_size
            with path.open("rb") as file:
                magic = file.read(8)
        except OSError as error:
            raise InputError(f"cannot read: {error.strerror}", where=str(path)) from error
        if not magic:
            raise InputError("the file is empty", where=str(path))
        for prefix, kind, hint in _FOREIGN:
            if magic.startswith(prefix):
                raise InputError(f"this is {kind}", where=str(path), hint=hint)
        self.packing = (
            "gzip" if magic.startswith(_GZIP) else "zstd" if magic.startswith(_ZSTD) else "plain"
        )

    def head(self, size: int = HEAD_BYTES) -> bytes:
        """The first unpacked bytes, at most `size`; what a format is recognised by.

        Raises:
            InputError: nothing can be unpacked.
        """
        problems = Problems()
        out = bytearray()
        for block in self.blocks(problems):
            out += block
            if len(out) >= size:
                break
        self.read = 0
        if not out:
            if problems.damage is None:
                raise InputError("the file is empty", where=str(self.path))
            raise InputError(
                f"{problems.damage}, before anything could be read", where=str(self.path)
            )
        return bytes(out[:size])

    def blocks(self, problems: Problems) -> Iterator[bytes]:
        """Unpacked blocks without the byte order mark; damage ends the stream and is counted.

        Raises:
            InputError: the disk fails.
        """
        self.read = 0
        first = True
        try:
            with self.path.open("rb") as file:
                unpack = {"gzip": self._gunzip, "zstd": self._unzstd, "plain": self._plain}
                for block in unpack[self.packing](file, problems):
                    if first and block:
                        first = False
                        yield block.removeprefix(_MARK)
                    elif block:
                        yield block
        except OSError as error:
            raise InputError(f"cannot read: {error.strerror}", where=str(self.path)) from error

    def cut(self, problems: Problems, size: int | None = None) -> Iterator[Block]:
        """Cut the unpacked stream at line ends into blocks of about `size` bytes, else `CUT_BYTES`.

        A line that goes on past `line_bytes` is dropped as it streams by, unless it lies whole in
        one block: whoever splits the block leaves it out.

        Raises:
            InputError: the disk fails.
        """
        size = CUT_BYTES if size is None else size
        if self.packing == "plain":
            yield from self._cut_plain(size)
            return
        line = 1
        for data in self._cut(problems, size):
            block = Block(line, 1 if data is None else count_lines(data), data)
            yield block
            line += block.count

    def _cut(self, problems: Problems, size: int) -> Iterator[bytes | None]:
        held = _Held()
        dropping = False
        for data in self.blocks(problems):
            if dropping:
                end = data.find(b"\n") + 1
                if not end:
                    continue
                yield None
                dropping, data = False, data[end:]
            held.add(data)
            if held.size < size:
                continue
            if whole := held.lines():
                yield whole
            elif held.size > self.line_bytes:
                dropping = True
                held.clear()
        if rest := held.rest():
            yield rest
        elif dropping:
            yield None

    def _cut_plain(self, size: int) -> Iterator[Block]:
        """As `_cut`, without copying: what follows the last line end is read once more."""
        line = 1
        try:
            with self.path.open("rb", buffering=0) as file:
                self.read = len(_MARK) if file.read(len(_MARK)) == _MARK else 0
                while True:
                    file.seek(self.read)
                    room = spare(size)
                    found = _filled(file, memoryview(room)[:size])
                    end = last_line_end(memoryview(room)[:found]) if found == size else found
                    if end:
                        view = memoryview(room)[:end]
                        block = Block(line, count_lines(view), view, room)
                        self.read += end
                    elif found:
                        block = self._long(file, line, size)
                    else:
                        return
                    yield block
                    line += block.count
        except OSError as error:
            raise InputError(f"cannot read: {error.strerror}", where=str(self.path)) from error

    def _long(self, file: FileIO, line: int, size: int) -> Block:
        """The line that begins here and is longer than a block; without its bytes if too long."""
        start, at = self.read, self.read + size
        file.seek(at)
        while window := file.read(BLOCK_BYTES):
            length = line_length(window)
            at += length
            if length < len(window) or window.endswith(b"\n"):
                break
        self.read = at
        if at - start > max(size, self.line_bytes + 1):
            return Block(line, 1)
        file.seek(start)
        return Block(line, 1, file.read(at - start))

    def lines(self, problems: Problems) -> Iterator[list[Line]]:
        """Lines in groups of about one block, ended by LF or CR LF; the last may lack its end."""
        for block in self.cut(problems, self._block_bytes):
            yield split(block, self.line_bytes)

    def _piece(self, file: BinaryIO, size: int) -> bytes:
        piece = file.read(size)
        self.read += len(piece)
        return piece

    def _plain(self, file: BinaryIO, problems: Problems) -> Iterator[bytes]:
        while block := self._piece(file, self._block_bytes):
            yield block

    def _gunzip(self, file: BinaryIO, problems: Problems) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(31)
        pending = b""
        try:
            while True:
                pending = pending or self._piece(file, 1 << 16)
                if not pending:
                    break
                if unpacker.eof:
                    if not pending.strip(b"\0"):
                        pending = b""
                        continue
                    unpacker = zlib.decompressobj(31)
                yield unpacker.decompress(pending, self._block_bytes)
                pending = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        except zlib.error:
            problems.broken(0, "the gzip data is damaged", BEFORE)
            return
        if not unpacker.eof:
            yield unpacker.flush()
            problems.broken(0, "the gzip data ends early", BEFORE)

    def _unzstd(self, file: BinaryIO, problems: Problems) -> Iterator[bytes]:
        decoder = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
        unpacker = decoder.decompressobj()
        pending = b""
        held: list[bytes] = []
        size = 0
        try:
            while pending := pending or self._piece(file, _ZSTD_PIECE):
                if unpacker.eof:
                    unpacker = decoder.decompressobj()
                out = unpacker.decompress(pending)
                pending = unpacker.unused_data if unpacker.eof else b""
                if out:
                    held.append(out)
                    size += len(out)
                if size >= self._block_bytes:
                    yield from _cut(b"".join(held), self._block_bytes)
                    held, size = [], 0
        except zstandard.ZstdError as error:
            yield b"".join(held)
            too_wide = "memory" in str(error) or "window" in str(error).lower()
            problems.broken(
                0,
                f"the zstd window is above {WINDOW_BYTES >> 20} MiB"
                if too_wide
                else "the zstd data is damaged",
                BEFORE,
            )
            return
        yield b"".join(held)
        if not unpacker.eof:
            problems.broken(0, "the zstd data ends early", BEFORE)


class _Held:
    """Pieces of the stream that are not given out yet, joined once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self.size += len(data)

    def clear(self) -> None:
        self._parts, self.size = [], 0

    def rest(self) -> bytes:
        return b"".join(self._parts)

    def lines(self) -> bytes:
        """Take all up to the last line end; nothing where there is none."""
        last = self._parts[-1]
        if not (end := last.rfind(b"\n") + 1) and len(self._parts) > 1:
            last = self.rest()
            self._parts = [last]
            end = last.rfind(b"\n") + 1
        if not end:
            return b""
        whole = b"".join((*self._parts[:-1], last[:end]))
        self._parts = [last[end:]]
        self.size = len(last) - end
        return whole


def _filled(file: FileIO, view: memoryview) -> int:
    """Fill memory from a file; gives how much there was, less only at the end."""
    done = 0
    while done < len(view) and (got := file.readinto(view[done:])):
        done += got
    return done


def split(block: Block, longest: int) -> list[Line]:
    """The lines of a block; those longer than `longest` bytes come without their data."""
    data = block.data
    if data is None:
        return [Line(block.line, None)]
    parts = data.split(b"\n")
    if not parts[-1]:
        parts.pop()
    return [line_of(number, part, longest) for number, part in enumerate(parts, block.line)]


def line_of(number: int, text: bytes, longest: int) -> Line:
    """A line of which `text` is all but the line feed."""
    return Line(number, _chomp(text) if len(text) <= longest else None)


def _chomp(line: bytes) -> bytes:
    return line[:-1] if line.endswith(b"\r") else line


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    if len(data) <= 2 * size:
        yield data
        return
    for start in range(0, len(data), size):
        yield data[start : start + size]
