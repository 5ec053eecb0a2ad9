"""Receipts: a member says that it dropped what its publisher withdrew.

A receipt is a note with the label `stillwatch:receipt`. Its `object_refs` are what its sender
dropped; its `content` names the messages that withdrew them. It speaks for its sender alone.
Source: schemas/channel-v1.md, "Receipts".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hub.channel.fields import Fields
from hub.errors import InputError
from hub.model.codec import Json, canonical, loads_canonical

RECEIPT_LABEL: Final = "stillwatch:receipt"
MAX_DIGESTS: Final = 1_000
_MAX_CONTENT: Final = 256 * 1024


@dataclass(frozen=True)
class Receipt:
    """What a receipt says.

    Args:
        digests: of the messages that withdrew the objects, ascending, at least one.
        purged: when the last of the objects was dropped, seconds UTC.
    """

    digests: tuple[str, ...]
    purged: int

    def content(self) -> str:
        """The note's `content`: canonical JSON."""
        return canonical({"digests": sorted(self.digests), "purged": self.purged}).decode()


def is_receipt(obj: Json) -> bool:
    """Whether an object is a receipt."""
    labels = obj.get("labels")
    return obj.get("type") == "note" and isinstance(labels, list) and RECEIPT_LABEL in labels


def parse_receipt(note: Json) -> Receipt:
    """Read a receipt.

    Args:
        note: a note with the label of receipts.
    Raises:
        InputError: its content is not of its form.
    """
    data = str(note.get("content", "")).encode(errors="surrogatepass")
    value = loads_canonical(data, where="receipt", max_bytes=_MAX_CONTENT)
    fields = Fields(value, "receipt", ("digests", "purged"))
    digests = fields.hashes("digests", most=MAX_DIGESTS)
    if not digests:
        raise InputError("at least one digest is expected", where=fields.at("digests"))
    return Receipt(digests, fields.time("purged"))
