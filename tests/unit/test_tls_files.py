"""What is said of certificates and keys that a server cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from hub.errors import InputError
from hub.tls_files import check_tls_files
from tests.unit.server.city import certificate


def _pair(folder: Path, name: str, locked: bool = False) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    form: KeySerializationEncryption = BestAvailableEncryption(b"x") if locked else NoEncryption()
    chain, secret = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(certificate(key=key).public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, form))
    return chain, secret


def test_a_pair_and_authorities_are_taken(tmp_path: Path) -> None:
    chain, key = _pair(tmp_path, "hub")
    check_tls_files(None, None, None)
    check_tls_files(chain, key, _pair(tmp_path, "ca")[0])


@pytest.mark.parametrize("broken", ["chain", "key", "other key", "locked", "ca", "missing"])
def test_the_file_at_fault_is_named(tmp_path: Path, broken: str) -> None:
    chain, key = _pair(tmp_path, "hub")
    ca = chain
    nothing = tmp_path / "nothing"
    nothing.write_text("nothing of the kind")
    if broken == "chain":
        chain = wrong = nothing
    elif broken == "key":
        key = wrong = nothing
    elif broken == "other key":
        key = wrong = _pair(tmp_path, "other")[1]
    elif broken == "locked":
        chain, key = _pair(tmp_path, "locked", locked=True)
        wrong = key
    elif broken == "ca":
        ca = wrong = nothing
    else:
        ca = wrong = tmp_path / "missing"
    with pytest.raises(InputError) as caught:
        check_tls_files(chain, key, ca)
    assert caught.value.where == str(wrong)
