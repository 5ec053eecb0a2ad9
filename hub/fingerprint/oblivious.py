"""Oblivious tokens: what two members can compare, and nobody can enumerate alone.

A value is blinded once; two custodians evaluate the blinded element under keys of their own and
prove it; both outputs are combined under the channel's fingerprint key. So whoever holds the
fingerprint key still has to ask both custodians for every guess, under a quota.
Knows nothing of channels, members or transport: bytes in, bytes out.
Source: RFC 9497, ristretto255-SHA512 in verifiable mode; schemas/channel-v1.md, "Oblivious tokens".
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from voprf import ristretto

from hub.errors import InputError, VerificationError
from hub.fingerprint import normalise
from hub.fingerprint.tokens import FingerprintKey

ELEMENT_SIZE: Final = 32
"""Length of an element of the group and of a public key."""
PROOF_SIZE: Final = 64
OUTPUT_SIZE: Final = 64
SEED_SIZE: Final = 32
MAX_BATCH: Final = 4_096
"""Most elements that one proof is made for."""
MAX_BUCKET_BITS: Final = 20
_MAX_INPUT: Final = 65_535


def _lp(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _label(name: str) -> bytes:
    return _lp(b"stillwatch/1 " + name.encode("ascii"))


def token_input(kind: str, normalised: str) -> bytes:
    """What is blinded: `L("token") ‖ lp(kind) ‖ lp(value)`, the same as is hashed in keyed tokens.

    Args:
        kind: one of `normalise.TOKEN_KINDS`.
        normalised: what `normalise.of_kind(kind, raw)` returned.
    Raises:
        InputError: an unknown kind, an empty value, or one beyond 65,535 bytes.
    """
    if kind not in normalise.TOKEN_KINDS:
        raise InputError("not a kind of token", where="kind")
    if not normalised:
        raise InputError("an empty value has no token", where=kind)
    data = _label("token") + _lp(kind.encode()) + _lp(normalised.encode())
    if len(data) > _MAX_INPUT:
        raise InputError("the value is too long for an oblivious token", where=kind)
    return data


class Blinding:
    """A batch of blinded inputs and the secrets that take the blinding off; made by `blind`.

    One blinding serves both custodians: `finalize` may be called once for each.

    Args:
        clients: the blinding of each input.
        elements: the blinded elements, 32 bytes each, in the order of the inputs.
    """

    def __init__(self, clients: Sequence[ristretto.Client], elements: bytes) -> None:
        self._clients = clients
        self.elements = elements

    def __len__(self) -> int:
        """How many inputs."""
        return len(self._clients)

    def finalize(
        self, evaluated: bytes, proof: bytes, public_key: bytes, *, where: str
    ) -> list[bytes]:
        """Verify a custodian's evaluation and take off the blinding.

        Args:
            evaluated: 32 bytes for each input, in their order.
            proof: 64 bytes, for the whole batch.
            public_key: 32 bytes, as the owners stated it.
            where: the custodian, for errors.
        Returns:
            The PRF's output for each input, 64 bytes each.
        Raises:
            InputError: a length is wrong.
            VerificationError: the custodian used another key, or something was altered.
        """
        if len(evaluated) != ELEMENT_SIZE * len(self) or len(proof) != PROOF_SIZE:
            raise InputError(f"an evaluation of {len(self)} elements is expected", where=where)
        check_public_key(public_key, where)
        try:
            key = ristretto.PublicKey.deserialize(public_key)
            output = ristretto.VerifiableBatchOutput.deserialize(proof + evaluated)
            return ristretto.Client.finalize_batch(self._clients, output, key)
        except ValueError:
            raise _not_proven(where) from None
        except BaseException as error:
            # voprf 0.2 panics on a batch proof that does not hold; PyO3's exception for a panic
            # is no `Exception` and has no name to import.
            if type(error).__name__ != "PanicException":
                raise
            raise _not_proven(where) from None


def _not_proven(where: str) -> VerificationError:
    return VerificationError(
        "the evaluation was not made with the custodian's stated key, or was altered",
        where=where,
        hint="use none of it; tell the channel's owners and the custodian's operator",
    )


def blind(inputs: Sequence[bytes]) -> Blinding:
    """Blind a batch.

    Args:
        inputs: from `token_input`, at most 4,096.
    Raises:
        InputError: none, too many, or one that is empty or too long.
    """
    if not 1 <= len(inputs) <= MAX_BATCH:
        raise InputError(f"1 to {MAX_BATCH} values make a batch", where="blind")
    if not all(1 <= len(data) <= _MAX_INPUT for data in inputs):
        raise InputError(f"an input has 1 to {_MAX_INPUT} bytes", where="blind")
    pairs = [ristretto.Client.blind(data) for data in inputs]
    return Blinding([client for client, _ in pairs], b"".join(e.serialize() for _, e in pairs))


@dataclass(frozen=True)
class Evaluation:
    """What a custodian answers.

    Args:
        elements: evaluated elements, 32 bytes each, in the order of the blinded ones.
        proof: 64 bytes for all of them.
    """

    elements: bytes
    proof: bytes


class EvaluationKey:
    """A custodian's private key, derived from a seed (RFC 9497, DeriveKeyPair).

    Args:
        seed: 32 random bytes.
        info: binds the key to its use; public.
    Raises:
        InputError: the seed has another length.
    """

    def __init__(self, seed: bytes, info: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise InputError(f"a seed has {SEED_SIZE} bytes, not {len(seed)}", where="seed")
        try:
            self._evaluator = ristretto.Evaluator.from_seed(seed, info)
        except ValueError:
            raise InputError("no key can be derived from this seed", where="seed") from None

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        return self._evaluator.public_key.serialize()

    def evaluate(self, elements: bytes) -> Evaluation:
        """Evaluate a batch of blinded elements and prove it.

        Args:
            elements: 32 bytes each, at most 4,096.
        Raises:
            InputError: none, too many, or not whole.
            VerificationError: one is the identity, or no canonical encoding of the group.
        """
        blinded = _parse_elements(elements)
        # The library writes the proof first.
        raw = self._evaluator.evaluate_batch(blinded).serialize()
        return Evaluation(raw[PROOF_SIZE:], raw[:PROOF_SIZE])

    def output(self, data: bytes) -> bytes:
        """The PRF's output for an input in clear, 64 bytes: for checks.

        Raises:
            InputError: the input is too long.
        """
        try:
            return self._evaluator.evaluate_known_input(data)
        except ValueError:
            raise InputError("the input has no output", where="input") from None


def _parse_elements(elements: bytes) -> list[ristretto.BlindedInput]:
    count, rest = divmod(len(elements), ELEMENT_SIZE)
    if rest or not 1 <= count <= MAX_BATCH:
        raise InputError(f"1 to {MAX_BATCH} elements are expected", where="elements")
    found = []
    for at in range(0, len(elements), ELEMENT_SIZE):
        try:
            found.append(ristretto.BlindedInput.deserialize(elements[at : at + ELEMENT_SIZE]))
        except ValueError:
            raise VerificationError(
                "is the identity, or not a canonical element of ristretto255",
                where=f"elements[{at // ELEMENT_SIZE}]",
            ) from None
    return found


def check_public_key(public_key: bytes, where: str) -> None:
    """Refuse what is no public key of a custodian.

    Raises:
        InputError: the length is wrong.
        VerificationError: the identity, or no canonical element of ristretto255.
    """
    if len(public_key) != ELEMENT_SIZE:
        raise InputError(f"a custodian's key has {ELEMENT_SIZE} bytes", where=where)
    try:
        ristretto.PublicKey.deserialize(public_key)
    except ValueError:
        raise VerificationError(
            "a custodian's key is the identity, or not a canonical element", where=where
        ) from None


def oblivious_token(key: FingerprintKey, kind: str, first: bytes, second: bytes) -> str:
    """The token of a value from both custodians' outputs.

    `HMAC-SHA256(FK, L("oblivious token") ‖ lp(y1) ‖ lp(y2))`; the kind is inside the outputs.

    Args:
        key: the fingerprint key that the custodians serve.
        kind: one of `normalise.TOKEN_KINDS`.
        first: output of the custodian whose id is the lesser, 64 bytes.
        second: output of the other.
    Returns:
        `kind:key_id:<64 lower-case hex digits>`.
    Raises:
        InputError: an unknown kind, or a wrong length.
    """
    if kind not in normalise.TOKEN_KINDS:
        raise InputError("not a kind of token", where="kind")
    if len(first) != OUTPUT_SIZE or len(second) != OUTPUT_SIZE:
        raise InputError(f"an output has {OUTPUT_SIZE} bytes", where=kind)
    data = _label("oblivious token") + _lp(first) + _lp(second)
    return f"{kind}:{key.key_id}:{hmac.digest(key.secret, data, 'sha256').hex()}"


def bucket(key: FingerprintKey, kind: str, normalised: str, bits: int) -> int:
    """The bucket of a value: the first bits of a keyed hash that needs no custodian.

    `Expand(FK, L("token bucket") ‖ lp(kind) ‖ lp(value))`, of which the leading bits, as an
    unsigned integer.

    Args:
        key: the channel's fingerprint key.
        kind: one of `normalise.TOKEN_KINDS`.
        normalised: what `normalise.of_kind(kind, raw)` returned.
        bits: 1 to 20.
    Raises:
        InputError: an unknown kind, an empty value, or too many bits.
    """
    if not 1 <= bits <= MAX_BUCKET_BITS:
        raise InputError(f"a bucket has 1 to {MAX_BUCKET_BITS} bits", where="bits")
    if kind not in normalise.TOKEN_KINDS or not normalised:
        raise InputError("a kind of token and a value are expected", where="kind")
    info = _label("token bucket") + _lp(kind.encode()) + _lp(normalised.encode())
    # HKDF-Expand-SHA512 (RFC 5869) to at most 64 bytes is one HMAC.
    first = hmac.digest(key.secret, info + b"\x01", "sha512")
    return int.from_bytes(first[:4], "big") >> (32 - bits)
