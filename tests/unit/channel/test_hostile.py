"""Hostile bytes raise InputError or VerificationError, soon and in little memory."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
import zlib
from collections.abc import Callable
from functools import cache

import pytest
import zstandard

from hub.channel.card import card_message, parse_card
from hub.channel.carriage import from_artifact, to_artifact
from hub.channel.compression import MAX_PLAIN, decompress
from hub.channel.epoch import unwrap
from hub.channel.header import (
    MAX_BODY,
    MAX_MESSAGE,
    Audience,
    Header,
    MessageType,
    body_context,
    frame,
    parse_message,
    signed_message,
)
from hub.channel.invite import (
    binding,
    check_binding,
    check_join,
    join_request,
    new_invitation,
    parse_invitation,
    parse_join,
)
from hub.channel.manifest import DAY, Role, next_version, sign_manifest
from hub.channel.notices import Deleted
from hub.channel.open import open_data
from hub.channel.padding import pad
from hub.channel.primitives import aead
from hub.channel.primitives.hash import label, lp, u64
from hub.channel.seal import FingerprintSecret, seal_heartbeat, seal_keys, seal_tombstone
from hub.channel.verify import TrustedChannel
from hub.channel.wraps import message_key
from hub.errors import InputError, VerificationError
from hub.model.codec import canonical
from tests.unit.channel.cast import NOW, Person, Scene, as_bundle, indicator, opening_scene

HOSTILE = (InputError, VerificationError)
FLIPS = 3_000
CUTS = 300


@cache
def scene() -> Scene:
    made, lab, _, _ = opening_scene()
    made.publish(lab, [indicator(lab)])
    return made


@cache
def messages() -> dict[str, bytes]:
    """The next message of each type that the channel would accept."""
    made, lab = scene(), scene().owner
    joiner = Person("joiner")
    named = next_version(
        made.manifest,
        created=NOW,
        expires=NOW + DAY,
        members=[*made.manifest.members, joiner.row({Role.READ})],
    )
    last = made.trusted.last(lab.pub)
    assert last is not None
    key = FingerprintSecret(f"{made.trusted.channel[:16]}.2027q1", b"k" * 32, NOW)
    rotated = made.copy()
    return {
        "card": card_message(made.trusted.channel, Person("provider").renewed().card_raw),
        "manifest": sign_manifest(named, [lab.root]),
        "epoch": rotated.rotate(),
        "keys": seal_keys(made.trusted, made.current, lab.signing, [key], now=NOW),
        "data": made.seal(lab, [indicator(lab)]),
        "heartbeat": seal_heartbeat(made.trusted, lab.signing, now=NOW),
        "tombstone": seal_tombstone(
            made.trusted, lab.signing, [Deleted(lab.pub, *last)], reason="error", now=NOW
        ),
    }


def flips(raw: bytes, count: int) -> list[bytes]:
    """`count` copies with one bit turned over, spread over the whole length."""
    dice = random.Random(len(raw))
    spread = [dice.randrange(len(raw) * 8) for _ in range(count)]
    found = []
    for bit in spread:
        copy = bytearray(raw)
        copy[bit // 8] ^= 1 << bit % 8
        found.append(bytes(copy))
    return found


def cuts(raw: bytes, count: int) -> list[bytes]:
    dice = random.Random(len(raw))
    return [raw[: dice.randrange(len(raw))] for _ in range(count)]


def refused(check: Callable[[bytes], object], raws: list[bytes]) -> int:
    """How many of them raise what hostile bytes may raise; anything else escapes."""
    count = 0
    for raw in raws:
        try:
            check(raw)
        except HOSTILE:
            count += 1
    return count


@pytest.mark.parametrize("kind", [str(kind) for kind in MessageType])
def test_every_flip_and_cut_of_a_message_is_refused(kind: str) -> None:
    raw = messages()[kind]
    trusted = TrustedChannel.restore(scene().trusted.state())
    assert not trusted.examine(raw, now=NOW).duplicate

    def check(bad: bytes) -> object:
        return trusted.examine(bad, now=NOW)

    assert refused(check, flips(raw, FLIPS)) == FLIPS
    assert refused(check, cuts(raw, CUTS)) == CUTS
    assert trusted.alarms == ()


def test_every_flip_and_cut_of_a_genesis_is_refused() -> None:
    raw = scene().wire[0]

    def check(bad: bytes) -> object:
        return TrustedChannel.from_genesis(bad, owner_roots=None, now=NOW)

    assert refused(check, flips(raw, FLIPS)) == FLIPS
    assert refused(check, cuts(raw, CUTS)) == CUTS


def test_every_flip_and_cut_of_first_contact_is_refused() -> None:
    joiner = Person("joiner")
    invitation = new_invitation(
        channel=scene().trusted.channel,
        owners=scene().manifest.owners,
        api_root="https://hub.example/stillwatch/",
        collection="0e2b7f3c-5a55-4f0e-8d4a-1f7a5f2b9c10",
        inbox=None,
        roles=[Role.READ],
        organisation="Joiner",
        sponsor=scene().owner.root.public.id,
        expires=NOW + DAY,
        secret=b"i" * 32,
    )
    join = join_request(invitation, [joiner.card_raw], joiner.signing, now=NOW)
    bound = binding("https://hub.example/stillwatch/", "c0ffee", joiner.card_raw, joiner.signing)
    assert check_join(join, invitation, now=NOW).member == joiner.id

    def check_bound(raw: bytes) -> object:
        return check_binding(raw, "https://hub.example/stillwatch/", "c0ffee", now=NOW)

    def check_text(raw: bytes) -> object:
        return parse_invitation(raw.decode("latin-1"))

    checks: list[tuple[Callable[[bytes], object], bytes]] = [
        (parse_join, join),
        (check_bound, bound),
        (parse_card, joiner.card_raw),
        (check_text, invitation.text.encode()),
    ]
    for check, raw in checks:
        assert refused(check, flips(raw, 1_000)) == 1_000
        assert refused(check, cuts(raw, CUTS)) == CUTS


def test_flips_of_a_carried_message_are_refused() -> None:
    raw = json.dumps(to_artifact(messages()["heartbeat"])).encode()

    def check(bad: bytes) -> object:
        try:
            found = json.loads(bad)
        except ValueError:
            raise InputError("not JSON") from None
        if (
            isinstance(found, dict)
            and found.get("object_marking_refs") != (to_artifact(b"")["object_marking_refs"])
        ):
            raise InputError("the marking is not part of the message")
        return from_artifact(found)

    assert refused(check, flips(raw, 1_000)) == 1_000


def sealed(plain: bytes, *, padded: bytes | None = None) -> bytes:
    """A data message by the publisher whose decrypted body is chosen freely."""
    made, lab = scene(), scene().owner
    seq, prev = made.trusted.position(lab.pub)
    header = Header(
        t=MessageType.DATA,
        ch=made.trusted.channel,
        man=made.manifest.hash,
        ep=2,
        aud=Audience.DETAIL,
        pub=lab.pub,
        seq=seq,
        prev=prev,
        ts=NOW,
    )
    context = body_context(canonical(header.to_json()))
    key = message_key(made.current.of(Audience.DETAIL), Audience.DETAIL, header.ch, 2, lab.pub, seq)
    body = aead.seal(key, context, pad(plain) if padded is None else padded)
    return signed_message(header, body, lab.signing)


def opened(raw: bytes) -> object:
    made = scene()
    trusted = TrustedChannel.restore(made.trusted.state())
    accepted = trusted.accept(raw, now=NOW)
    return open_data(trusted, accepted, unwrap(trusted, made.epochs[-1], made.owner.kem))


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(data)


GOOD = zstd(as_bundle([]))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (lambda: sealed(b"", padded=b""), "length and padding"),
        (lambda: sealed(b"", padded=u64(5) + GOOD), "length and padding"),
        (lambda: sealed(b"", padded=u64(2**63) + GOOD), "length and padding"),
        (lambda: sealed(b"", padded=pad(GOOD) + bytes(64)), "length and padding"),
        (lambda: sealed(b"", padded=pad(GOOD)[:-1] + b"\x01"), "zero|length and padding"),
        (lambda: sealed(zstd(b"{")), "bundle"),
        (lambda: sealed(zstd(b'{"type":"bundle","type":"bundle","objects":[]}')), "twice"),
        (lambda: sealed(zstd(as_bundle([]))), "1 to 20000 objects"),
        (lambda: sealed(zstd(as_bundle([])) + b"more"), "one whole zstd frame"),
        (lambda: sealed(zlib.compress(as_bundle([]))), "one whole zstd frame"),
        (lambda: sealed(GOOD[:-4]), "one whole zstd frame"),
        (lambda: sealed(zstd(b'{"type":"bundle","objects":[1]}')), "an object is expected"),
        (lambda: sealed(zstd(b'{"type":"bundle","objects":[{"id":[]}]}')), "do not agree"),
        (lambda: sealed(zstd(b"[" * 100_000)), "nested|bundle"),
        (lambda: sealed(zstd(b'{"a":' * 50_000 + b"1" + b"}" * 50_000)), "nested"),
    ],
)
def test_a_members_malformed_body_is_refused(raw: Callable[[], bytes], text: str) -> None:
    message = raw()
    with pytest.raises(HOSTILE, match=text):
        opened(message)


@pytest.mark.parametrize("form", ["zlib", "zstd"])
def test_a_bomb_is_refused_before_it_is_unpacked(form: str) -> None:
    bomb = zlib.compress(bytes(2**28), 1) if form == "zlib" else zstd(bytes(2**28))
    tracemalloc.start()
    begun = time.thread_time()
    with pytest.raises(InputError, match="more than"):
        decompress(bomb, form)
    spent = time.thread_time() - begun
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert spent < 0.5
    assert peak < 3 * MAX_PLAIN


def test_a_zstd_frame_of_unsaid_size_is_refused() -> None:
    unsaid = zstandard.ZstdCompressor(write_content_size=False).compress(b"{}")
    with pytest.raises(InputError, match="unsaid size"):
        decompress(unsaid, "zstd")


def test_oversize_is_refused_before_it_is_read() -> None:
    begun = time.thread_time()
    with pytest.raises(InputError, match="exceed"):
        parse_message(bytes(MAX_MESSAGE + 1))
    with pytest.raises(InputError, match="more than"):
        parse_message(label("message") + lp(b"{}") + lp(bytes(MAX_BODY + 1)) + lp(b""))
    huge = to_artifact(b"x") | {"payload_bin": "A" * 4 * (MAX_MESSAGE // 3 + 2)}
    with pytest.raises(InputError, match="more than"):
        from_artifact(huge)
    assert time.thread_time() - begun < 0.5


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda raw: raw[:-1] + b"}}", "JSON|trailing|byte|syntax|malformed"),
        (lambda raw: raw.replace(b":", b": ", 1), "canonical"),
        (lambda raw: raw.replace(b'"v":1', b'"v":1,"v":1'), "twice|canonical"),
        (lambda raw: raw.replace(b'"v":1', b'"v":1.0'), "canonical|number|integer"),
        (lambda raw: raw.replace(b'"v":1', b'"v":true'), "version"),
        (lambda raw: raw.replace(b'"cp":null,', b""), "missing"),
        (lambda raw: raw.replace(b'"cp":null', b'"cp":null,"cq":null'), "unknown"),
        (lambda raw: raw.replace(b'"ts":18', b'"ts":-18'), "integer"),
        (lambda raw: raw.replace(b'"seq":', b'"seq":null,"seqq":'), "unknown"),
        (lambda raw: raw.replace(b'"aud":"detail"', b'"aud":"everybody"'), "audience"),
        (lambda raw: raw.replace(b'"aud":"detail"', b'"aud":["detail"]'), "audience"),
        (lambda raw: raw.replace(b'"t":"data"', b'"t":"date"'), "one of"),
        (lambda raw: raw.replace(b'"suite":"', b'"suite":"\xff'), "UTF-8|utf-8"),
    ],
)
def test_a_malformed_header_is_refused(change: Callable[[bytes], bytes], text: str) -> None:
    message = parse_message(messages()["data"])
    changed = change(message.header_raw)
    assert changed != message.header_raw
    with pytest.raises(HOSTILE, match=text):
        parse_message(frame(changed, message.body, message.signature))


def test_wrong_length_prefixes_are_refused() -> None:
    raw = messages()["heartbeat"]
    start = len(label("message"))
    size = int.from_bytes(raw[start : start + 4], "big")
    for wrong in (0, size - 1, size + 1, 2**32 - 1):
        with pytest.raises(HOSTILE):
            parse_message(raw[:start] + wrong.to_bytes(4, "big") + raw[start + 4 :])
    with pytest.raises(InputError, match="follow the last field"):
        parse_message(raw + b"\x00")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.rstrip("=") if text.endswith("=") else text + "=",
        lambda text: text[:40] + "\n" + text[40:],
        lambda text: text.replace("+", "-").replace("/", "_"),
        lambda text: " " + text,
        lambda text: text[:-4] + "AAB=" if not text.endswith("=") else text[:-2] + "B=",
    ],
)
def test_a_second_spelling_of_base64_is_refused(change: Callable[[str], str]) -> None:
    carried = to_artifact(messages()["heartbeat"])
    carried["payload_bin"] = change(carried["payload_bin"])
    with pytest.raises(HOSTILE):
        from_artifact(carried)
