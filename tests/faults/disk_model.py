"""What a disk may hold after a power cut: synced data for certain, the rest kept, lost or torn.

A recorder gives the operations of a real process in their order. `Cut` goes through them and, at
any moment, makes up a folder as a disk might have it then. The rules are those of POSIX, which are
harsher than any one file system: a write, or a change of a length, is certain once its file was
synced; a name is certain once its folder was. Before that a write may be there whole, not at all,
or in some of its sectors; names of a folder come in their order, up to some point.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

SECTOR: Final = 512


@dataclass(frozen=True, slots=True)
class Made:
    """A new, empty file under a name; `file` is whatever tells files apart, like an inode."""

    name: str
    file: int


@dataclass(frozen=True, slots=True)
class Linked:
    """A further name of a file."""

    name: str
    file: int


@dataclass(frozen=True, slots=True)
class Renamed:
    """A name that replaces another, in the same folder."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Removed:
    """A name that is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class FolderSynced:
    """The names of a folder are certain."""

    folder: str


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes at a place of a file."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cropped:
    """A file's new length."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """The contents of a file are certain."""

    file: int


@dataclass(frozen=True, slots=True)
class Said:
    """What the process told the world: from here on it is owed."""

    text: str


Naming = Made | Linked | Renamed | Removed
Change = Written | Cropped
Operation = Naming | Change | FolderSynced | Synced | Said


@dataclass
class _File:
    certain: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)


class Cut:
    """Goes through operations; `states` may be asked for at any time.

    Args:
        fates: decides what becomes of what is not synced.
    """

    def __init__(self, fates: random.Random) -> None:
        self.said: list[str] = []
        self._fates = fates
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._naming: dict[str, list[Naming]] = {}

    def apply(self, operations: Iterable[Operation]) -> None:
        """Let these happen."""
        for one in operations:
            if isinstance(one, Written | Cropped):
                self._files[one.file].pending.append(one)
            elif isinstance(one, Synced):
                file = self._files[one.file]
                for change in file.pending:
                    _change(file.certain, change)
                file.pending.clear()
            elif isinstance(one, Said):
                self.said.append(one.text)
            elif isinstance(one, FolderSynced):
                for naming in self._naming.pop(one.folder, []):
                    _name(self._names, naming)
            else:
                if isinstance(one, Made):
                    self._files[one.file] = _File()
                name = one.new if isinstance(one, Renamed) else one.name
                self._naming.setdefault(str(PurePosixPath(name).parent), []).append(one)

    def build(self, folder: Path) -> None:
        """Write one possible state into an empty folder."""
        names = dict(self._names)
        for pending in self._naming.values():
            for naming in pending[: self._fates.randint(0, len(pending))]:
                _name(names, naming)
        # One manner a state: all lost and all kept come as often as mixtures.
        manner = self._fates.choice(("lost", "kept", "mixed", "torn", "torn"))
        for name, number in names.items():
            path = folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(self._content(self._files[number], manner))
            path.chmod(0o600)

    def _content(self, file: _File, manner: str) -> bytes:
        content = bytearray(file.certain)
        for change in file.pending:
            if manner == "lost" or (manner != "kept" and self._fates.random() < 0.4):
                continue
            if manner != "torn" or isinstance(change, Cropped):
                _change(content, change)
                continue
            for piece in self._torn(change):
                _change(content, piece)
        return bytes(content)

    def _torn(self, written: Written) -> Iterable[Written]:
        """Some of the sectors, one of them perhaps in part."""
        start = 0
        while start < len(written.data):
            end = start + SECTOR - (written.offset + start) % SECTOR
            piece = written.data[start:end]
            fate = self._fates.random()
            if fate < 0.1:
                piece = piece[: self._fates.randrange(len(piece))]
            if fate < 0.6:
                yield Written(written.file, written.offset + start, piece)
            start = end


def _change(content: bytearray, change: Change) -> None:
    if isinstance(change, Cropped):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    if not change.data:
        return
    end = change.offset + len(change.data)
    content.extend(bytes(max(0, end - len(content))))
    content[change.offset : end] = change.data


def _name(names: dict[str, int], naming: Naming) -> None:
    if isinstance(naming, Made | Linked):
        names[naming.name] = naming.file
    elif isinstance(naming, Removed):
        names.pop(naming.name, None)
    elif naming.old in names:
        names[naming.new] = names.pop(naming.old)


def cuts(operations: Sequence[Operation], count: int, fates: random.Random) -> list[int]:
    """Moments at which the power may fail, ascending: anywhere, and right after something was said.

    The second is where an acknowledgement that came too early is caught.
    """
    said = [number + 1 for number, one in enumerate(operations) if isinstance(one, Said)]
    anywhere = [fates.randrange(len(operations) + 1) for _ in range(count - count // 2)]
    return sorted([*anywhere, *(fates.choice(said) for _ in range(count // 2))])
