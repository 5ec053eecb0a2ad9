"""What a hub without keys can forge: manifests, wraps, join requests."""

from __future__ import annotations

from hub.channel.carriage import from_artifact, to_artifact
from hub.channel.header import MessageType, frame, parse_message
from hub.channel.manifest import Role, manifest_of, next_version, sign_manifest
from hub.channel.primitives.hash import Reader, label, lp, sha256
from hub.errors import InputError
from hub.model.codec import Json
from tests.unit.channel.cast import Person

EVE = Person("eve")
_MOST = 2**20


def ghost_manifest(newest: bytes) -> bytes:
    """The version after a manifest message, with Eve in it, signed by her own root."""
    old = manifest_of(newest)
    row = EVE.row({Role.READ})
    new = next_version(
        old, created=old.created + 1, expires=old.expires, members=[*old.members, row]
    )
    return sign_manifest(new, [EVE.root])


def with_ghost_wraps(objects: list[Json]) -> list[Json]:
    """Epoch messages with a wrap for Eve in place of the last one."""
    return [_ghost_wrap(each) for each in objects]


def _ghost_wrap(each: Json) -> Json:
    message = parse_message(from_artifact(each))
    if message.header.t is not MessageType.EPOCH:
        return each
    body = message.body[: -(32 + 1168)] + bytes.fromhex(EVE.card.kem_id) + bytes(1168)
    return to_artifact(frame(message.header_raw, body, message.signature))


def swapped_card(each: Json) -> Json:
    """A join request with Eve's card in place of the joiner's, which she signs herself."""
    raw = from_artifact(each)
    reader = Reader(raw, "join request")
    try:
        reader.label("join request")
    except InputError:
        return each
    head = reader.field("json", most=_MOST)
    chain = lp(EVE.card_raw)
    signature = EVE.signing.sign(label("join signature") + sha256(head) + sha256(chain))
    return to_artifact(label("join request") + lp(head) + lp(chain) + lp(signature))


def newest_manifest(objects: list[Json]) -> bytes:
    """The manifest message in force."""
    raws = [from_artifact(each) for each in objects]
    manifests = [raw for raw in raws if parse_message(raw).header.t is MessageType.MANIFEST]
    return max(manifests, key=lambda raw: manifest_of(raw).version)
