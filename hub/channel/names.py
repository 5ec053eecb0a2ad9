"""What owners call the members: a note of an owner, so that nobody waits for each to speak.

A manifest holds no names. What an owner says here is its claim, as heard when it compared words; a
member's own identity object goes before it.
Source: schemas/channel-v1.md, "Data and inner binding".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.channel.fields import Fields, is_member
from hub.errors import InputError
from hub.model.codec import Json, canonical, loads_canonical

NAMES_LABEL: Final = "stillwatch:names"
MAX_NAMES: Final = 1_000
MAX_NAME: Final = 256
_MAX_CONTENT: Final = 1024 * 1024


def names_content(names: Mapping[str, str]) -> str:
    """The note's `content`: canonical JSON; names that are none are left out, and those too many.

    Args:
        names: member id to name, the most wanted first.
    """
    fit = {key: name[:MAX_NAME] for key, name in names.items() if name and name.isprintable()}
    return canonical({"names": dict(list(fit.items())[:MAX_NAMES])}).decode()


def is_names(obj: Json) -> bool:
    """Whether an object says what members are called."""
    labels = obj.get("labels")
    return obj.get("type") == "note" and isinstance(labels, list) and NAMES_LABEL in labels


def parse_names(note: Json) -> dict[str, str]:
    """Member id to name.

    Args:
        note: a note with the label of names.
    Raises:
        InputError: its content is not of its form.
    """
    data = str(note.get("content", "")).encode(errors="surrogatepass")
    value = loads_canonical(data, where="names", max_bytes=_MAX_CONTENT)
    rows = Fields(value, "names", ("names",)).raw("names")
    if not isinstance(rows, dict) or len(rows) > MAX_NAMES:
        raise InputError(f"an object of at most {MAX_NAMES} names is expected", where="names")
    if not all(is_member(each) for each in rows):
        raise InputError("member ids are expected", where="names")
    fields = Fields(rows, "names", list(rows))
    return {each: fields.text(each, most=MAX_NAME) for each in rows}
