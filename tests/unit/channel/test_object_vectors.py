"""Recorded files beside the messages of a channel: each ends as its `expect:` line says."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Sequence

import pytest

from hub.channel.custodians import parse_answer, parse_request, parse_row_text
from hub.channel.evidence.proof import Kind
from hub.channel.evidence.verify import verify
from hub.channel.invite import check_join, parse_invitation
from hub.channel.log.checkpoint import check_quorum, verify_checkpoint
from hub.channel.primitives.sign import SigningPublic
from hub.channel.proposal import Countersignature, parse_proposal
from hub.channel.recovery import key_of
from hub.client import backup_file
from hub.errors import AccessError, InputError, VerificationError
from hub.fingerprint.oblivious import token_input
from tests.interop import oprf
from tests.vectors.channel.freeze_objects import FROZEN, OBJECTS

Fields = dict[str, str]
Items = Sequence[bytes]


def _join(fields: Fields, items: Items) -> str:
    check_join(items[0], parse_invitation(fields["invitation"]), now=int(fields["now"]))
    return ""


def _proposal(_: Fields, items: Items) -> str:
    proposal = parse_proposal(items[0])
    for raw in items[1:]:
        word = Countersignature.from_bytes(raw)
        proposal = proposal.with_entries([(word.root, word.signature)])
    if proposal.complete:
        assert proposal.message()
        return "complete"
    return "{} and {} more".format(*proposal.missing)


def _custodian(fields: Fields, items: Items) -> str:
    """With the second implementation of RFC 9497, which takes blinds as arguments."""
    request = parse_request(items[0])
    request.verify(SigningPublic(base64.b64decode(fields["signing key"])))
    answer = parse_answer(items[1], request)
    row = parse_row_text(fields["row"])
    blinded, evaluated = (
        [data[at : at + 32] for at in range(0, len(data), 32)]
        for data in (request.elements, answer.elements)
    )
    oprf.verify(row.public_key, blinded, evaluated, answer.proof)
    inputs = [token_input(fields["kind"], value) for value in fields["values"].split()]
    blinds = [bytes.fromhex(text) for text in fields["blinds"].split()]
    outputs = map(oprf.finalize, inputs, blinds, evaluated)
    return hashlib.sha256(b"".join(outputs)).hexdigest()


def _checkpoint(fields: Fields, items: Items) -> str:
    signed = verify_checkpoint(items[0].decode(), fields["verifier key"])
    names = check_quorum(signed, fields["witness keys"].split(), int(fields["quorum"]))
    return " ".join([str(signed.checkpoint.size), *names])


def _backup(fields: Fields, items: Items) -> str:
    index = backup_file.read(
        io.BytesIO(items[0]), key_of(fields["words"]), lambda _: None, lambda *_: None
    )
    return " ".join(entry.name for entry in index.files)


def _recovery(fields: Fields, _: Items) -> str:
    return key_of(fields["words"]).hex()


def _proof(fields: Fields, items: Items) -> str:
    found = verify(items[0], int(fields["now"]) + 1_000)
    weight = "proven" if found.conclusive else "claimed"
    return f"{found.kind} {found.accused.party} {weight}"


READERS: dict[str, Callable[[Fields, Items], str]] = {
    "join": _join,
    "proposal": _proposal,
    "custodian": _custodian,
    "checkpoint": _checkpoint,
    "backup": _backup,
    "recovery": _recovery,
    "proof": _proof,
}


def test_every_object_is_recorded() -> None:
    assert {path.stem for path in OBJECTS.glob("*.txt")} == set(FROZEN)
    kinds = {name.removeprefix("proof-") for name in FROZEN if name.startswith("proof-")}
    assert kinds.issuperset(str(kind) for kind in Kind)


@pytest.mark.parametrize("name", sorted(FROZEN))
def test_a_recorded_object_ends_as_it_says(name: str) -> None:
    head, _, body = (OBJECTS / f"{name}.txt").read_text(encoding="ascii").partition("\n\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    items = [base64.b64decode(line, validate=True) for line in body.split()]
    assert _outcome(fields, items) == fields["expect"]


def _outcome(fields: Fields, items: Items) -> str:
    try:
        found = READERS[fields["format"]](fields, items)
    except (AccessError, InputError, VerificationError, oprf.RefusedError) as error:
        said = fields["expect"].removeprefix("refused: ")
        return f"refused: {said if said in str(error) else error}"
    return f"accept: {found}".removesuffix(": ")
