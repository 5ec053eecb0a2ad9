"""Tokens: the formula, its separation by kind and key, and secrecy."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest

from hub.errors import InputError
from hub.fingerprint.normalise import TOKEN_KINDS
from hub.fingerprint.tokens import FingerprintKey, token

KEY = FingerprintKey("0123456789abcdef.2026q4", bytes(range(32)))
OTHER = FingerprintKey("0123456789abcdef.2026q4-2", bytes(32))


def _lp(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def test_the_formula() -> None:
    message = _lp(b"stillwatch/1 token") + _lp(b"email") + _lp(b"a@one.example")
    digest = hmac.new(KEY.secret, message, hashlib.sha256).hexdigest()
    assert token(KEY, "email", "a@one.example") == f"email:0123456789abcdef.2026q4:{digest}"


def test_kind_value_and_key_all_count() -> None:
    made = {
        token(key, kind, value)
        for key in (KEY, OTHER)
        for kind in TOKEN_KINDS
        for value in ("one", "two")
    }
    digests = {item.rpartition(":")[2] for item in made}
    assert len(digests) == 2 * 2 * len(TOKEN_KINDS)
    assert all(re.fullmatch(r"[a-z-]+:[a-z0-9._-]+:[0-9a-f]{64}", item) for item in made)


def test_a_key_does_not_show_its_secret() -> None:
    key = FingerprintKey("0123456789abcdef.2026q4", b"s" * 32)
    assert "sss" not in repr(key)


@pytest.mark.parametrize(
    "key_id", ["", "ab", "Upper.2026q4", "with space", ".dot", "x" * 65, "a:b:c"]
)
def test_key_ids_of_other_forms_are_refused(key_id: str) -> None:
    with pytest.raises(InputError):
        FingerprintKey(key_id, bytes(32))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_secrets_of_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(InputError):
        FingerprintKey("0123456789abcdef.2026q4", bytes(length))


@pytest.mark.parametrize(("kind", "value"), [("passport", "x"), ("email", "")])
def test_a_token_needs_a_kind_and_a_value(kind: str, value: str) -> None:
    with pytest.raises(InputError):
        token(KEY, kind, value)
