"""Writes the channel protocol's vectors.

`python -m tests.vectors.channel.generate` rewrites `deterministic.json`; a test runs the same code
and compares. `--freeze` also records the scenarios that have no file yet: signatures, wraps and
bodies are randomised, so what is recorded is kept and only ever opened and verified. All begin
with the channel in `opening.txt`; without that file it is made anew, and all others with it.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hub.channel.card import card_message, fingerprint_text, fingerprint_words
from hub.channel.carriage import artifact_id
from hub.channel.epoch import unwrap
from hub.channel.fields import to_base64
from hub.channel.header import (
    Audience,
    Header,
    MessageType,
    body_context,
    frame,
    parse_message,
    signed_bytes,
    signed_message,
)
from hub.channel.invite import new_invitation
from hub.channel.manifest import DAY, Role, genesis, next_version, sign_manifest
from hub.channel.manifest import signed_bytes as manifest_signed_bytes
from hub.channel.notices import Deleted, Heartbeat
from hub.channel.padding import pad, padme
from hub.channel.primitives.hash import digest, expand, hmac_sha256, label, lp, sha256, u64
from hub.channel.seal import FingerprintSecret, seal_heartbeat, seal_keys, seal_tombstone
from hub.channel.verify import TrustedChannel
from hub.channel.wraps import commitment, message_key, wrap_info
from hub.model.codec import Json, canonical
from tests.unit.channel.cast import (
    NOW,
    PUBLISHER,
    Person,
    Scene,
    indicator,
    opening_scene,
    seed,
    stix,
)
from tests.unit.channel.forgery import epoch_body, epoch_message
from tests.vectors.channel import later_scenarios
from tests.vectors.channel.later_scenarios import Record
from tests.vectors.channel.parts import parts

HERE = Path(__file__).resolve().parent
PADDED = (0, 1, 8, 9, 100, 255, 256, 1000, 4097, 65537, 1_000_000)


def deterministic() -> Json:
    """Everything that does not depend on randomness, from fictional keys."""
    lab = Person("lab")
    secret = seed("epoch secret", 32)
    first = genesis(
        owners=[lab.root.public.id],
        members=[lab.row(PUBLISHER)],
        created=NOW,
        expires=NOW + 90 * DAY,
        nonce=seed("nonce", 16),
    )
    header = Header(
        t=MessageType.DATA,
        ch=first.channel,
        man=first.hash,
        ep=1,
        aud=Audience.DETAIL,
        pub=lab.pub,
        seq=2,
        prev="11" * 32,
        ts=NOW,
        exp=NOW + DAY,
    )
    header_raw = canonical(header.to_json())
    body = b"body"
    scope = (Audience.DETAIL, first.channel, 1, first.hash)
    return {
        "notation": {
            "lp(abc)": lp(b"abc").hex(),
            "u64(258)": u64(258).hex(),
            "L(token)": label("token").hex(),
            "H(abc)": digest(b"abc"),
            "Expand(secret, L(token))": expand(secret, label("token")).hex(),
        },
        "seeds": {
            "root": lab.root.to_seed().hex(),
            "sign": lab.signing.to_seed().hex(),
            "kem": lab.kem.to_seed().hex(),
            "epoch secret": secret.hex(),
        },
        "ids": {
            "root": lab.root.public.id,
            "sign": lab.pub,
            "kem": lab.card.kem_id,
            "card": lab.card.hash,
            "fingerprint": fingerprint_text(lab.root.public.id),
            "words": " ".join(fingerprint_words(lab.root.public.id)),
        },
        "genesis": {
            "json": first.raw.decode(),
            "channel": first.channel,
            "signed": manifest_signed_bytes(first).hex(),
        },
        "header": {
            "json": header_raw.decode(),
            "hash": digest(header_raw),
            "signed with body `body`": signed_bytes(header_raw, body).hex(),
            "body context": body_context(header_raw).hex(),
        },
        "epoch": {
            "commitment": commitment(secret, *scope),
            "wrap info": wrap_info(*scope, lab.card.kem_id).hex(),
            "message key": message_key(secret, Audience.DETAIL, first.channel, 1, lab.pub, 2).hex(),
        },
        "padding": {
            "padme": {str(size): padme(size) for size in PADDED},
            "pad(abc)": pad(b"abc").hex(),
        },
        "heartbeat": Heartbeat(86_400, 1, "22" * 32).to_bytes().decode(),
        "token": {
            "key": seed("fingerprint key", 32).hex(),
            "framing": (label("token") + lp(b"email") + lp(b"a@b.example")).hex(),
            "value": hmac_sha256(
                seed("fingerprint key", 32), label("token") + lp(b"email") + lp(b"a@b.example")
            ).hex(),
        },
        "invitation": new_invitation(
            channel=first.channel,
            owners=first.owners,
            api_root="https://hub.example/stillwatch/",
            collection="0e2b7f3c-5a55-4f0e-8d4a-1f7a5f2b9c10",
            inbox=None,
            roles=[Role.READ],
            organisation="Example Cloud",
            sponsor=lab.root.public.id,
            expires=NOW + DAY,
            secret=seed("invitation", 32),
        ).text,
        "join mac input": (
            label("join") + bytes.fromhex(first.channel) + bytes.fromhex(lab.card.hash)
        ).hex(),
        "artifact id of SHA-256(abc)": artifact_id(sha256(b"abc").hex()),
        **parts(first, lab),
    }


def _good(scene: Scene) -> Record:
    lab = Person("lab")
    key = FingerprintSecret(f"{scene.trusted.channel[:16]}.2027q1", seed("fk", 32), NOW)
    scene.post(seal_keys(scene.trusted, scene.current, lab.signing, [key], now=NOW))
    scene.publish(lab, [indicator(lab)])
    campaign = stix("campaign", lab, "copper", name="Copper Kettle")
    scene.post(scene.seal(lab, [campaign], audience=Audience.AGGREGATE))
    scene.post(seal_heartbeat(scene.trusted, lab.signing, now=NOW))
    gone = Deleted(lab.pub, *(scene.trusted.last(lab.pub) or (0, "")))
    scene.post(seal_tombstone(scene.trusted, lab.signing, [gone], reason="expired", now=NOW))
    return [], "accept"


def _ghost(scene: Scene) -> Record:
    ghost = Person("ghost")
    rows = [*scene.manifest.members, ghost.row({Role.READ})]
    forged = next_version(scene.manifest, created=NOW, expires=NOW + DAY, members=rows)
    return [sign_manifest(forged, [ghost.root])], "refused: 0 of 1 needed owners"


def _forged(scene: Scene) -> Record:
    lab = Person("lab")
    provider = Person("provider")
    message = parse_message(scene.seal(lab, [indicator(lab)]))
    raw = signed_message(message.header, message.body, provider.signing)
    return [raw], "refused: the Ed25519 signature is not valid"


def _half_signed(scene: Scene) -> Record:
    lab = Person("lab")
    provider = Person("provider")
    message = parse_message(scene.seal(lab, [indicator(lab)]))
    other = provider.signing.sign(signed_bytes(message.header_raw, message.body))
    mixed = message.signature[:64] + other[64:]
    raw = frame(message.header_raw, message.body, mixed)
    return [raw], "refused: the ML-DSA-65 signature is not valid"


def _stripped(scene: Scene) -> Record:
    lab = Person("lab")
    message = parse_message(scene.seal(lab, [indicator(lab)]))
    raw = frame(message.header_raw, message.body, message.signature[:64])
    return [raw], "refused: 3373 bytes of signature"


def _fork(scene: Scene) -> Record:
    lab = Person("lab")
    seq, prev = scene.trusted.position(lab.pub)
    twin = scene.seal(lab, [indicator(lab, "192.0.2.9")], seq=seq, prev=prev)
    scene.publish(lab, [indicator(lab)])
    return [twin], "refused: the sender signed two messages of position 3"


def _gap(scene: Scene) -> Record:
    lab = Person("lab")
    dropped = scene.publish(lab, [indicator(lab)]).message.raw
    last = scene.publish(lab, [indicator(lab, "192.0.2.2")]).message.raw
    scene.wire.remove(dropped)
    scene.wire.remove(last)
    return [last], "waits: message 3 of this sender is missing"


def _backdated(scene: Scene) -> Record:
    other = Person("other lab")
    scene.admit((other, PUBLISHER))
    scene.publish(other, [indicator(other)])
    late = scene.seal(other, [indicator(other, "192.0.2.7")])
    scene.remove(other)
    return [late], "refused: the key was removed after message 1"


def _extra_wrap(scene: Scene) -> Record:
    lab = Person("lab")
    raw = epoch_message(scene, lab, epoch_body(scene, extra=Person("ghost")))
    return [raw], "refused: does not wrap detail for exactly"


def _partition(scene: Scene) -> Record:
    lab = Person("lab")
    provider = Person("provider")
    raw = epoch_message(scene, lab, epoch_body(scene, partitioned=provider))
    return [raw], "unwrap: refused: the owner wrapped another secret"


def _rollback(scene: Scene) -> Record:
    lab = Person("lab")
    old = scene.manifest
    scene.publish_manifest(next_version(old, created=NOW, expires=NOW + DAY))
    rival = next_version(old, created=NOW, expires=NOW + 2 * DAY)
    raw = sign_manifest(rival, [lab.root])
    return [raw], "refused: owners signed a second manifest of this version"


def _stolen_indicator(scene: Scene) -> Record:
    lab = Person("lab")
    other = Person("other lab")
    scene.admit((other, PUBLISHER))
    raw = scene.seal(other, [indicator(lab)])
    return [raw], "open: refused: `created_by_ref` is not the sender"


def _reporter(scene: Scene) -> Record:
    provider = Person("provider")
    raw = scene.seal(provider, [indicator(provider)])
    return [raw], "open: refused: a reporter publishes no indicator"


def _misaddressed(scene: Scene) -> Record:
    other = Scene(Person("other owner"))
    other.rotate()
    raw = other.seal(other.owner, [indicator(other.owner)])
    return [raw], "refused: is addressed to another channel"


def _unnamed_card(scene: Scene) -> Record:
    raw = card_message(scene.trusted.channel, Person("ghost").card_raw)
    return [raw], "waits: the manifest names no such member"


SCENARIOS: dict[str, Callable[[Scene], Record]] = {
    "accepted-whole-channel": _good,
    "refused-ghost-member": _ghost,
    "refused-forged-by-insider": _forged,
    "refused-half-signed": _half_signed,
    "refused-stripped-signature": _stripped,
    "refused-forked-sequence": _fork,
    "waits-for-dropped-message": _gap,
    "refused-backdated-after-removal": _backdated,
    "refused-ghost-in-wraps": _extra_wrap,
    "refused-partitioned-secrets": _partition,
    "refused-manifest-rollback": _rollback,
    "refused-anothers-indicator": _stolen_indicator,
    "refused-indicator-by-reporter": _reporter,
    "refused-other-channel": _misaddressed,
    "waits-for-manifest-of-card": _unnamed_card,
    **later_scenarios.SCENARIOS,
}


def base(scene: Scene) -> str:
    """The file that every scenario begins with: one message a line, base64."""
    return "\n".join([f"now: {scene.now}", "", *map(to_base64, scene.wire)]) + "\n"


def recorded(raws: Sequence[bytes], now: int) -> Scene:
    """The channel that recorded messages made, with the keys of its owner."""
    scene, lab, _, _ = opening_scene()
    trusted = TrustedChannel.from_genesis(raws[0], owner_roots=None, now=now)
    for raw in raws[1:]:
        trusted.accept(raw, now=now)
    epochs = [raw for raw in raws if parse_message(raw).header.t is MessageType.EPOCH]
    scene.trusted, scene.wire, scene.epochs = trusted, list(raws), epochs
    scene.secrets = {
        number: unwrap(trusted, raw, lab.kem) for number, raw in enumerate(epochs, start=1)
    }
    return scene


def record(name: str, opening: Scene) -> str:
    """One scenario file: header lines, a blank line, then one message a line in base64.

    The messages of `opening.txt` come first. `accept:` counts the ones after them that are accepted
    in order; what follows those is the attempt. The seed is that of `provider`, who tries to open
    everything; every key is fictional.
    """
    scene = opening.copy()
    attempt, expect = SCENARIOS[name](scene)
    own = scene.wire[len(opening.wire) :]
    lines = [
        f"scenario: {name}",
        f"expect: {expect}",
        f"now: {scene.now}",
        f"accept: {len(own)}",
        f"kem seed: {Person('provider').kem.to_seed().hex()}",
        "",
        *map(to_base64, [*own, *attempt]),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Write the files."""
    text = json.dumps(deterministic(), indent=1, ensure_ascii=False) + "\n"
    (HERE / "deterministic.json").write_text(text, encoding="utf-8")
    if "--freeze" in arguments:
        opening = HERE / "opening.txt"
        begins = not opening.exists()
        if begins:
            opening.write_text(base(opening_scene()[0]), encoding="ascii")
        head, _, body = opening.read_text(encoding="ascii").partition("\n\n")
        raws = [base64.b64decode(line) for line in body.split()]
        scene = recorded(raws, int(head.removeprefix("now: ")))
        for name in SCENARIOS:
            path = HERE / f"{name}.txt"
            if begins or not path.exists():
                path.write_text(record(name, scene), encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
