"""Signed notes, checkpoints and cosignatures: public examples, and everything that is none."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.channel.log.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    check_quorum,
    cosign,
    cosigned_at,
    log_key,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from hub.channel.log.note import (
    MAX_LINES,
    MAX_NOTE,
    KeyType,
    SignatureLine,
    VerifierKey,
    add_lines,
    parse_key,
    parse_lines,
    parse_note,
    sign_note,
)
from hub.channel.log.tree import EMPTY_ROOT
from hub.channel.policy import parse_log, parse_witnesses
from hub.channel.primitives.sign import NotePrivate, NotePublic
from hub.errors import InputError, VerificationError

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "log" / "notes.json").read_text()
)
ORIGIN = "hub.example/stillwatch/c1/00000000000000e1"
KEY = NotePrivate(b"\x01" * 32)
WITNESSES = {f"witness.example/w{n}": NotePrivate(bytes([n + 2]) * 32) for n in range(3)}
WITNESS_KEYS = sorted(
    VerifierKey(name, KeyType.WITNESS, key.public).text for name, key in WITNESSES.items()
)
POINT = Checkpoint(ORIGIN, 7, b"\x07" * 32, 1_800_000_000)
NOTE = sign_checkpoint(POINT, KEY)


def _cosigned(*times: int) -> SignedCheckpoint:
    lines = [
        cosign(NOTE, name, key, time)
        for (name, key), time in zip(WITNESSES.items(), times, strict=False)
    ]
    return parse_checkpoint(add_lines(NOTE, lines))


def test_the_public_examples_verify() -> None:
    for text in VECTORS["log_keys"]:
        assert parse_key(text, KeyType.LOG).text == text
    note = parse_note(VECTORS["note"])
    note.verify(parse_key(VECTORS["log_keys"][0], KeyType.LOG))
    assert note.raw == VECTORS["note"]
    with pytest.raises(VerificationError, match="not signed by the expected key"):
        note.verify(parse_key(VECTORS["log_keys"][1], KeyType.LOG))


def test_the_public_cosignatures_verify() -> None:
    note = parse_note(VECTORS["cosigned"])
    note.verify(parse_key(VECTORS["cosigned_by_log"], KeyType.LOG))
    for text in VECTORS["witness_keys"]:
        assert cosigned_at(note, parse_key(text, KeyType.WITNESS)) == VECTORS["cosigned_at"]
    altered = parse_note(VECTORS["cosigned"].replace("1432088532", "1432088533"))
    with pytest.raises(VerificationError, match="Ed25519 signature is not valid"):
        cosigned_at(altered, parse_key(VECTORS["witness_keys"][0], KeyType.WITNESS))


def test_a_checkpoint_comes_back() -> None:
    key = log_key(ORIGIN, KEY).text
    assert NOTE.startswith(f"{ORIGIN}\n7\n{'BwcH' * 10}Bwc=\ntime 1800000000\n\n— {ORIGIN} ")
    assert verify_checkpoint(NOTE, key).checkpoint == POINT
    assert parse_checkpoint(NOTE).raw == NOTE
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT, 0)
    assert verify_checkpoint(sign_checkpoint(empty, KEY), key).checkpoint == empty
    # Lines of keys that nobody knows are kept and ignored.
    more = add_lines(NOTE, [SignatureLine("x.example", b"1234", b"5")])
    assert verify_checkpoint(more, key).checkpoint == POINT
    with pytest.raises(VerificationError, match="of another log"):
        verify_checkpoint(NOTE, log_key("hub.example/other", KEY).text)
    other = NotePrivate(b"\x09" * 32)
    with pytest.raises(VerificationError, match="not signed by the expected key"):
        verify_checkpoint(NOTE, log_key(ORIGIN, other).text)
    both = add_lines(NOTE, [SignatureLine(ORIGIN, log_key(ORIGIN, KEY).key_id, b"\0" * 64)])
    with pytest.raises(VerificationError, match="Ed25519 signature is not valid"):
        verify_checkpoint(both, key)


@given(bit=st.integers(0, 8 * len(NOTE.encode()) - 1))
@settings(max_examples=50)
def test_no_flipped_bit_verifies(bit: int) -> None:
    raw = bytearray(NOTE.encode())
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises((InputError, VerificationError)):
        verify_checkpoint(raw.decode("utf-8", "replace"), log_key(ORIGIN, KEY).text)


@given(end=st.integers(0, len(NOTE) - 1))
@settings(max_examples=50)
def test_no_truncation_verifies(end: int) -> None:
    with pytest.raises((InputError, VerificationError)):
        verify_checkpoint(NOTE[:end], log_key(ORIGIN, KEY).text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n7\n", "\n07\n"),
        ("\n7\n", "\n+7\n"),
        ("\n7\n", "\n-7\n"),
        ("\n7\n", "\n７\n"),
        ("\n7\n", f"\n{2**48 + 1}\n"),
        ("\n7\n", f"\n{'9' * 16}\n"),
        ("\n7\n", "\n0\n"),
        ("Bwc=\n", "Bwd=\n"),
        ("Bwc=\n", "Bw==\n"),
        ("Bwc=\n", "BwcH\n"),
        ("time 1", "tim  1"),
        ("\ntime 1800000000", ""),
        ("\ntime 1800000000", "\ntime 1800000000\nmore"),
        ("\ntime 1800000000", "\ntime 253402300800"),
        (ORIGIN + "\n7", "hub example\n7"),
        (ORIGIN + "\n7", "hub+example\n7"),
        (ORIGIN + "\n7", "hub\u00a0example\n7"),
        (ORIGIN + "\n7", "x" * 257 + "\n7"),
        ("\n\n— ", "\n\n- "),
        ("\n\n— ", "\n\n—  "),
        ("\n\n— ", "\n— "),
        ("=\n", "=\r\n"),
        ("time", "time\t"),
    ],
)
def test_what_is_no_checkpoint(old: str, new: str) -> None:
    assert old in NOTE
    with pytest.raises(InputError):
        parse_checkpoint(NOTE.replace(old, new, 1))


def test_bounds_of_notes() -> None:
    line = SignatureLine("x.example", b"1234", b"5")
    with pytest.raises(InputError, match=f"at most {MAX_LINES} signatures"):
        parse_note("a\n\n" + line.text * (MAX_LINES + 1))
    assert len(parse_note("a\n\n" + line.text * MAX_LINES).lines) == MAX_LINES
    with pytest.raises(InputError, match=f"at most {MAX_NOTE} bytes"):
        parse_note("é" * (MAX_NOTE // 2) + "\n\n" + line.text)
    with pytest.raises(InputError, match="UTF-8"):
        parse_note("\ud800\n\n" + line.text)
    for text in ("", line.text[:-1], "— x.example\n", "— x.example MTIzNA==\n", "x\n"):
        with pytest.raises(InputError):
            parse_lines(text)
    assert parse_lines(line.text + line.text) == (line, line)
    assert add_lines(add_lines(NOTE, [line, line]), [line]) == NOTE + line.text
    with pytest.raises(InputError):
        sign_note("no newline", "x.example", KEY)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "not a verifier key"),
        ("a+b", "not a verifier key"),
        (log_key(ORIGIN, KEY).text.upper(), "not a verifier key"),
        ("x" * 513, "not a verifier key"),
        (f"a b{log_key('ab', KEY).text[2:]}", "no blank"),
        (f"b{log_key('a', KEY).text[1:]}", "another key's"),
        (VerifierKey("a", KeyType.WITNESS, KEY.public).text, "not the Ed25519 key of a log"),
        (log_key("a", KEY).text + "=", "more than 33 bytes"),
        (log_key("a", KEY).text[:-4], "not the Ed25519 key of a log"),
    ],
)
def test_what_is_no_verifier_key(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        parse_key(text, KeyType.LOG)


def test_keys_that_prove_nothing() -> None:
    for raw in (b"\0" * 32, b"\x01" + b"\0" * 31, b"\xff" * 32):
        with pytest.raises(VerificationError, match="low order or not canonical"):
            NotePublic(raw)
        text = "a+00000000+" + base64.b64encode(b"\x01" + raw).decode()
        with pytest.raises(VerificationError, match="low order or not canonical"):
            parse_log({"origin": "a", "verifier_key": text})


def test_a_quorum_counts_witnesses_once() -> None:
    signed = _cosigned(100, 200)
    assert check_quorum(signed, WITNESS_KEYS, 2) == ("witness.example/w0", "witness.example/w1")
    with pytest.raises(VerificationError, match="2 of 3 needed witnesses"):
        check_quorum(signed, WITNESS_KEYS, 3)
    with pytest.raises(VerificationError, match="1 of 2 needed witnesses"):
        check_quorum(signed, WITNESS_KEYS, 2, since=101)
    with pytest.raises(VerificationError, match="1 of 2 needed witnesses"):
        check_quorum(signed, WITNESS_KEYS, 2, until=199)
    again = add_lines(
        signed.raw, [cosign(NOTE, "witness.example/w0", WITNESSES["witness.example/w0"], 300)]
    )
    first = parse_key(WITNESS_KEYS[0], KeyType.WITNESS)
    assert cosigned_at(parse_note(again), first) == 300
    with pytest.raises(VerificationError, match="2 of 3 needed witnesses"):
        check_quorum(parse_checkpoint(again), WITNESS_KEYS, 3)


def test_a_cosignature_is_of_this_text_and_time() -> None:
    key = parse_key(WITNESS_KEYS[0], KeyType.WITNESS)
    (line,) = _cosigned(100).note.lines[1:]
    later = (101).to_bytes(8, "big") + line.signature[8:]
    other = sign_checkpoint(Checkpoint(ORIGIN, 8, b"\x08" * 32, 1_800_000_000), KEY)
    for raw, changed in ((other, line), (NOTE, SignatureLine(line.name, line.key_id, later))):
        with pytest.raises(VerificationError, match="Ed25519 signature is not valid"):
            cosigned_at(parse_note(add_lines(raw, [changed])), key)
    short = SignatureLine(line.name, line.key_id, line.signature[:-1])
    with pytest.raises(VerificationError, match="another length"):
        cosigned_at(parse_note(add_lines(NOTE, [short])), key)
    far = SignatureLine(line.name, line.key_id, b"\xff" * 8 + line.signature[8:])
    with pytest.raises(VerificationError, match="impossible time"):
        cosigned_at(parse_note(add_lines(NOTE, [far])), key)


def test_what_a_manifest_says_of_its_log_is_checked() -> None:
    key = log_key(ORIGIN, KEY).text
    log = parse_log({"origin": ORIGIN, "verifier_key": key})
    assert log is not None
    assert log.origin == ORIGIN
    with pytest.raises(InputError, match="of another log than the origin"):
        parse_log({"origin": "hub.example/other", "verifier_key": key})
    witnesses = parse_witnesses({"quorum": 2, "verifier_keys": WITNESS_KEYS})
    assert witnesses is not None
    assert witnesses.verifier_keys == tuple(WITNESS_KEYS)
    one = next(iter(WITNESSES.values()))
    twice = sorted(VerifierKey(name, KeyType.WITNESS, one.public).text for name in ("a", "b"))
    with pytest.raises(InputError, match="share a name or a key"):
        parse_witnesses({"quorum": 2, "verifier_keys": twice})
    with pytest.raises(InputError, match="Ed25519 key of a witness"):
        parse_witnesses({"quorum": 1, "verifier_keys": [key]})
    with pytest.raises(InputError, match="verifier keys are expected"):
        parse_witnesses({"quorum": 1, "verifier_keys": [7]})
