"""Keys that prove nothing, and more bytes than anybody should take."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import Message, Scope

from hub.channel.custodian_replies import (
    MAX_POST,
    MAX_STANDING,
    parse_standing,
    unframe_messages,
)
from hub.channel.custodians import (
    MAX_ANSWER,
    MAX_REQUEST,
    parse_answer,
    parse_request,
)
from hub.channel.evidence.proof import MAX_PROOF, parse_proof
from hub.channel.fields import to_base64
from hub.channel.invite import MAX_JOIN, parse_join
from hub.channel.log.note import MAX_NOTE, KeyType, parse_key, parse_lines, parse_note
from hub.channel.manifest import MAX_MANIFEST, parse_manifest
from hub.channel.primitives.hash import sha256
from hub.channel.primitives.sign import NotePrivate
from hub.channel.proposal import (
    MAX_COUNTERSIGNATURE,
    MAX_PROPOSAL,
    Countersignature,
    parse_proposal,
)
from hub.channel.recovery import key_of
from hub.errors import VerificationError
from hub.fingerprint.oblivious import EvaluationKey, check_public_key
from hub.witness.app import create_app
from hub.witness.service import Witness
from hub.witness.state import State
from hub.witness.submission import MAX_BODY as MAX_SUBMISSION
from hub.witness.submission import parse_submission
from tests.unit.channel.cast import NOW, seed
from tests.unit.channel.test_hostile import HOSTILE
from tests.vectors.channel import parts
from tests.vectors.channel.freeze_objects import FROZEN

Check = Callable[[bytes], object]


# -- points --------------------------------------------------------------------------------------

P = 2**255 - 19
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
LOW = [0, 1, P - 1, ORDER_8, P - ORDER_8, P, P + 1, 2**255 - 1]


@pytest.mark.parametrize("kind", list(KeyType))
@pytest.mark.parametrize("y", [y | sign for y in LOW for sign in (0, 1 << 255)])
def test_keys_of_logs_and_witnesses_that_prove_nothing(kind: KeyType, y: int) -> None:
    data = bytes([kind]) + y.to_bytes(32, "little")
    key_id = sha256(parts.ORIGIN.encode() + b"\n" + data)[:4].hex()
    with pytest.raises(VerificationError, match="low order or not canonical"):
        parse_key(f"{parts.ORIGIN}+{key_id}+{to_base64(data)}", kind)


@pytest.mark.parametrize(
    "encoded",
    [
        "00" * 32,
        "00" + "ff" * 31,
        "ff" * 31 + "7f",
        "f3" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "01" + "00" * 31,
        "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
        "ff" * 32,
    ],
)
def test_encodings_that_are_no_element_of_ristretto255(encoded: str) -> None:
    bad = bytes.fromhex(encoded)
    with pytest.raises(VerificationError, match="is the identity, or not a canonical element"):
        check_public_key(bad, "row")
    key = EvaluationKey(seed("custodian a", 32), b"info")
    with pytest.raises(VerificationError, match="is the identity, or not a canonical element"):
        key.evaluate(parts.BLINDED + bad)


# -- sizes ---------------------------------------------------------------------------------------

SIZES: dict[str, tuple[Check, int]] = {
    "proposal": (parse_proposal, MAX_PROPOSAL),
    "countersignature": (Countersignature.from_bytes, MAX_COUNTERSIGNATURE),
    "proof": (parse_proof, MAX_PROOF),
    "manifest": (parse_manifest, MAX_MANIFEST),
    "join": (parse_join, MAX_JOIN),
    "request": (parse_request, MAX_REQUEST),
    "standing": (parse_standing, MAX_STANDING),
    "messages": (unframe_messages, MAX_POST),
    "submission": (parse_submission, MAX_SUBMISSION),
    "note": (lambda bad: parse_note(bad.decode()), MAX_NOTE),
    "lines": (lambda bad: parse_lines(bad.decode()), MAX_NOTE),
    "words": (lambda bad: key_of(bad.decode()), 64 * 1024),
}


def _measured(check: Check, raw: bytes) -> tuple[float, int]:
    """Processor seconds and peak bytes of a refusal."""
    begun = time.thread_time()
    with pytest.raises(HOSTILE):
        check(raw)
    spent = time.thread_time() - begun
    tracemalloc.start()
    try:
        with pytest.raises(HOSTILE):
            check(raw)
        return spent, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", sorted(SIZES))
def test_size_is_bounded_before_anything_is_made_of_it(name: str) -> None:
    check, most = SIZES[name]
    for raw in (b"[" * (most + 1), b'{"a":"' + b"A" * most + b'"}'):
        spent, peak = _measured(check, raw)
        assert spent < 0.5
        assert peak < 2 * most + 2**20


@pytest.mark.parametrize("name", sorted(SIZES))
def test_as_much_as_is_let_in_stays_small(name: str) -> None:
    """Empty arrays, brackets, no text: a refusal takes 50 MB, or twice what was given."""
    check, most = SIZES[name]
    count = (most - 10) // 3
    for raw in (
        b'{"a":[' + b",".join([b"[]"] * count) + b"]}",
        b"[" * (most // 2) + b"]" * (most // 2),
        b"\xff" * most,
    ):
        if name in ("note", "lines", "words") and not raw.isascii():
            continue
        spent, peak = _measured(check, raw)
        assert spent < 0.5
        assert peak < max(50_000_000, 2.1 * most)


def test_an_answer_beyond_its_bound_is_refused() -> None:
    asked = parse_request(FROZEN["custodian-accepted"]().items[0])
    spent, peak = _measured(lambda bad: parse_answer(bad, asked), bytes(MAX_ANSWER + 1))
    assert (spent < 0.5, peak < 2**20) == (True, True)


def test_half_a_gigabyte_for_a_witness_is_refused_after_a_little_of_it(tmp_path: Path) -> None:
    state = State.create(tmp_path / "witness.db", "witness.example")
    app = create_app(Witness(state, NotePrivate(seed("w1", 32)), now=lambda: NOW))
    piece, taken, sent = bytes(1 << 16), 0, []

    async def receive() -> Message:
        nonlocal taken
        taken += len(piece)
        return {"type": "http.request", "body": piece, "more_body": taken < 500_000_000}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/add-checkpoint",
        "query_string": b"",
        "headers": [],
        "root_path": "",
        "scheme": "http",
    }
    asyncio.run(app(scope, receive, send))
    state.close()
    assert sent[0]["status"] == 413
    assert taken < 10 * MAX_SUBMISSION + len(piece)
