"""Buckets of oblivious tokens: what an indicator says of an identifier beside its tag.

A bucket is a short keyed prefix. Subscribers ask the custodians only about identifiers whose bucket
occurs, so that it decides how many of theirs are asked about.
Source: schemas/channel-v1.md, "Fingerprint keys".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.errors import InputError
from hub.model.codec import Json
from hub.model.extension import INDICATOR_CONTROLS
from hub.model.fields import MAX_BUCKET_BITS, MIN_BUCKET_BITS, IndicatorControls, decode
from hub.model.identifiers import parse_timestamp
from hub.model.selectors import TOKEN_INDICATORS

MARGIN_BITS: Final = 4
"""A bucket is so many bits longer than the number of live tags needs."""

MOST_TAGS: Final = 1 << (MAX_BUCKET_BITS - MARGIN_BITS)
"""More live tags of one kind do not fit under the longest bucket."""

_TOKEN_KIND_OF: Final = {name: kind for kind, name in TOKEN_INDICATORS.items()}


@dataclass(frozen=True, slots=True)
class Bucket:
    """The bucket that an indicator of the oblivious form names.

    Args:
        kind: the kind of token, such as `email`.
        key_id: the fingerprint key.
        bits: length, `MIN_BUCKET_BITS` to `MAX_BUCKET_BITS`.
        number: the first `bits` bits, as an integer.
    Raises:
        InputError: a length or a number out of range.
    """

    kind: str
    key_id: str
    bits: int
    number: int

    def __post_init__(self) -> None:
        if not MIN_BUCKET_BITS <= self.bits <= MAX_BUCKET_BITS or self.number >> self.bits:
            raise InputError("a bucket out of its range", where=self.kind)


def bits_for(tags: int) -> int:
    """The length of the buckets of so many live tags: log2, rounded up, and `MARGIN_BITS`.

    Raises:
        InputError: there are more than `MOST_TAGS`.
    """
    if tags > MOST_TAGS:
        raise InputError(
            f"{tags:,} live oblivious tokens of one kind; buckets bear at most {MOST_TAGS:,}",
            hint="let older ones expire, retract some, or open another channel",
        )
    return max(tags - 1, 0).bit_length() + MARGIN_BITS


def bucket_of(indicator: Json) -> Bucket | None:
    """The bucket of an indicator of the oblivious form; None for every other object.

    What a publisher wrote out of form has no bucket, so that nobody is asked because of it.
    """
    extensions = indicator.get("extensions")
    body = extensions.get(INDICATOR_CONTROLS) if isinstance(extensions, dict) else None
    if not isinstance(body, dict) or body.get("privacy_form") != "oblivious":
        return None
    content = {name: value for name, value in body.items() if name != "extension_type"}
    try:
        found = decode(content, IndicatorControls, where=INDICATOR_CONTROLS, strict=False)
    except InputError:
        return None
    kind = _TOKEN_KIND_OF.get(found.indicator_kind)
    if kind is None or found.key_id is None or found.bucket_bits is None or found.bucket is None:
        return None
    return Bucket(kind, found.key_id, found.bucket_bits, found.bucket)


class Buckets:
    """The buckets of all indicators at hand, to look identifiers up in.

    Args:
        now: an indicator that has expired by then, or was revoked, is not live.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._found: dict[tuple[str, str], dict[int, dict[int, bool]]] = {}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._found)

    def add(self, indicator: Json) -> None:
        """Take the bucket of an indicator, if it has one."""
        place = bucket_of(indicator)
        if place is None or indicator.get("revoked") is True:
            return
        try:
            live = parse_timestamp(str(indicator.get("valid_until"))) > self._now
        except InputError:
            return
        numbers = self._found.setdefault((place.kind, place.key_id), {})
        known = numbers.setdefault(place.bits, {})
        known[place.number] = live or known.get(place.number, False)

    def pairs(self) -> list[tuple[str, str]]:
        """Kind and fingerprint key id of everything that was added, each pair once."""
        return sorted(self._found)

    def live(self, kind: str, key_id: str, number: int) -> bool | None:
        """Whether a live indicator names the bucket of an identifier.

        Args:
            number: the identifier's bucket of `MAX_BUCKET_BITS` bits.
        Returns:
            False where only expired ones do, None where none does.
        """
        found: bool | None = None
        for bits, numbers in self._found.get((kind, key_id), {}).items():
            live = numbers.get(number >> (MAX_BUCKET_BITS - bits))
            if live is not None:
                found = live or bool(found)
        return found
