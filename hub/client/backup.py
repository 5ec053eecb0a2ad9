"""Back-ups of a home: written under a fresh recovery key, checked, and restored.

A back-up holds the keyring in clear under the recovery key, so that neither the passphrase nor the
machine's key file is needed; with it the state and the proof files. The event store of hunts and
what custodians' services hold are not in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from hub.channel.primitives import rest
from hub.client import backup_file, restored
from hub.client.backup_file import CHUNK, KEYRING, STATE, Entry, Index
from hub.client.home import Home
from hub.client.keyring import Keyring, Unlock, make_key_file
from hub.client.state import State
from hub.client.unlock import BY_KEY_FILE
from hub.errors import ConflictError, InputError, StoreError, VerificationError

_PROOFS: Final = "proofs"
_COPY: Final = ".backup.sqlite"


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        key: the recovery key, 32 bytes.
        sha256: of the file, in hex.
        size: of the file, in bytes.
    """

    index: Index
    key: bytes = dataclasses.field(repr=False)
    sha256: str
    size: int


@dataclasses.dataclass(frozen=True)
class Imported:
    """What came back.

    Attributes:
        dropped: messages of the back-up's outbox that will not be sent.
        channels: names of channels that were verified before and must be pulled.
    """

    index: Index
    dropped: int
    channels: tuple[str, ...]


def export(home: Home, target: Path, *, now: int) -> Exported:
    """Write a back-up of a home.

    Raises:
        ConflictError: the file is there already, or another process works with the home.
        StoreError: the disk refuses, or the state is damaged.
    """
    if target.exists():
        raise ConflictError("is there already", where=str(target), hint="another file name")
    key = rest.new_key()
    copy = home.path / _COPY
    with home.locked():
        try:
            with _disk(target):
                _copy_state(home, copy)
                return _export(home, target, copy, key, now)
        finally:
            copy.unlink(missing_ok=True)


def _export(home: Home, target: Path, copy: Path, key: bytes, now: int) -> Exported:
    secret = home.keyring.to_bytes()
    proofs = home.path / _PROOFS
    found = sorted(each for each in proofs.iterdir() if each.is_file()) if proofs.is_dir() else []
    named = {f"{_PROOFS}/{each.name}": each for each in found}
    files = {STATE: copy} | {
        name: each for name, each in named.items() if backup_file.PROOF.fullmatch(name)
    }
    entries = [Entry(KEYRING, len(secret), hashlib.sha256(secret).hexdigest())]
    entries += [_entry(name, path) for name, path in files.items()]
    index = Index(
        member=home.member_id,
        organisation=home.organisation,
        created=home.keyring.created,
        made=now,
        root=home.keyring.root_id,
        files=tuple(entries),
    )
    contents: list[Callable[[], Iterable[bytes]]] = [lambda: [secret]]
    contents += [_reader_of(path) for path in files.values()]
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with _private(partial) as file:
            digest = backup_file.write(file, key, index, contents)
            size = file.tell()
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link does not replace what came there in between.
        os.link(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    _sync(target.parent)
    return Exported(index, key, digest, size)


def verify(source: Path, key: bytes) -> Index:
    """Read a back-up to its end; nothing is written.

    Raises:
        InputError, AccessError, VerificationError: not a back-up, another's recovery key, altered.
    """
    secret = bytearray()

    def sink(entry: Entry, part: bytes) -> None:
        if entry.name == KEYRING:
            secret.extend(part)

    with _opened(source) as file:
        index = backup_file.read(file, key, lambda index: None, sink)
    _keyring(index, bytes(secret))
    return index


def restore(source: Path, key: bytes, target: Path, unlock: Unlock, *, now: int) -> Imported:
    """Make a home of a back-up: complete and checked, or not at all.

    Raises:
        ConflictError: something is at `target` already.
        InputError, AccessError, VerificationError: not a back-up, another's recovery key, altered.
        StoreError: the disk refuses.
    """
    check_target(target)
    target = target.absolute()
    folder = target.with_name(f".{target.name}.{os.getpid()}.partial")
    with _disk(target):
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        try:
            imported = _restore(source, key, folder, unlock, now)
            folder.rename(target)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _sync(target.parent)
    return imported


def check_target(target: Path) -> None:
    """Whether a home can be made there.

    Raises:
        ConflictError: something is there already.
    """
    if target.is_symlink() or (
        target.exists() and not (target.is_dir() and not any(target.iterdir()))
    ):
        raise ConflictError(
            "something is here already; an import overwrites nothing",
            where=str(target),
            hint="--home DIR, a folder that is empty or not there",
        )


def _restore(source: Path, key: bytes, folder: Path, unlock: Unlock, now: int) -> Imported:
    secret = bytearray()
    with _opened(source) as file, contextlib.ExitStack() as stack:
        files: dict[str, BinaryIO] = {}

        def began(index: Index) -> None:
            (folder / _PROOFS).mkdir(mode=0o700)
            for entry in index.files[1:]:
                files[entry.name] = stack.enter_context(_private(folder / entry.name))

        def sink(entry: Entry, part: bytes) -> None:
            if entry.name == KEYRING:
                secret.extend(part)
            else:
                files[entry.name].write(part)

        index = backup_file.read(file, key, began, sink)
        for each in files.values():
            each.flush()
            os.fsync(each.fileno())
    keyring = _keyring(index, bytes(secret))
    state = State.open(folder / STATE)
    try:
        _check_state(folder / STATE)
        if unlock.kind == BY_KEY_FILE:
            make_key_file(folder)
        keyring.save(folder, unlock)
    finally:
        state.close()
    with Home.open(folder, unlock) as home, home.locked():
        names = tuple(each.name for each in home.state.channels() if each.trusted is not None)
        with home.state.transaction():
            dropped = restored.mark(home, now)
    return Imported(index, dropped, names)


def _keyring(index: Index, secret: bytes) -> Keyring:
    keyring = Keyring.from_bytes(secret, dataclasses.asdict(index), where="keyring of the back-up")
    cards = [each.card for each in keyring.cards]
    if keyring.root_id != index.root or any(each.root_id != index.root for each in cards):
        raise VerificationError("the keyring is not the one that the index names", where="back-up")
    return keyring


def _copy_state(home: Home, copy: Path) -> None:
    """A consistent copy, also while another process reads or ends its transaction."""
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    source = sqlite3.connect(f"{(home.path / STATE).absolute().as_uri()}?mode=ro", uri=True)
    try:
        with contextlib.closing(sqlite3.connect(copy)) as destination:
            source.backup(destination)
            # One file, without a journal beside it.
            destination.execute("PRAGMA journal_mode=DELETE")
    finally:
        source.close()
    _check_state(copy)


def _check_state(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as db:
        found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise StoreError("the local state is damaged", where=str(path))


def _entry(name: str, path: Path) -> Entry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Entry(name, file.tell(), digest)


def _reader_of(path: Path) -> Callable[[], Iterator[bytes]]:
    def parts() -> Iterator[bytes]:
        with path.open("rb") as file:
            while part := file.read(CHUNK):
                yield part

    return parts


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    with file:
        yield file


@contextlib.contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        yield file


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ConflictError("is there already", where=str(path)) from error
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreError(f"cannot be written: {reason}", where=str(path)) from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
