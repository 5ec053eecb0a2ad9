"""Hashing, signing, wrapping, sealing, secrets at rest."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from hub.channel.primitives import aead, kem, rest
from hub.channel.primitives.hash import Reader, expand, hmac_sha256, label, lp, u64, unhex
from hub.channel.primitives.kem import KemPrivate
from hub.channel.primitives.sign import RootPrivate, SigningPrivate, SigningPublic
from hub.errors import InputError, VerificationError


def hkdf_expand_sha512(secret: bytes, info: bytes) -> bytes:
    """RFC 5869, section 2.3, by hand: one block is enough for 32 bytes."""
    return hmac.digest(secret, info + b"\x01", "sha512")[:32]


def test_expand_is_rfc_5869() -> None:
    assert expand(b"k" * 32, b"info") == hkdf_expand_sha512(b"k" * 32, b"info")
    assert expand(b"k" * 32, b"info") != expand(b"k" * 32, b"infp")


def test_framing() -> None:
    assert lp(b"ab") == b"\x00\x00\x00\x02ab"
    assert u64(1) == bytes(7) + b"\x01"
    assert label("x") == lp(b"stillwatch/1 x")
    assert hmac_sha256(b"k", b"d") == hmac.new(b"k", b"d", hashlib.sha256).digest()


@pytest.mark.parametrize("bad", ["", "AB" * 32, "g" * 64, "ab" * 31])
def test_unhex_takes_one_spelling(bad: str) -> None:
    with pytest.raises(InputError, match="64 lower-case hex"):
        unhex(bad)


def test_a_reader_never_reads_past_the_end() -> None:
    reader = Reader(lp(b"ab") + b"\x00\x00\x00\x09x", "test")
    assert reader.field("first", most=2) == b"ab"
    with pytest.raises(InputError, match="ends inside second"):
        reader.field("second", most=100)
    with pytest.raises(InputError, match="more than 8"):
        reader.field("second", most=8)
    with pytest.raises(InputError, match="ends before"):
        Reader(b"\x00", "test").field("first", most=1)
    with pytest.raises(InputError, match="ends inside"):
        Reader(b"ab", "test").fixed(3, "it")
    with pytest.raises(InputError, match="2 bytes follow"):
        Reader(b"ab", "test").end()
    with pytest.raises(InputError, match="not of this kind"):
        Reader(lp(b"stillwatch/2 card"), "test").label("card")


def test_both_signatures_are_needed() -> None:
    alice, bob = SigningPrivate.generate(), SigningPrivate.generate()
    ours, theirs = alice.sign(b"data"), bob.sign(b"data")
    alice.public.verify(ours, b"data")
    for bad in (ours[:64] + theirs[64:], theirs[:64] + ours[64:]):
        with pytest.raises(VerificationError, match="is not valid"):
            alice.public.verify(bad, b"data")
    with pytest.raises(VerificationError, match="both signatures are required"):
        alice.public.verify(ours[:64], b"data")
    with pytest.raises(VerificationError, match="is not valid"):
        alice.public.verify(ours, b"other")


def test_keys_survive_storage_and_stay_hidden() -> None:
    key, sealed = SigningPrivate.generate(), KemPrivate.generate()
    assert SigningPrivate.from_seed(key.to_seed()).public == key.public
    assert KemPrivate.from_seed(sealed.to_seed()).public == sealed.public
    for text in (repr(key), repr(sealed)):
        assert key.to_seed().hex()[:16] not in text
        assert "seed" not in text
    with pytest.raises(InputError, match="64 bytes"):
        SigningPrivate.from_seed(b"short")
    with pytest.raises(InputError, match="1984 bytes"):
        SigningPublic(b"short")


def test_a_root_key_and_a_signing_key_of_one_seed_have_two_ids() -> None:
    seed = RootPrivate.generate().to_seed()
    assert RootPrivate.from_seed(seed).public.id != SigningPrivate.from_seed(seed).public.id


def test_a_wrap_opens_for_one_key_and_context() -> None:
    alice, bob = KemPrivate.generate(), KemPrivate.generate()
    wrapped = kem.encrypt(b"s" * 32, alice.public, b"info")
    assert len(wrapped) == 1168
    assert alice.decrypt(wrapped, b"info") == b"s" * 32
    for opener, data, info in (
        (bob, wrapped, b"info"),
        (alice, wrapped, b"other"),
        (alice, wrapped[:-1], b"info"),
        (alice, b"", b"info"),
        (alice, bytes(1168), b"info"),
    ):
        with pytest.raises(VerificationError, match="does not open"):
            opener.decrypt(data, info)


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 100_000])
def test_sealed_bodies_have_the_stated_size(size: int) -> None:
    sealed = aead.seal(b"k" * 32, b"context", bytes(size))
    # A 24-byte salt, a 32-byte commitment, and a tag for each chunk of 16 KiB that was begun.
    assert len(sealed) == size + 24 + 32 + 16 * (size // 16384 + 1)
    assert aead.open_sealed(b"k" * 32, b"context", sealed, most=10**6) == bytes(size)


def test_a_sealed_body_opens_under_one_key_and_context() -> None:
    sealed = aead.seal(b"k" * 32, b"context", b"plain" * 10_000)
    for key, context, data in (
        (b"j" * 32, b"context", sealed),
        (b"k" * 32, b"contexu", sealed),
        (b"k" * 32, b"context", sealed[:-1]),
        (b"k" * 32, b"context", sealed[:17_000]),
        (b"k" * 32, b"context", b""),
    ):
        with pytest.raises(VerificationError, match="does not open"):
            aead.open_sealed(key, context, data, most=10**6)
    with pytest.raises(InputError, match="more than 10"):
        aead.open_sealed(b"k" * 32, b"context", sealed, most=10)
    with pytest.raises(InputError, match="32 bytes"):
        aead.seal(b"short", b"context", b"plain")


def test_secrets_at_rest_under_a_key() -> None:
    key = rest.new_key()
    wrapped = rest.wrap_with_key(b"secret", key, context=b"keyring")
    assert rest.unwrap_with_key(wrapped, key, context=b"keyring") == b"secret"
    with pytest.raises(VerificationError, match="does not open"):
        rest.unwrap_with_key(wrapped, rest.new_key(), context=b"keyring")
    with pytest.raises(VerificationError, match="does not open"):
        rest.unwrap_with_key(wrapped, key, context=b"other")
    with pytest.raises(InputError, match="not of this kind"):
        rest.unwrap_with_key(b"junk", key)


def test_secrets_at_rest_under_a_passphrase() -> None:
    # The same letter in two Unicode spellings must open the same file.
    composed, decomposed = "caf\u00e9 9", "cafe\u0301 9"
    wrapped = rest.wrap_with_passphrase(b"secret", composed)
    assert rest.unwrap_with_passphrase(wrapped, decomposed) == b"secret"
    with pytest.raises(VerificationError, match="passphrase is wrong"):
        rest.unwrap_with_passphrase(wrapped, "other")
    with pytest.raises(InputError, match="empty passphrase"):
        rest.wrap_with_passphrase(b"secret", "")


def test_a_hostile_file_does_not_choose_the_cost() -> None:
    head = label("passphrase wrap")
    for memory, passes, lanes in ((2**31, 1, 1), (65536, 2**31, 1), (65536, 1, 0), (8, 1, 4)):
        numbers = b"".join(value.to_bytes(4, "big") for value in (memory, passes, lanes))
        with pytest.raises(InputError, match="unreasonable cost"):
            rest.unwrap_with_passphrase(head + numbers + bytes(16) + bytes(100), "word")
