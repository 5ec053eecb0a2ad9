"""Our vectors of oblivious tokens: made again, and once more from the specification alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from typing import Any, Final

import pytest

from hub.errors import InputError
from hub.fingerprint.oblivious import bucket, oblivious_token, token_input
from hub.fingerprint.tokens import FingerprintKey
from tests.interop import oprf
from tests.vectors.oprf import generate

STATED: Final = json.loads(generate.FILE.read_text())
SECRET: Final = bytes.fromhex(STATED["fingerprint_key"]["secret"])


def lp(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def label(name: str) -> bytes:
    return lp(f"stillwatch/1 {name}".encode())


def test_the_file_is_what_its_generator_writes() -> None:
    assert generate.FILE.read_text() == generate.content()


@pytest.mark.parametrize("row", STATED["tokens"], ids=lambda row: row["kind"])
def test_a_second_implementation_makes_the_same_tokens(row: dict[str, Any]) -> None:
    key_id = STATED["fingerprint_key"]["id"]
    info = label("custodian key") + lp(bytes.fromhex(STATED["channel"])) + lp(key_id.encode())
    assert info.hex() == STATED["info"]
    place = lp(row["kind"].encode()) + lp(row["value"].encode())
    data = label("token") + place
    assert data.hex() == row["input"]
    outputs = []
    for custodian in STATED["custodians"]:
        secret, public = oprf.derive_key(oprf.VOPRF, bytes.fromhex(custodian["seed"]), info)
        assert public.hex() == custodian["public_key"]
        outputs.append(oprf.output(oprf.VOPRF, secret, data))
    assert [each.hex() for each in outputs] == row["outputs"]
    text = label("oblivious token") + b"".join(lp(each) for each in outputs)
    tag = hmac.digest(SECRET, text, "sha256").hex()
    assert row["token"] == f"{row['kind']}:{key_id}:{tag}"
    prefix = hmac.digest(SECRET, label("token bucket") + place + b"\1", hashlib.sha512)
    bits = int.from_bytes(prefix, "big") >> 512 - 20
    assert (row["bucket_20"], row["bucket_5"]) == (bits, bits >> 15)
    assert row["token"] != row["keyed_token"]


def test_what_is_no_value_has_no_token() -> None:
    key = FingerprintKey(STATED["fingerprint_key"]["id"], SECRET)
    for kind, value in (("shoe-size", "44"), ("email", ""), ("name", "x" * 65_536)):
        with pytest.raises(InputError):
            token_input(kind, value)
    for kind, value, bits in (("shoe-size", "44", 8), ("email", "", 8), ("email", "x", 0)):
        with pytest.raises(InputError):
            bucket(key, kind, value, bits)
    with pytest.raises(InputError):
        bucket(key, "email", "x", 21)
    for kind, size in (("shoe-size", 64), ("email", 63)):
        with pytest.raises(InputError):
            oblivious_token(key, kind, bytes(size), bytes(64))
