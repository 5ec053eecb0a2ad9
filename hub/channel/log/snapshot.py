"""What a log's key says of a snapshot: a signed note over the digest of its manifest.

The text begins with a line that no checkpoint begins with (that would be the log's origin), so that
neither can be taken for the other.
Source: C2SP signed-note; schemas/channel-v1.md, "Log".
"""

from __future__ import annotations

from typing import Final

from hub.channel.log.note import KeyType, parse_key, parse_note, sign_note
from hub.channel.primitives.hash import sha256
from hub.channel.primitives.sign import NotePrivate
from hub.errors import VerificationError

_FIRST: Final = "stillwatch-snapshot/v1"


def sign_snapshot(manifest: bytes, origin: str, private: NotePrivate) -> str:
    """The note of a manifest.

    Args:
        manifest: its exact bytes.
        origin: name of the log, which is its key's too.
        private: the log's key.
    """
    return sign_note(_text(manifest, origin), origin, private)


def verify_snapshot(raw: str, manifest: bytes, verifier_key: str) -> None:
    """Require that a log's key signed a manifest.

    Args:
        raw: the note.
        manifest: the bytes that came with it.
        verifier_key: of the log, as a channel's manifest pins it.
    Raises:
        InputError: no note, or no verifier key.
        VerificationError: it is of another manifest or another log, or not signed.
    """
    key = parse_key(verifier_key, KeyType.LOG)
    note = parse_note(raw, where="snapshot")
    if note.text != _text(manifest, key.name):
        raise VerificationError("the note is of another snapshot", where=key.name)
    note.verify(key, where=key.name)


def _text(manifest: bytes, origin: str) -> str:
    return f"{_FIRST}\n{origin}\n{sha256(manifest).hex()}\n"
