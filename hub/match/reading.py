"""One event as the indexes read it: what `hub.match.columns.Batch` is for many."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.errors import SchemaError
from hub.fingerprint import prompts
from hub.fingerprint.single import Single, single
from hub.match.compare import quad
from hub.match.fields import Field, Kind
from hub.match.forms import EPOCH
from hub.match.schema import STORED_FEATURES
from hub.model.identifiers import timestamp

_WORD: Final = 2**64 - 1
_MAPPED: Final = 0xFFFF
_STORED: Final = {feature: kept.name for feature, kept in STORED_FEATURES.items()}
_MICROSECOND: Final = timedelta(microseconds=1)
_UNREAD: Final[Any] = object()


class Reading:
    """A view of one event; what is derived is derived when it is first asked for.

    Args:
        event: values by TRAFFIC column name; absent and None mean that nothing is shown.

    Attributes:
        time: microseconds since 1970, UTC.
        event_id: the source's own id of the request.

    Raises:
        SchemaError: the event has no time or id; here, or at the first look at a column whose
            value has another type than TRAFFIC_SCHEMA says.
    """

    __slots__ = ("_address", "_bands", "_event", "_features", "_raw", "event_id", "time")

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        moment, identifier = event.get("observed_at"), event.get("event_id")
        if not isinstance(moment, datetime) or moment.tzinfo is None:
            raise SchemaError("every event needs an aware time", where="observed_at")
        if not isinstance(identifier, str):
            raise SchemaError("every event needs an id", where="event_id")
        self.event_id = identifier
        self.time = (moment - EPOCH) // _MICROSECOND
        self._address: Any = _UNREAD
        self._bands: Any = _UNREAD
        self._features: Single | None = None
        self._raw: str | None = None

    def column(self, name: str) -> Any:
        """The value of a column as it came, or None."""
        return self._event.get(name)

    def text(self, field: Field) -> str | None:
        """The text of a TEXT field, derived if it is."""
        if field.derived is None:
            return self._string(field.column)
        kept = self._string(_STORED[field.derived])
        if kept is not None:
            return kept
        prompt = self._string("prompt")
        if prompt is None:
            return None
        if field.derived == "sha256_raw":
            if self._raw is None:
                self._raw = hashlib.sha256(prompt.encode()).hexdigest()
            return self._raw
        found = self._single(prompt)
        return found.sha256_norm if field.derived == "sha256_norm" else found.template_sha256

    def texts(self, column: str) -> list[str]:
        """The texts of a column of lists."""
        value = self._event.get(column)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise SchemaError("is not a list of texts", where=column)
        return [_sound(one, column) for one in value if one is not None]

    def number(self, column: str) -> int | None:
        """The whole number of a column."""
        value = self._event.get(column)
        if value is not None and (type(value) is not int or not -(2**63) <= value < 2**63):
            raise SchemaError("is not a whole number of 64 bits", where=column)
        return value

    def address(self) -> tuple[int, int, int] | None:
        """Family (4 or 6), high and low 64 bits of `client_ip`, IPv4-mapped IPv6 as IPv4."""
        if self._address is _UNREAD:
            written = self._string("client_ip")
            self._address = None if written is None else _parsed(written)
        found: tuple[int, int, int] | None = self._address
        return found

    def bands(self) -> NDArray[np.uint64] | None:
        """The 16 near-duplicate bands of the prompt (zero: none), or None without a prompt."""
        if self._bands is _UNREAD:
            self._bands = self._derived_bands()
        found: NDArray[np.uint64] | None = self._bands
        return found

    def _derived_bands(self) -> NDArray[np.uint64] | None:
        name = _STORED["lsh_bands[*]"]
        kept = self._event.get(name)
        if kept is not None:
            try:
                row = np.asarray(kept, dtype=np.uint64)
            except (TypeError, ValueError, OverflowError) as error:
                raise SchemaError("is not a list of bands", where=name) from error
            if row.shape != (prompts.BANDS,):
                raise SchemaError("is not a list of bands", where=name)
            return row
        prompt = self._string("prompt")
        return None if prompt is None else self._single(prompt).bands

    def values(self, field: Field) -> list[Any]:
        """The values of a field, as an observation would hold them."""
        kind = field.kind
        if kind is Kind.TEXT:
            value = self.text(field)
            return [] if value is None else [value]
        if kind is Kind.TEXTS:
            return list(self.texts(field.column))
        if kind is Kind.NUMBER:
            number = self.number(field.column)
            return [] if number is None else [number]
        if kind is Kind.ADDRESS:
            return self._spelled(field)
        if kind is Kind.BANDS:
            row = self.bands()
            listed = [] if row is None else row.tolist()
            return [prompts.band_text(band, one) for band, one in enumerate(listed) if one]
        moment = self._event.get(field.column)
        if moment is None:
            return []
        if not isinstance(moment, datetime) or moment.tzinfo is None:
            raise SchemaError("is not an aware time", where=field.column)
        return [timestamp(moment)]

    def _spelled(self, field: Field) -> list[str]:
        found = self.address()
        if found is None:
            return []
        family, high, low = found
        if field.object_type == ("ipv6-addr" if family == 4 else "ipv4-addr"):
            return []
        if family == 4:
            return [str(ipaddress.IPv4Address(low))]
        return [str(ipaddress.IPv6Address(high << 64 | low))]

    def _string(self, column: str) -> str | None:
        value = self._event.get(column)
        return None if value is None else _sound(value, column)

    def _single(self, prompt: str) -> Single:
        if self._features is None:
            self._features = single(prompt)
        return self._features


def _sound(value: object, column: str) -> str:
    """The text, with U+FFFD for what no UTF-8 can hold."""
    if not isinstance(value, str):
        raise SchemaError("is not a text", where=column)
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _parsed(written: str) -> tuple[int, int, int] | None:
    low = quad(written)
    if low is not None:
        return 4, 0, low
    if ":" not in written or "%" in written:
        return None
    try:
        bits = int(ipaddress.IPv6Address(written))
    except ValueError:
        return None
    if bits >> 32 == _MAPPED:
        return 4, 0, bits & 0xFFFFFFFF
    return 6, bits >> 64, bits & _WORD
