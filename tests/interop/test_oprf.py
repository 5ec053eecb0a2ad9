"""RFC 9497: the published vectors, and `voprf` against a second implementation, both ways."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voprf import ristretto

from hub.errors import InputError, VerificationError
from hub.fingerprint.oblivious import EvaluationKey, blind, check_public_key
from tests.interop import oprf

VECTORS: Final = json.loads(
    (Path(__file__).parents[1] / "vectors" / "oprf" / "rfc9497.json").read_text()
)
MODES: Final = {"oprf": oprf.OPRF, "voprf": oprf.VOPRF}
CASES: Final = [(mode, case) for mode in MODES for case in VECTORS[mode]["vectors"]]
SEED: Final = bytes.fromhex(VECTORS["voprf"]["Seed"])
INFO: Final = bytes.fromhex(VECTORS["voprf"]["KeyInfo"])

P: Final = 2**255 - 19
NOT_ELEMENTS: Final = {
    "identity": bytes(32),
    "beyond the field": P.to_bytes(32, "little"),
    "one beyond the field": (P + 1).to_bytes(32, "little"),
    "all ones": b"\xff" * 32,
    "negative": (1).to_bytes(32, "little"),
    # Of the group of edwards25519, all of small order.
    "order 2": (P - 1).to_bytes(32, "little"),
    "order 8": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    "not a square": (2).to_bytes(32, "little"),
}

DIGEST: Final = "480a4930385cc9be"


def unhex(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


@pytest.mark.parametrize("mode", MODES)
def test_the_second_implementation_derives_the_keys_of_the_rfc(mode: str) -> None:
    stated = VECTORS[mode]
    secret, public = oprf.derive_key(MODES[mode], SEED, INFO)
    assert secret.hex() == stated["skSm"]
    assert public.hex() == stated.get("pkSm", public.hex())


@pytest.mark.parametrize(("mode", "case"), CASES)
def test_the_second_implementation_gives_the_vectors_of_the_rfc(
    mode: str, case: dict[str, Any]
) -> None:
    number = MODES[mode]
    secret, public = oprf.derive_key(number, SEED, INFO)
    blinded, evaluated = [], []
    for message, scalar in zip(unhex(case["Input"]), unhex(case["Blind"]), strict=True):
        blinded.append(oprf.blind(number, message, scalar))
        evaluated.append(oprf.evaluate(secret, blinded[-1]))
    assert [each.hex() for each in blinded] == case["BlindedElement"]
    assert [each.hex() for each in evaluated] == case["EvaluationElement"]
    inputs, scalars = unhex(case["Input"]), unhex(case["Blind"])
    outputs = [oprf.finalize(*each) for each in zip(inputs, scalars, evaluated, strict=True)]
    assert [each.hex() for each in outputs] == case["Output"]
    assert outputs == [oprf.output(number, secret, each) for each in inputs]
    if mode == "voprf":
        scalar = bytes.fromhex(case["ProofRandomScalar"])
        proof = oprf.prove(secret, public, blinded, evaluated, scalar)
        assert proof.hex() == case["Proof"]
        oprf.verify(public, blinded, evaluated, proof)


def test_voprf_derives_the_key_of_the_rfc() -> None:
    assert EvaluationKey(SEED, INFO).public_key.hex() == VECTORS["voprf"]["pkSm"]
    assert EvaluationKey(SEED, b"another use").public_key.hex() != VECTORS["voprf"]["pkSm"]


@pytest.mark.parametrize("case", VECTORS["voprf"]["vectors"])
def test_voprf_evaluates_as_the_rfc(case: dict[str, Any]) -> None:
    key = EvaluationKey(SEED, INFO)
    made = key.evaluate(b"".join(unhex(case["BlindedElement"])))
    assert made.elements.hex() == "".join(case["EvaluationElement"])
    assert [key.output(each).hex() for each in unhex(case["Input"])] == case["Output"]
    # Its proof is random; whoever has only the RFC verifies it all the same.
    oprf.verify(
        key.public_key, unhex(case["BlindedElement"]), unhex(case["EvaluationElement"]), made.proof
    )


@pytest.mark.parametrize("case", VECTORS["voprf"]["vectors"])
def test_voprf_takes_the_proofs_of_the_rfc(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["Proof"]) + b"".join(unhex(case["EvaluationElement"]))
    assert ristretto.VerifiableBatchOutput.deserialize(raw).serialize() == raw


def split(data: bytes) -> list[bytes]:
    return [data[at : at + 32] for at in range(0, len(data), 32)]


@given(
    inputs=st.lists(st.binary(min_size=1, max_size=64), min_size=1, max_size=5),
    seed=st.binary(min_size=32, max_size=32),
    info=st.binary(max_size=40),
)
@settings(max_examples=25, deadline=None)
def test_each_takes_what_the_other_made(inputs: list[bytes], seed: bytes, info: bytes) -> None:
    key = EvaluationKey(seed, info)
    secret, public = oprf.derive_key(oprf.VOPRF, seed, info)
    assert key.public_key == public
    blinding = blind(inputs)
    # voprf's evaluation, our verification.
    made = key.evaluate(blinding.elements)
    oprf.verify(public, split(blinding.elements), split(made.elements), made.proof)
    # Our evaluation, voprf's verification.
    ours = [oprf.evaluate(secret, each) for each in split(blinding.elements)]
    assert b"".join(ours) == made.elements
    scalar = oprf.hash_to_scalar(oprf.VOPRF, seed, b"a random scalar")
    proof = oprf.prove(secret, public, split(blinding.elements), ours, scalar)
    outputs = blinding.finalize(b"".join(ours), proof, public, where="oracle")
    assert outputs == [oprf.output(oprf.VOPRF, secret, each) for each in inputs]
    assert outputs == blinding.finalize(made.elements, made.proof, public, where="voprf")


def test_altered_proofs_and_elements_are_refused_by_both() -> None:
    secret, public = oprf.derive_key(oprf.VOPRF, SEED, INFO)
    blinding = blind([b"one", b"two", b"three"])
    made = EvaluationKey(SEED, INFO).evaluate(blinding.elements)
    other = EvaluationKey(SEED, b"another").evaluate(blinding.elements)
    elements, proof = made.elements, made.proof
    altered = {
        "swapped": (elements[32:64] + elements[:32] + elements[64:], proof),
        "one of another key": (other.elements[:32] + elements[32:], proof),
        "all of another key": (other.elements, other.proof),
        "challenge": (elements, oprf.scalar_one_more(proof[:32]) + proof[32:]),
        "answer": (elements, proof[:32] + oprf.scalar_one_more(proof[32:])),
        "none evaluated": (blinding.elements, proof),
    }
    for name, (left, right) in altered.items():
        with pytest.raises(oprf.RefusedError):
            oprf.verify(public, split(blinding.elements), split(left), right)
        with pytest.raises(VerificationError, match=r"custody-a: .*stated key"):
            blinding.finalize(left, right, public, where="custody-a")
        assert name
    assert blinding.finalize(elements, proof, public, where="custody-a"), "still of use"
    assert secret not in elements


def test_every_flipped_bit_of_an_evaluation_is_refused() -> None:
    blinding = blind([b"one"])
    key = EvaluationKey(SEED, INFO)
    made = key.evaluate(blinding.elements)
    whole = made.elements + made.proof
    for bit in range(0, len(whole) * 8, 7):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VerificationError):
            blinding.finalize(bytes(flipped[:32]), bytes(flipped[32:]), key.public_key, where="x")
    blinding.finalize(made.elements, made.proof, key.public_key, where="x")


@pytest.mark.parametrize("name", NOT_ELEMENTS)
def test_what_is_no_element_is_refused_everywhere(name: str) -> None:
    raw = NOT_ELEMENTS[name]
    key = EvaluationKey(SEED, INFO)
    blinding = blind([b"one", b"two"])
    made = key.evaluate(blinding.elements)
    with pytest.raises(oprf.RefusedError):
        oprf.checked(raw)
    with pytest.raises(VerificationError, match="canonical element"):
        check_public_key(raw, "custody-a")
    with pytest.raises(VerificationError, match=r"elements\[1\]: .*canonical element"):
        key.evaluate(blinding.elements[:32] + raw)
    with pytest.raises(VerificationError, match="stated key"):
        blinding.finalize(made.elements[:32] + raw, made.proof, key.public_key, where="custody-a")
    with pytest.raises(VerificationError):
        blinding.finalize(made.elements, made.proof, raw, where="custody-a")


def test_lengths_and_counts_are_bounded() -> None:
    key = EvaluationKey(SEED, INFO)
    blinding = blind([b"one"])
    for elements in (b"", blinding.elements[:-1], blinding.elements * 4_097):
        with pytest.raises(InputError):
            key.evaluate(elements)
    made = key.evaluate(blinding.elements)
    for left, right in ((b"", made.proof), (made.elements * 2, made.proof), (made.elements, b"")):
        with pytest.raises(InputError):
            blinding.finalize(left, right, key.public_key, where="x")
    for inputs in ([], [b""], [b"x" * 65_536], [b"x"] * 4_097):
        with pytest.raises(InputError):
            blind(inputs)
    with pytest.raises(InputError):
        EvaluationKey(b"short", INFO)
    with pytest.raises(InputError):
        EvaluationKey(SEED, bytes(65_536))
    with pytest.raises(InputError):
        key.output(bytes(65_536))


def test_the_vectors_are_the_published_ones() -> None:
    """Numbers copied by hand are checked once more as a whole."""
    digest = hashlib.sha256(json.dumps(VECTORS, sort_keys=True).encode()).hexdigest()
    assert len(CASES) == 5
    assert digest.startswith(DIGEST)
