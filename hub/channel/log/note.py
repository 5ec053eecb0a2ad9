"""C2SP signed notes: text, and lines of signatures by named keys.

Two types of signature are known here: Ed25519 over the text (a log's), and timestamped cosignatures
(a witness's). Lines of other keys are kept and ignored.
Source: C2SP signed-note (v1.0.0) and tlog-cosignature.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Final

from hub.channel.fields import from_base64, to_base64
from hub.channel.primitives.hash import sha256
from hub.channel.primitives.sign import NOTE_KEY_SIZE, NotePrivate, NotePublic
from hub.errors import InputError, VerificationError

MAX_NOTE: Final = 8 * 1024
MAX_LINES: Final = 64
MAX_KEY: Final = 512
_MAX_NAME: Final = 256
_MAX_SIGNATURE: Final = 5 * 1024
_LINE: Final = "— "
_KEY: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


class KeyType(IntEnum):
    """The signature types of C2SP that channels use."""

    LOG = 0x01
    WITNESS = 0x04


def check_name(name: str, where: str) -> None:
    """Require the name of a key: not empty, no blanks, no plus, nothing unprintable.

    Raises:
        InputError: it is none.
    """
    # str.isprintable is false for every space but U+0020.
    if not 1 <= len(name) <= _MAX_NAME or not name.isprintable() or {" ", "+"} & set(name):
        raise InputError("not the name of a key: no blank, no plus, up to 256 signs", where=where)


@dataclass(frozen=True)
class VerifierKey:
    """A named public key, as C2SP's *vkey* spells it.

    Args:
        name: key name; a log's is its origin.
        kind: what it signs.
        public: the key.
    Raises:
        InputError: the name is none.
    """

    name: str
    kind: KeyType
    public: NotePublic

    def __post_init__(self) -> None:
        check_name(self.name, "verifier key")

    @cached_property
    def key_id(self) -> bytes:
        """H(name ‖ 0x0A ‖ type ‖ key), its first four bytes."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public.raw)[:4]

    @cached_property
    def text(self) -> str:
        """`name+id+base64(type ‖ key)`."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.kind]) + self.public.raw)}"


def parse_key(text: str, kind: KeyType, where: str = "verifier key") -> VerifierKey:
    """Read a verifier key.

    Args:
        text: `name+id+base64(type ‖ key)`.
        kind: the type that it must have.
        where: the place, for errors.
    Raises:
        InputError: the form or the type is wrong, or its id is another key's.
        VerificationError: the key is of low order or not canonical.
    """
    found = _KEY.fullmatch(text) if len(text) <= MAX_KEY else None
    if found is None:
        raise InputError("not a verifier key: NAME+8 HEX DIGITS+BASE64 is expected", where=where)
    data = from_base64(found[3], where=where, most=1 + NOTE_KEY_SIZE)
    if len(data) != 1 + NOTE_KEY_SIZE or data[0] != kind:
        what = "log" if kind is KeyType.LOG else "witness"
        raise InputError(f"not the Ed25519 key of a {what} (type {kind:#04x})", where=where)
    key = VerifierKey(found[1], kind, NotePublic(data[1:]))
    if key.key_id.hex() != found[2]:
        raise InputError("the id in the verifier key is another key's", where=where)
    return key


@dataclass(frozen=True)
class SignatureLine:
    """One signature line of a note.

    Args:
        name: key name.
        key_id: four bytes.
        signature: what the key's type says; unverified.
    """

    name: str
    key_id: bytes
    signature: bytes

    @property
    def text(self) -> str:
        """The line with its newline."""
        return f"{_LINE}{self.name} {to_base64(self.key_id + self.signature)}\n"

    def is_of(self, key: VerifierKey) -> bool:
        """Whether the line says that it is this key's."""
        return self.name == key.name and self.key_id == key.key_id


@dataclass(frozen=True)
class Note:
    """A note of correct form, nothing of it verified.

    Args:
        text: what is signed, with its final newline.
        lines: the signatures.
    """

    text: str
    lines: tuple[SignatureLine, ...]

    @property
    def raw(self) -> str:
        """The whole note."""
        return self.text + "\n" + "".join(line.text for line in self.lines)

    def verify(self, key: VerifierKey, *, where: str = "note") -> None:
        """Require that a log's key signed the text.

        Raises:
            VerificationError: it did not, or one of its signatures does not verify.
        """
        lines = [line for line in self.lines if line.is_of(key)]
        if not lines:
            raise VerificationError("the note is not signed by the expected key", where=where)
        for line in lines:
            key.public.verify(line.signature, self.text.encode(), where=where)


def parse_note(raw: str, *, where: str = "note") -> Note:
    """Read a signed note; verify nothing.

    Args:
        raw: the whole note, at most 8 KiB and 64 signatures.
        where: the place, for errors.
    Raises:
        InputError: the form is wrong.
    """
    size = _utf8_size(raw) if len(raw) <= MAX_NOTE else MAX_NOTE + 1
    if size > MAX_NOTE:
        raise InputError(f"a note has at most {MAX_NOTE} bytes", where=where)
    if any(char < " " and char != "\n" for char in raw):
        raise InputError("a control character in a note", where=where)
    text, blank, signatures = raw.rpartition("\n\n")
    if not blank or not text:
        raise InputError("no note: text, a blank line and signatures are expected", where=where)
    return Note(text + "\n", parse_lines(signatures, where=where))


def parse_lines(text: str, *, where: str = "note") -> tuple[SignatureLine, ...]:
    """Read signature lines, as a note ends in and as a witness answers.

    Args:
        text: 1 to 64 lines, each with its newline.
        where: the place, for errors.
    Raises:
        InputError: the form is wrong.
    """
    if len(text) > MAX_NOTE or not text.endswith("\n"):
        raise InputError("signature lines are expected, each with its newline", where=where)
    lines = text[:-1].split("\n")
    if len(lines) > MAX_LINES:
        raise InputError(f"a note has at most {MAX_LINES} signatures", where=where)
    return tuple(_line(each, where) for each in lines)


def sign_note(text: str, name: str, private: NotePrivate) -> str:
    """A note with one Ed25519 signature.

    Args:
        text: ends in a newline, has no empty line at its end.
        name: name of the key.
        private: the key.
    Raises:
        InputError: no receiver would take it.
    """
    key = VerifierKey(name, KeyType.LOG, private.public)
    line = SignatureLine(name, key.key_id, private.sign(text.encode()))
    return parse_note(Note(text, (line,)).raw).raw


def add_lines(raw: str, lines: Sequence[SignatureLine]) -> str:
    """A note with further signature lines; lines that are there stay as they are.

    Args:
        raw: the note.
        lines: what to add; one that is there already is not repeated.
    Raises:
        InputError: the note's form is wrong, or it would be too long.
    """
    note = parse_note(raw)
    more = tuple(dict.fromkeys(line for line in lines if line not in note.lines))
    return parse_note(Note(note.text, note.lines + more).raw).raw


def _line(text: str, where: str) -> SignatureLine:
    name, blank, encoded = text.removeprefix(_LINE).partition(" ")
    if not text.startswith(_LINE) or not blank:
        raise InputError("not a signature line", where=where)
    check_name(name, where)
    data = from_base64(encoded, where=where, most=_MAX_SIGNATURE)
    if len(data) <= 4:
        raise InputError("a signature line without a signature", where=where)
    return SignatureLine(name, data[:4], data[4:])


def _utf8_size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise InputError("a note is UTF-8 text", where="note") from None
