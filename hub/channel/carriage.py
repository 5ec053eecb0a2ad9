"""Messages as bare STIX artifacts, which every TAXII server and client carries unchanged.

Source: schemas/channel-v1.md, "Carriage"; STIX 2.1, section 6.1.
"""

from __future__ import annotations

from typing import Final

from hub.channel.fields import from_base64, to_base64
from hub.channel.header import MAX_MESSAGE
from hub.channel.primitives.hash import digest, is_hash
from hub.errors import InputError, VerificationError
from hub.model.codec import Json
from hub.model.identifiers import deterministic_id
from hub.model.markings import TLP

MIME_TYPE: Final = "application/octet-stream"
ENCRYPTION: Final = "mime-type-indicated"
_NAMES: Final = frozenset(
    {"type", "spec_version", "id", "mime_type", "payload_bin", "hashes", "encryption_algorithm"}
)
_FIXED: Final = {
    "type": "artifact",
    "spec_version": "2.1",
    "mime_type": MIME_TYPE,
    "encryption_algorithm": ENCRYPTION,
}
_OPTIONAL: Final = frozenset({"object_marking_refs"})


def artifact_id(message_digest: str) -> str:
    """The id of the artifact that carries a message, from the message's SHA-256 in hex."""
    return deterministic_id("artifact", message_digest)


def to_artifact(raw: bytes, *, tlp: TLP = TLP.AMBER) -> Json:
    """Put a message, or a join request, into an artifact.

    Args:
        raw: the whole message.
        tlp: the marking that plain TAXII clients shall see.
    """
    found = digest(raw)
    return {
        "type": "artifact",
        "spec_version": "2.1",
        "id": artifact_id(found),
        "object_marking_refs": [tlp.id],
        "mime_type": MIME_TYPE,
        "payload_bin": to_base64(raw),
        "hashes": {"SHA-256": found},
        "encryption_algorithm": ENCRYPTION,
    }


def is_artifact(obj: Json) -> bool:
    """Whether an object says that it carries a message: its look only, nothing is checked."""
    return obj.get("type") == "artifact" and obj.get("encryption_algorithm") == ENCRYPTION


def from_artifact(obj: Json, *, most: int = MAX_MESSAGE, strict: bool = True) -> bytes:
    """Take the message out of an artifact.

    The message's own hash is its identity: a server keeps the first body of an id, so somebody may
    have squatted the id, and a client may have written the JSON anew.

    Args:
        obj: a STIX object; its order of names does not matter.
        most: refuse longer messages before decoding.
        strict: refuse every property beyond those that a sender writes, which might tell the server
            something in clear. A reader takes what other clients add while they pass a message on.
    Raises:
        InputError: not such an artifact, not canonical base64, or too long.
        VerificationError: id or hash do not belong to the message.
    """
    where = obj.get("id") if isinstance(obj.get("id"), str) else "artifact"
    assert isinstance(where, str)
    missing = sorted(_NAMES - obj.keys())
    if missing:
        raise InputError(f"an artifact that carries a message has {missing} too", where=where)
    if strict and not obj.keys() <= _NAMES | _OPTIONAL:
        raise InputError("has more fields than an artifact that carries a message", where=where)
    for name, wanted in _FIXED.items():
        if obj[name] != wanted:
            raise InputError(f"`{name}` is `{wanted}` where a message is carried", where=where)
    payload = obj["payload_bin"]
    if not isinstance(payload, str):
        raise InputError("`payload_bin` is base64 text", where=where)
    stated = _stated_hash(obj["hashes"], strict=strict)
    if not is_hash(stated):
        raise InputError("`hashes` is one SHA-256 in lower-case hex", where=where)
    raw = from_base64(payload, where=where, most=most)
    found = digest(raw)
    if stated != found:
        raise VerificationError("the hash is not that of the message", where=where)
    if obj["id"] != artifact_id(found):
        raise VerificationError("the id is not that of the message: squatted", where=where)
    return raw


def _stated_hash(hashes: object, *, strict: bool) -> object:
    """The SHA-256 of an artifact; clients may have added hashes by other algorithms."""
    if not isinstance(hashes, dict) or (strict and len(hashes) != 1):
        return None
    return hashes.get("SHA-256")
