"""The vectors that the `cryptography` project ships, and our own primitives.

The published X-Wing vectors of HPKE use ChaCha20-Poly1305 and associated data, those of chunked
encryption SHA-256; our one suite has AES-256-GCM and, in Cobblestone-256, SHA-512. So a second,
plain implementation of each is checked against them here, and then opens what
`hub.channel.primitives` seals, and seals what it opens.
Sources: draft-connolly-cfrg-xwing-kem, RFC 9180 section 5.1, C2SP chunked-encryption.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import zlib
from typing import Any, Final

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from hub.channel.primitives import aead
from hub.channel.primitives.kem import KemPrivate, encrypt
from hub.errors import VerificationError

_XWING: Final = 0x647A
_HKDF_SHA256: Final = 1
_AES_256_GCM: Final = 2
_CHACHA: Final = 3
_XWING_LABEL: Final = bytes.fromhex("5c2e2f2f5e5c")
_MLKEM_CT: Final = 1088
_CHUNK: Final = 16 * 1024


def _vectors(path: str) -> Any:
    with cryptography_vectors.open_vector_file(path, "rb") as file:
        return json.load(file)


HPKE: Final = [
    vector
    for vector in _vectors("HPKE/hpke-pq-test-vectors.json")
    if (vector["kem_id"], vector["kdf_id"]) == (_XWING, _HKDF_SHA256)
]
CHUNKED: Final = [
    vector
    for vector in _vectors("chunked-encryption/vectors.json")["vectors"]
    if vector["aead"] == "AEAD_AES_256_GCM"
]


def _combine(ss_m: bytes, ss_x: bytes, ct_x: bytes, pk_x: bytes) -> bytes:
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + _XWING_LABEL).digest()


def _decapsulate(seed: bytes, enc: bytes) -> bytes:
    mlkem, x25519 = (
        MLKEM768PrivateKey.from_seed_bytes(seed[:64]),
        X25519PrivateKey.from_private_bytes(seed[64:]),
    )
    ct_m, ct_x = enc[:_MLKEM_CT], enc[_MLKEM_CT:]
    shared = x25519.exchange(X25519PublicKey.from_public_bytes(ct_x))
    return _combine(mlkem.decapsulate(ct_m), shared, ct_x, x25519.public_key().public_bytes_raw())


def _encapsulate(public: bytes) -> tuple[bytes, bytes]:
    ss_m, ct_m = MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
    ephemeral = X25519PrivateKey.generate()
    ct_x = ephemeral.public_key().public_bytes_raw()
    ss_x = ephemeral.exchange(X25519PublicKey.from_public_bytes(public[1184:]))
    return _combine(ss_m, ss_x, ct_x, public[1184:]), ct_m + ct_x


def _schedule(shared: bytes, info: bytes, aead_id: int) -> tuple[bytes, bytes]:
    """Key and base nonce in base mode."""
    ids = (_XWING, _HKDF_SHA256, aead_id)
    suite = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in ids)

    def extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt, b"HPKE-v1" + suite + label + ikm, "sha256")

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")

    def expand(label: bytes, length: int) -> bytes:
        text = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
        return HKDFExpand(hashes.SHA256(), length, text).derive(secret)

    return expand(b"key", 32), expand(b"base_nonce", 12)


def test_vectors_are_there() -> None:
    assert len(HPKE) >= 1
    assert {vector["aead_id"] for vector in HPKE} == {_CHACHA}
    assert {vector["expect"] for vector in CHUNKED} > {"success"}


@pytest.mark.parametrize("vector", HPKE, ids=lambda vector: str(vector["suite_id"]))
def test_second_implementation_agrees_with_published_hpke(vector: Any) -> None:
    seed = hashlib.shake_256(bytes.fromhex(vector["skRm"])).digest(96)
    # Our encoding of the composite key is the published one.
    assert KemPrivate.from_seed(seed).public.hex() == vector["pkRm"]
    shared = _decapsulate(seed, bytes.fromhex(vector["enc"]))
    assert shared.hex() == vector["shared_secret"]
    key, nonce = _schedule(shared, bytes.fromhex(vector["info"]), _CHACHA)
    assert (key.hex(), nonce.hex()) == (vector["key"], vector["base_nonce"])
    first = vector["encryptions"][0]
    plain = ChaCha20Poly1305(key).decrypt(
        nonce, bytes.fromhex(first["ct"]), bytes.fromhex(first["aad"])
    )
    assert plain.hex() == first["pt"]


def test_our_wraps_open_in_the_second_implementation() -> None:
    pair, secret = KemPrivate.generate(), secrets.token_bytes(32)
    wrapped = encrypt(secret, pair.public, b"info")
    shared = _decapsulate(pair.to_seed(), wrapped[:1120])
    key, nonce = _schedule(shared, b"info", _AES_256_GCM)
    assert AESGCM(key).decrypt(nonce, wrapped[1120:], b"") == secret


def test_wraps_of_the_second_implementation_open_here() -> None:
    pair, secret = KemPrivate.generate(), secrets.token_bytes(32)
    shared, enc = _encapsulate(pair.public)
    key, nonce = _schedule(shared, b"info", _AES_256_GCM)
    wrapped = enc + AESGCM(key).encrypt(nonce, secret, b"")
    assert pair.decrypt(wrapped, b"info") == secret
    with pytest.raises(VerificationError, match="does not open with this key and context"):
        pair.decrypt(wrapped, b"other")


def _open_chunked(
    key: bytes, context: bytes, sealed: bytes, hash_: hashes.HashAlgorithm
) -> bytes | None:
    """C2SP chunked encryption with AES-256-GCM, read plainly; None if it must not open."""
    salt, commitment, left = sealed[:24], sealed[24:56], sealed[56:]
    if len(key) != 32 or len(sealed) < 56 + 16:
        return None
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + salt + context
    derived = HKDFExpand(hash_, 32 + 12 + 32, info).derive(key)
    if derived[44:] != commitment:
        return None
    cipher, base = AESGCM(derived[:32]), int.from_bytes(derived[32:44], "big")
    plain, size, number = b"", _CHUNK, 0
    while size == _CHUNK:
        chunk, left = left[: _CHUNK + 16], left[_CHUNK + 16 :]
        size = len(chunk) - 16
        try:
            plain += cipher.decrypt((base ^ number).to_bytes(12, "big"), chunk, None)
        except (InvalidTag, ValueError):
            return None
        number += 1
    return None if left else plain


@pytest.mark.parametrize("vector", CHUNKED, ids=lambda vector: str(vector["name"]))
def test_second_implementation_agrees_with_published_chunked_encryption(vector: Any) -> None:
    key, context = bytes.fromhex(vector["key"]), vector["context"].encode()
    sealed = base64.b64decode(vector["ciphertext"] or "")
    if vector.get("compressed"):
        sealed = zlib.decompress(sealed)
    plain = _open_chunked(key, context, sealed, hashes.SHA256())
    if vector["expect"] == "failure":
        assert plain is None
    else:
        assert plain is not None
        assert hashlib.sha256(plain).hexdigest() == vector["payload_sha256"]


@pytest.mark.parametrize("size", [0, 7, _CHUNK - 1, _CHUNK, _CHUNK + 1, 2 * _CHUNK, 100_000])
def test_our_bodies_are_chunked_encryption_with_sha512(size: int) -> None:
    key, plain = secrets.token_bytes(32), secrets.token_bytes(size)
    sealed = aead.seal(key, b"context", plain)
    assert _open_chunked(key, b"context", sealed, hashes.SHA512()) == plain
    for altered in _altered(sealed):
        assert _open_chunked(key, b"context", altered, hashes.SHA512()) is None
        with pytest.raises(VerificationError, match="does not open with this key"):
            aead.open_sealed(key, b"context", altered, most=2**20)


def _altered(sealed: bytes) -> list[bytes]:
    """As the published failures: salt, commitment, chunks and their ends changed."""
    whole = _CHUNK + 16
    places = (0, 24, 56, len(sealed) - 1)
    found = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in places]
    found += [sealed[:-1], sealed + bytes(1), sealed[:56]]
    if len(sealed) > 56 + 2 * whole:
        first, second, rest = sealed[56:][:whole], sealed[56:][whole : 2 * whole], sealed[56:]
        found += [
            sealed[:56] + second + first + rest[2 * whole :],
            sealed[:56] + first + first + rest[2 * whole :],
            sealed[: 56 + whole],
        ]
    return found
