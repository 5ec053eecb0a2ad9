"""Hostile bytes in what travels beside messages: only InputError or VerificationError, soon."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from functools import cache

import pytest

from hub.channel.custodian_replies import parse_refusal, parse_standing
from hub.channel.custodians import (
    parse_answer,
    parse_request,
    parse_row_text,
)
from hub.channel.direct import parse_release
from hub.channel.evidence.proof import parse_proof
from hub.channel.evidence.verify import verify
from hub.channel.fields import to_base64
from hub.channel.fingerprint_keys import FingerprintSecret, key_set_from_bytes
from hub.channel.header import parse_message, signed_message
from hub.channel.invite import parse_join
from hub.channel.log.checkpoint import check_quorum, verify_checkpoint
from hub.channel.log.note import KeyType, parse_key
from hub.channel.log.tree import (
    LeafNodes,
    consistency_proof,
    leaf_hash,
    root_of,
    verify_consistency,
)
from hub.channel.open import open_direct
from hub.channel.primitives.hash import label, lp
from hub.channel.proposal import (
    Countersignature,
    parse_proposal,
    propose,
)
from hub.channel.receipt import parse_receipt
from hub.channel.recovery import backup_key_id, key_of
from hub.channel.seal import seal_keys
from hub.channel.verify import TrustedChannel
from hub.channel.wraps import WRAPPED_SIZE
from hub.client import backup_file
from hub.errors import AccessError, VerificationError
from hub.witness.submission import parse_submission
from tests.interop import oprf
from tests.unit.channel.cast import NOW, Person, opening_scene, seed
from tests.unit.channel.cast import Scene as Circle
from tests.unit.channel.test_hostile import CUTS, FLIPS, HOSTILE, cuts, flips
from tests.vectors.channel import freeze_objects, later_scenarios, parts
from tests.vectors.channel.freeze_objects import FROZEN, RECOVERY_KEY, Frozen
from tests.vectors.channel.generate import deterministic

Check = Callable[[bytes], object]
LAB, PROVIDER = Person("lab"), Person("provider")


@cache
def frozen(name: str) -> Frozen:
    return FROZEN[name]()


@cache
def scene() -> Circle:
    return opening_scene()[0]


def escapes(check: Check, raws: list[bytes]) -> list[bytes]:
    """Those that are not refused; whatever else than a refusal is raised gets out."""
    found = []
    for raw in raws:
        try:
            check(raw)
        except HOSTILE:
            continue
        found.append(raw)
    return found


def all_refused(check: Check, raw: bytes, count: int = FLIPS) -> None:
    """Every sampled flip and truncation is refused, and the bytes themselves are not."""
    check(raw)
    begun = time.thread_time()
    assert escapes(check, flips(raw, count)) == []
    assert escapes(check, cuts(raw, CUTS)) == []
    # Far below what one may take; a mean does not depend on what else runs here.
    assert (time.thread_time() - begun) / (count + CUTS) < 0.05


# -- flips and truncations -----------------------------------------------------------------------


def _direct() -> bytes:
    made = scene().copy()
    later_scenarios.SCENARIOS["accepted-direct"](made)
    return made.wire[-2]


def test_direct_messages() -> None:
    trusted = TrustedChannel.restore(scene().trusted.state())
    all_refused(lambda bad: trusted.examine(bad, now=NOW), _direct())
    assert trusted.alarms == ()


def test_direct_bodies_that_their_sender_altered() -> None:
    """Signed again after each flip: the recipient finds all but what is another's to find."""
    message, state = parse_message(_direct()), scene().trusted.state()
    theirs = message.body.index(bytes.fromhex(LAB.card.kem_id)) + 32

    def check(body: bytes) -> object:
        trusted = TrustedChannel.restore(state)
        raw = signed_message(message.header, body, LAB.signing)
        return open_direct(trusted, trusted.accept(raw, now=NOW), PROVIDER.kem)

    check(message.body)
    left = escapes(check, flips(message.body, 100))
    kept = [body[:theirs] + body[theirs + WRAPPED_SIZE :] for body in left]
    assert set(kept) <= {message.body[:theirs] + message.body[theirs + WRAPPED_SIZE :]}
    assert 1 <= len(left) < 80
    assert escapes(check, cuts(message.body, 20)) == []


def test_keys_with_custodians() -> None:
    made = scene()
    rows = parts.custodians(made.trusted.channel)
    key = FingerprintSecret(rows[0].key_id, seed("fingerprint key", 32), NOW)
    raw = seal_keys(made.trusted, made.current, LAB.signing, [key], now=NOW, custodians=rows)
    trusted = TrustedChannel.restore(made.trusted.state())
    all_refused(lambda bad: trusted.examine(bad, now=NOW), raw)


def test_proposals() -> None:
    before, after = freeze_objects.council()
    draft = propose(before, after, proposer=LAB.card, signing=LAB.signing, reason="so", created=NOW)
    all_refused(parse_proposal, draft.signed_by(LAB.root).raw)


def test_countersignatures() -> None:
    raw, word = frozen("proposal-accepted-countersigned").items
    proposal = parse_proposal(raw)

    def check(bad: bytes) -> object:
        found = Countersignature.from_bytes(bad)
        if (found.channel, found.manifest) != (proposal.after.channel, proposal.id):
            raise VerificationError("is for another draft")
        return proposal.with_entries([(found.root, found.signature)])

    all_refused(check, word)


def test_join_requests_with_several_cards() -> None:
    all_refused(parse_join, frozen("join-accepted-two-cards").items[0])


def test_custodians_requests() -> None:
    signing = PROVIDER.signing.public
    all_refused(
        lambda bad: parse_request(bad).verify(signing), frozen("custodian-accepted").items[0]
    )


def test_custodians_answers() -> None:
    """The quota is a custodian's word; all else is bound to the request or to the proof."""
    request, raw = frozen("custodian-accepted").items
    asked = parse_request(request)
    good = parse_answer(raw, asked)
    public = parse_row_text(frozen("custodian-accepted").fields["row"]).public_key
    blinded = [asked.elements[at : at + 32] for at in (0, 32)]

    def proven(bad: bytes) -> None:
        answer = parse_answer(bad, asked)
        if (answer.elements, answer.proof) == (good.elements, good.proof):
            return
        evaluated = [answer.elements[at : at + 32] for at in (0, 32)]
        try:
            oprf.verify(public, blinded, evaluated, answer.proof)
        except oprf.RefusedError as error:
            raise VerificationError(str(error)) from None

    left = escapes(proven, flips(raw, FLIPS))
    quotas = {parse_answer(bad, asked).quota for bad in left}
    assert len(quotas) == len(set(left))
    assert escapes(proven, cuts(raw, CUTS)) == []


def _checkpoint(bad: bytes) -> object:
    signed = verify_checkpoint(bad.decode("utf-8", "replace"), parts.LOG.verifier_key)
    return check_quorum(signed, parts.COSIGNED.verifier_keys, parts.COSIGNED.quorum)


def test_checkpoints_and_cosignatures() -> None:
    all_refused(_checkpoint, parts.cosigned(parts.note(9)).encode())


def test_verifier_keys() -> None:
    def check(bad: bytes) -> object:
        return parse_key(bad.decode("utf-8", "replace"), KeyType.LOG)

    all_refused(check, parts.LOG.verifier_key.encode())


def test_what_is_submitted_to_witnesses() -> None:
    """Old size, consistency proof and checkpoint, as a witness takes them in."""
    hashes = [leaf_hash(each) for each in parts.leaves(9)]
    old = root_of(hashes[:6])
    proof = [to_base64(each) for each in consistency_proof(LeafNodes(hashes), 6, 9)]
    raw = "\n".join(["old 6", *proof, "", parts.note(9)]).encode()

    def check(bad: bytes) -> None:
        found = parse_submission(bad)
        if found.old != 6:
            raise VerificationError("another size than was seen")
        point = verify_checkpoint(found.signed.raw, parts.LOG.verifier_key).checkpoint
        verify_consistency(6, old, point.size, point.root, found.proof)

    all_refused(check, raw)


def test_proof_files() -> None:
    """Statement and date are their maker's words; nothing else may change."""
    raw = frozen("proof-split-view-by-prefix").items[0]
    words = json.loads(raw) | {"statement": "", "made": 0}
    begun = time.thread_time()
    for bad in escapes(verify, flips(raw, FLIPS)):
        assert json.loads(bad) | {"statement": "", "made": 0} == words
    assert escapes(verify, cuts(raw, CUTS)) == []
    assert (time.thread_time() - begun) / FLIPS < 0.05


def test_backups() -> None:
    raw = frozen("backup-accepted").items[0]

    def check(bad: bytes) -> object:
        try:
            return backup_file.read(io.BytesIO(bad), RECOVERY_KEY, lambda _: None, lambda *_: None)
        except AccessError as error:
            # What names the recovery key was altered: the person may have taken the wrong form.
            if bad[backup_file.HEAD_SIZE - 32 : backup_file.HEAD_SIZE] == backup_key_id(
                RECOVERY_KEY
            ):
                raise
            raise VerificationError(str(error)) from None

    all_refused(check, raw)


def test_recovery_words() -> None:
    raw = frozen("recovery-accepted").fields["words"].encode()

    def check(bad: bytes) -> bytes:
        return key_of(bad.decode("latin-1"))

    # A capital letter or a comma instead of a blank is the same word.
    assert {check(bad) for bad in escapes(check, flips(raw, FLIPS))} == {RECOVERY_KEY}
    assert escapes(check, cuts(raw, CUTS)) == []


TEXTS = deterministic()
CHANNEL: str = TEXTS["genesis"]["channel"]
PLAIN: dict[str, tuple[Check, str]] = {
    "release": (parse_release, TEXTS["direct"]["release"]),
    "receipt": (lambda bad: parse_receipt({"content": _text(bad)}), TEXTS["receipt"]),
    "keys": (lambda bad: key_set_from_bytes(bad, CHANNEL), TEXTS["custodian"]["keys"]),
    "row": (lambda bad: parse_row_text(_text(bad)), TEXTS["custodian"]["row"]),
    "standing": (parse_standing, TEXTS["custodian"]["standing"]),
    "refusal": (parse_refusal, TEXTS["custodian"]["refusal"]),
}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_texts_that_are_authentic_by_their_envelope(name: str) -> None:
    """A flip may make another good text; nothing comes out but that or a refusal."""
    check, text = PLAIN[name]
    check(text.encode())
    assert 1 <= len(escapes(check, flips(text.encode(), FLIPS))) < FLIPS // 2
    assert escapes(check, cuts(text.encode(), CUTS)) == []


# -- spellings and versions ----------------------------------------------------------------------


def _spellings(raw: bytes) -> list[bytes]:
    """Other spellings of a canonical JSON object, and objects with other names."""
    value = json.loads(raw)
    last = list(value)[-1]
    again = json.dumps({last: value[last]}, separators=(",", ":"))[1:].encode()
    others = [
        raw.replace(b":", b": ", 1),
        b" " + raw,
        raw[:-1] + b"," + again,
        raw[:-1] + b',"zz":1}',
        json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode(),
        raw.replace(b'"' + last.encode(), b'"\\u00%02x' % ord(last[0]) + last[1:].encode(), 1),
        b"[" + raw + b"]",
    ]
    others += [_dump({k: v for k, v in value.items() if k != name}) for name in value]
    others += [_dump(value | {name: {"a": []}}) for name in value]
    versions = [2, 0, True, "1", None] if "v" in value else []
    others += [_dump(value | {"v": version}) for version in versions]
    others += [raw.replace(b'"v":1', b'"v":1.0')] if "v" in value else []
    others += [_dump(value | {"suite": "stillwatch2"})] if "suite" in value else []
    others += [
        raw.replace(text.encode(), other.encode(), 1)
        for text in value.values()
        if isinstance(text, str) and len(text) > 1000
        for other in (text + "=", text[:40] + " " + text[40:], text[:-4] + "AAB=", "-" + text[1:])
    ]
    return [each for each in others if each != raw]


def _dump(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _head_of(raw: bytes, name: str) -> tuple[bytes, bytes, bytes]:
    """Label, head and rest of a frame."""
    start = len(label(name))
    size = int.from_bytes(raw[start : start + 4], "big")
    return raw[:start], raw[start + 4 : start + 4 + size], raw[start + 4 + size :]


def _framed(name: str, raw: bytes, check: Check) -> tuple[Check, bytes]:
    mark, head, rest = _head_of(raw, name)
    return lambda bad: check(mark + lp(bad) + rest), head


def _closed() -> dict[str, tuple[Check, bytes]]:
    proposal, word = frozen("proposal-accepted-countersigned").items
    request, answer = frozen("custodian-accepted").items
    asked, joins = parse_request(request), frozen("join-accepted-two-cards").items[0]
    return {
        "proposal": (parse_proposal, proposal),
        "countersignature": (Countersignature.from_bytes, word),
        "proof": (parse_proof, frozen("proof-rollback").items[0]),
        "request": _framed("custodian request", request, parse_request),
        "answer": _framed("custodian answer", answer, lambda bad: parse_answer(bad, asked)),
        "join": _framed("join request", joins, parse_join),
        **{name: (check, text.encode()) for name, (check, text) in PLAIN.items() if name != "row"},
    }


@pytest.mark.parametrize(
    "name",
    [
        "proposal", "countersignature", "proof", "request", "answer", "join",
        "release", "receipt", "keys", "standing", "refusal",
    ],
)  # fmt: skip
def test_there_is_one_spelling(name: str) -> None:
    check, raw = _closed()[name]
    check(raw)
    spelled = _spellings(raw)
    assert len(spelled) > 8
    assert escapes(check, spelled) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("proposal", "protocol version unknown"),
        ("countersignature", "protocol version unknown"),
        ("request", "protocol version unknown"),
        ("answer", "protocol version unknown"),
        ("join", r"join request\.v"),
        ("proof", "version of proof files"),
    ],
)
def test_another_version_is_told_as_one(name: str, said: str) -> None:
    check, raw = _closed()[name]
    with pytest.raises(HOSTILE, match=said):
        check(_dump(json.loads(raw) | {"v": 2}))
