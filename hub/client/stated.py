"""What a publisher states about its campaigns beyond its indicators, from a JSON file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hub.client import guards
from hub.errors import InputError
from hub.model.codec import loads
from hub.model.fields import DistillationCampaign, decode

_MAX_BYTES: Final = 1024 * 1024


def read_stated(path: Path) -> dict[str, DistillationCampaign]:
    """Read `{"CAMPAIGN": {fields of distillation-campaign}, ...}`.

    Raises:
        InputError: unreadable, a field that the extension does not have, or somebody's identifier.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    stated: dict[str, DistillationCampaign] = {}
    for name, fields in loads(content, where=str(path), max_bytes=_MAX_BYTES).items():
        if not isinstance(fields, dict):
            raise InputError("an object of fields is wanted", where=f"{path.name}: {name}")
        where = f"{path.name}: campaign {len(stated) + 1}"
        for text in (name, *_texts(fields)):
            if fault := guards.free_text(text):
                raise InputError(f"{fault}: liaisons would read it", where=where)
        stated[name] = decode(fields, DistillationCampaign, where=f"{path.name}: {name}")
    return stated


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
