"""What members and custodians say to each other, as bytes."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from hub.channel.custodian_replies import (
    Refusal,
    Standing,
    frame_messages,
    parse_refusal,
    parse_standing,
    unframe_messages,
)
from hub.channel.custodians import (
    MAX_ELEMENTS,
    Custodian,
    EvaluationRequest,
    Quota,
    make_answer,
    make_request,
    parse_answer,
    parse_request,
    parse_row_text,
)
from hub.channel.fingerprint_keys import FingerprintSecret, key_set_from_bytes, keys_to_bytes
from hub.channel.open import open_key_set
from hub.channel.seal import seal_keys
from hub.errors import InputError, VerificationError
from hub.model.codec import canonical
from tests.unit.channel.cast import NOW, Person, Scene

LAB = Person("lab")
CHANNEL = "0123456789abcdef" * 4
KEY = "0123456789abcdef.2027q1"
ROWS = tuple(
    Custodian(f"custody-{name}.example", f"https://{name}.example", KEY, name.encode() * 32, 5, 9)
    for name in "ab"
)
QUOTA = Quota(day=10, left=4, resets=NOW + 60, burst=5, burst_left=1)
ELEMENTS = bytes(range(64))


def ask(elements: bytes = ELEMENTS, **changed: Any) -> EvaluationRequest:
    values: dict[str, Any] = {"channel": CHANNEL, "man": "ab" * 32, "now": NOW, "nonce": b"n" * 32}
    return make_request(LAB.signing, ROWS[0], elements, **(values | changed))


def test_a_request_says_what_it_was_made_of_and_verifies() -> None:
    asked = ask()
    assert parse_request(asked.raw) == asked
    assert (asked.channel, asked.key_id, asked.count) == (CHANNEL, KEY, 2)
    assert (asked.custodian_id, asked.pub, asked.ts) == ("custody-a.example", LAB.pub, NOW)
    asked.verify(LAB.signing.public)
    with pytest.raises(VerificationError, match="another key"):
        asked.verify(Person("other").signing.public)
    assert ask(nonce=None).nonce != ask(nonce=None).nonce


def test_every_flip_and_truncation_of_a_request_is_refused() -> None:
    raw = ask().raw
    generator = random.Random(4)
    for bit in generator.sample(range(len(raw) * 8), 300):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((InputError, VerificationError)):
            parse_request(bytes(flipped)).verify(LAB.signing.public)
    for size in (0, 3, 40, len(raw) // 2, len(raw) - 1):
        with pytest.raises(InputError):
            parse_request(raw[:size])
    with pytest.raises(InputError, match="follow the last field"):
        parse_request(raw + b"x")


def test_an_answer_is_bound_to_its_request() -> None:
    asked = ask()
    raw = make_answer(asked, ELEMENTS[::-1], b"p" * 64, QUOTA)
    found = parse_answer(raw, asked)
    assert (found.elements, found.proof, found.quota) == (ELEMENTS[::-1], b"p" * 64, QUOTA)
    for other in (ask(nonce=b"m" * 32), ask(now=NOW + 1), ask(channel="cd" * 32)):
        with pytest.raises(VerificationError, match="another request"):
            parse_answer(raw, other)
    with pytest.raises(VerificationError, match="another request"):
        make_answer(asked, ELEMENTS[:32], b"p" * 64, QUOTA)
    for size in (0, 10, len(raw) - 1):
        with pytest.raises(InputError):
            parse_answer(raw[:size], asked)
    with pytest.raises(InputError):
        parse_answer(raw + b"x", asked)
    with pytest.raises(InputError, match="exceed"):
        parse_answer(bytes(200_000), asked)


def test_counts_are_bounded_before_anything_is_signed_for() -> None:
    for elements in (b"", ELEMENTS[:-1], bytes(32) * (MAX_ELEMENTS + 1)):
        with pytest.raises(InputError):
            ask(elements)
    assert ask(bytes(32) * MAX_ELEMENTS).count == MAX_ELEMENTS
    with pytest.raises(InputError, match="exceed"):
        parse_request(bytes(10**6))


def test_versions_and_suites_are_not_negotiated() -> None:
    raw = ask().raw
    for old, new in ((b'"v":1', b'"v":2'), (b"voprf.ristretto255", b"voprf.ristretto256")):
        with pytest.raises(VerificationError, match="unknown here"):
            parse_request(raw.replace(old, new))


def test_rows_travel_as_text() -> None:
    assert parse_row_text(f"  {ROWS[0].text}\n") == ROWS[0]
    assert '"key":"0123456789abcdef.2027q1"' in ROWS[0].text
    bad: list[dict[str, Any]] = [
        {"custodian_id": "Custody A"},
        {"url": "ftp://a.example"},
        {"url": "https://a.example/"},
        {"public_key": b"short"},
        {"expires": 5},
    ]
    for change in bad:
        with pytest.raises(InputError):
            dataclasses.replace(ROWS[0], **change)
    for text in ("", "{}", ROWS[0].text.replace('"id"', '"Id"'), ROWS[0].text.replace(":5", ": 5")):
        with pytest.raises(InputError):
            parse_row_text(text)


def secret(key_id: str = KEY) -> FingerprintSecret:
    return FingerprintSecret(key_id, b"s" * 32, NOW)


def test_keys_state_their_custodians_and_older_ones_state_none() -> None:
    found = key_set_from_bytes(keys_to_bytes([secret()], CHANNEL, ROWS[::-1]), CHANNEL)
    assert found.custodians_of(KEY) == ROWS
    assert found.custodians_of(f"{KEY}-2") == ()
    older = key_set_from_bytes(keys_to_bytes([secret()], CHANNEL), CHANNEL)
    assert (older.keys, older.custodians) == ((secret(),), ())


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        (ROWS[:1], "needs two custodians"),
        ((*ROWS, dataclasses.replace(ROWS[0], custodian_id="custody-c.example")), "needs two"),
        ((ROWS[0], ROWS[0]), "ascend"),
        ((ROWS[0], dataclasses.replace(ROWS[1], public_key=b"a" * 32)), "one and the same"),
        ((ROWS[0], dataclasses.replace(ROWS[1], url="https://a.example")), "one and the same"),
        (
            tuple(dataclasses.replace(row, key_id=f"{KEY}-2") for row in ROWS),
            "not among the keys",
        ),
    ],
)
def test_custodians_come_in_pairs_of_a_known_key(rows: tuple[Custodian, ...], error: str) -> None:
    with pytest.raises(InputError, match=error):
        keys_to_bytes([secret()], CHANNEL, rows)


def test_a_keys_plaintext_with_custodians_out_of_order_is_refused() -> None:
    plain = canonical(
        {
            "custodians": [row.to_json() for row in reversed(ROWS)],
            "keys": [
                {"id": KEY, "secret": "c" * 43 + "=", "created": 1, "expires": None, "live": True}
            ],
        }
    )
    with pytest.raises(InputError):
        key_set_from_bytes(plain, CHANNEL)


def test_an_owner_cannot_name_other_custodians_for_a_known_key() -> None:
    scene = Scene(LAB)
    scene.rotate()
    key = FingerprintSecret(f"{scene.trusted.channel[:16]}.2027q1", b"s" * 32, NOW)
    rows = [dataclasses.replace(row, key_id=key.key_id) for row in ROWS]
    moved = [dataclasses.replace(rows[0], url="https://new.example"), rows[1]]
    other = [dataclasses.replace(rows[0], public_key=b"z" * 32), rows[1]]
    third = [rows[0], dataclasses.replace(rows[1], custodian_id="custody-c.example")]

    def opened(custodians: list[Custodian]) -> tuple[Custodian, ...]:
        raw = seal_keys(
            scene.trusted, scene.current, LAB.signing, [key], now=NOW, custodians=custodians
        )
        known = {(row.key_id, row.custodian_id): row.public_key for row in rows}
        accepted = scene.post(raw)
        return open_key_set(scene.trusted, accepted, scene.current, custodians=known).custodians

    assert opened(rows) == tuple(rows)
    assert opened(moved) == tuple(moved), "an address may change"
    assert opened([]) == ()
    for changed in (other, third):
        with pytest.raises(VerificationError, match="named other custodians"):
            opened(changed)
    assert [alarm.kind for alarm in scene.trusted.alarms] == ["custodian-change"] * 2


def test_refusals_and_standings_travel() -> None:
    refusal = Refusal("quota", "too much", "wait", 60, QUOTA)
    assert parse_refusal(refusal.to_bytes()) == refusal
    assert parse_refusal(Refusal("behind", "x").to_bytes()).quota is None
    with pytest.raises(InputError):
        parse_refusal(Refusal("whatever", "x").to_bytes())
    with pytest.raises(InputError):
        parse_refusal(b"<html>")
    standing = Standing(CHANNEL, 3, "ab" * 32, ("cd" * 32,), ROWS)
    assert parse_standing(standing.to_bytes()) == standing
    with pytest.raises(InputError):
        parse_standing(standing.to_bytes().replace(b'"version":3', b'"version":-3'))


def test_messages_are_framed() -> None:
    assert unframe_messages(frame_messages([b"one", b"", b"three"])) == [b"one", b"", b"three"]
    for body in (b"", b"\0\0\0\5abc", frame_messages([b""] * 2_001), bytes(9 * 2**20)):
        with pytest.raises(InputError):
            unframe_messages(body)
