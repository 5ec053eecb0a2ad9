"""The `stillwatch` command of a build whose bodies are not encrypted: the search's control."""

from __future__ import annotations

from hub.channel.primitives import aead
from hub.cli.main import main


def _seal(key: bytes, context: bytes, plain: bytes) -> bytes:
    return plain


def _open_sealed(key: bytes, context: bytes, sealed: bytes, *, most: int) -> bytes:
    return sealed


if __name__ == "__main__":
    aead.seal = _seal
    aead.open_sealed = _open_sealed
    main()
