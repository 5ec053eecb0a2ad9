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


def from_artifact(obj: Json, *, most: int = MAX_MESSAGE) -> bytes:
    """Take the message out of an artifact.

    The message's own hash is its identity: a server keeps the first body of an id, so somebody may
    have squatted the id, and a client may have written the JSON anew.

    Args:
        obj: a STIX object; its order of names does not matter.
        most: refuse longer messages before decoding.
    Raises:
        InputError: not such an artifact, not canonical base64, or too long.
        VerificationError: id or hash do not belong to the message.
    """
    where = obj.get("id") if isinstance(obj.get("id"), str) else "artifact"
    assert isinstance(where, str)
    if not obj.keys() >= _NAMES or not obj.keys() <= _NAMES | _OPTIONAL:
        raise InputError("not the fields of an artifact that carries a message", where=where)
    fixed = (obj["type"], obj["spec_version"], obj["mime_type"], obj["encryption_algorithm"])
    if fixed != ("artifact", "2.1", MIME_TYPE, ENCRYPTION):
        raise InputError("not an artifact that carries a message", where=where)
    payload, hashes = obj["payload_bin"], obj["hashes"]
    if not isinstance(payload, str):
        raise InputError("`payload_bin` is base64 text", where=where)
    stated = hashes.get("SHA-256") if isinstance(hashes, dict) and len(hashes) == 1 else None
    if not is_hash(stated):
        raise InputError("`hashes` is one SHA-256 in lower-case hex", where=where)
    raw = from_base64(payload, where=where, most=most)
    found = digest(raw)
    if stated != found:
        raise VerificationError("the hash is not that of the message", where=where)
    if obj["id"] != artifact_id(found):
        raise VerificationError("the id is not that of the message: squatted", where=where)
    return raw
