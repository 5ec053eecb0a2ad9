"""The back-up file: an index and files, encrypted under a recovery key.

`L("backup") ‖ key id (32) ‖ Cobblestone-256(key, L("backup") ‖ lp(key id), lp(index) ‖ contents)`.
Source: schemas/channel-v1.md, "Back-ups".
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Final, Protocol

from hub.channel.primitives import aead
from hub.channel.primitives.hash import label, lp
from hub.channel.recovery import backup_key, backup_key_id
from hub.errors import AccessError, InputError, VerificationError
from hub.model.codec import Json, canonical, loads_canonical

KEYRING: Final = "keyring"
STATE: Final = "state.sqlite"
PROOF: Final = re.compile(r"proofs/[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
CHUNK: Final = 1024 * 1024
MAX_KEYRING: Final = 1024 * 1024
_MAX_INDEX: Final = 4 * 1024 * 1024
_MAX_FILES: Final = 10_000
_MAX_FILE: Final = 2**40
_VERSION: Final = 1
_MAGIC: Final = label("backup")
HEAD_SIZE: Final = len(_MAGIC) + 32
_NAMES: Final = frozenset({"v", "member", "organisation", "created", "made", "root", "files"})


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file in a back-up."""

    name: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Index:
    """What a back-up holds.

    Attributes:
        member, organisation, created: of the keyring.
        made: UTC seconds of the back-up.
        root: id of the organisation's root.
        files: keyring and state first.
    """

    member: str
    organisation: str
    created: int
    made: int
    root: str
    files: tuple[Entry, ...]

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        files = [dataclasses.asdict(each) for each in self.files]
        return canonical({"v": _VERSION, **dataclasses.asdict(self), "files": files})

    @classmethod
    def from_bytes(cls, data: bytes) -> Index:
        """Parse and check.

        Raises:
            InputError: it is damaged, or a newer release made it.
        """
        fields = loads_canonical(data, where="index of the back-up")
        if fields.get("v") != _VERSION:
            raise InputError("a newer release made this back-up", hint="upgrade stillwatch")
        try:
            return cls._checked(fields)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("the back-up's index is damaged") from error.with_traceback(None)

    @classmethod
    def _checked(cls, fields: Json) -> Index:
        files = tuple(Entry(**each) for each in fields["files"])
        names = [each.name for each in files]
        sizes = [each.size for each in files]
        if set(fields) != _NAMES or names[:2] != [KEYRING, STATE] or len(set(names)) != len(names):
            raise ValueError("names")
        if len(files) > _MAX_FILES or not all(PROOF.fullmatch(name) for name in names[2:]):
            raise ValueError("files")
        if not all(type(size) is int and 0 <= size <= _MAX_FILE for size in sizes):
            raise ValueError("sizes")
        if sizes[0] > MAX_KEYRING:
            raise ValueError("keyring")
        texts = [fields["member"], fields["organisation"], fields["root"]]
        texts += [each.sha256 for each in files]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("texts")
        if not all(type(fields[name]) is int for name in ("created", "made")):
            raise ValueError("times")
        return cls(
            member=fields["member"],
            organisation=fields["organisation"],
            created=fields["created"],
            made=fields["made"],
            root=fields["root"],
            files=files,
        )


class Sink(Protocol):
    """Takes the contents of one file, part by part."""

    def __call__(self, entry: Entry, part: bytes) -> None: ...


def write(
    target: BinaryIO, key: bytes, index: Index, contents: Sequence[Callable[[], Iterable[bytes]]]
) -> str:
    """Write a back-up; its SHA-256 in hex.

    Args:
        target: an empty file.
        key: the recovery key, 32 bytes.
        index: names, sizes and hashes.
        contents: for each file of the index a function that gives its parts.
    """
    whole = hashlib.sha256()

    def plain() -> Iterator[bytes]:
        yield lp(index.to_bytes())
        for each in contents:
            yield from each()

    head = _MAGIC + backup_key_id(key)
    whole.update(head)
    target.write(head)
    for part in aead.seal_stream(backup_key(key), _context(key), plain()):
        whole.update(part)
        target.write(part)
    return whole.hexdigest()


def read(source: BinaryIO, key: bytes, began: Callable[[Index], None], sink: Sink) -> Index:
    """Decrypt a back-up; nothing that `sink` was given counts before this returns.

    Args:
        source: the file.
        key: the recovery key.
        began: called with the index before the first content.
        sink: takes contents.
    Raises:
        InputError: not a back-up, or its index is damaged.
        AccessError: the recovery key is another back-up's.
        VerificationError: altered, cut off or continued.
    """
    head = source.read(HEAD_SIZE)
    if len(head) < HEAD_SIZE or not head.startswith(_MAGIC):
        raise InputError("this is no back-up of Stillwatch", hint="stillwatch backup export FILE")
    if not hmac.compare_digest(head[len(_MAGIC) :], backup_key_id(key)):
        raise AccessError(
            "this recovery key belongs to another back-up",
            hint="the form names the file, its date and its SHA-256",
        )
    parts = iter(lambda: source.read(CHUNK), b"")
    reader = _Reader(aead.open_stream(backup_key(key), _context(key), parts))
    size = struct.unpack(">I", reader.take(4))[0]
    if size > _MAX_INDEX:
        raise InputError("the back-up's index is longer than any is")
    index = Index.from_bytes(reader.take(size))
    began(index)
    for entry in index.files:
        seen = hashlib.sha256()
        for part in reader.parts(entry.size):
            seen.update(part)
            sink(entry, part)
        if seen.hexdigest() != entry.sha256:
            raise VerificationError(
                "does not have the content that the index says", where=entry.name
            )
    reader.end()
    return index


class _Reader:
    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._held = b""

    def parts(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._held:
                self._held = self._next()
            part, self._held = self._held[:size], self._held[size:]
            size -= len(part)
            yield part

    def take(self, size: int) -> bytes:
        return b"".join(self.parts(size))

    def end(self) -> None:
        if self._held or any(self._parts):
            raise VerificationError("more follows than the index says", where="back-up")

    def _next(self) -> bytes:
        for part in self._parts:
            if part:
                return part
        raise VerificationError("ends before its contents do", where="back-up")


def _context(key: bytes) -> bytes:
    return label("backup") + lp(backup_key_id(key))
