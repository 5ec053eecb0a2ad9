"""What the hub may import does not reach what decrypts, in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORBIDDEN = (
    "hub.channel.primitives.kem",
    "hub.channel.primitives.aead",
    "hub.channel.primitives.rest",
    "hub.channel.seal",
    "hub.channel.open",
    "hub.channel.epoch",
    "cryptography.cobblestone",
    "cryptography.hazmat.primitives.hpke",
)
FOR_THE_HUB = (
    "verify",
    "header",
    "card",
    "manifest",
    "carriage",
    "invite",
    "primitives.sign",
    "primitives.hash",
)


def loaded(module: str) -> set[str]:
    code = f"import sys, hub.channel.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", FOR_THE_HUB)
def test_the_hubs_modules_reach_no_cipher(module: str) -> None:
    assert loaded(module).isdisjoint(FORBIDDEN)


def test_the_check_would_see_a_cipher() -> None:
    assert loaded("open") > {"hub.channel.primitives.aead", "cryptography.cobblestone"}
