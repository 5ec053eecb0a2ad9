"""Where the data files that ship with the package lie: schemas and samples.

A wheel carries them inside the package; a checkout has them beside it.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    packaged = _PACKAGE / "_resources" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name


def schemas() -> Path:
    """The folder of JSON Schemas and extension definitions."""
    return _folder("schemas")


def samples() -> Path:
    """The folder of fictional sample data."""
    return _folder("samples")
