"""How a match shows the value that was hit: enough to recognise, not enough to expose."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from hub.match.plan import Field, Kind

# What a publisher wrote or a protocol defines, and many events share.
_SHOWN: Final = frozenset(
    {"asn", "ja3", "ja4", "provider_name", "request_model", "capability_focus", "input_tokens"}
    | {"output_tokens", "email_domain", "email_domain_class", "local_part_shape"}
    | {"display_name_shape", "api_key_prefix"}
)
_KEPT: Final = 12
_IDS: Final = frozenset({"account_id", "org_id", "api_key_id", "canary_ids"})
_TOKEN: Final = r"(?s)^([^:]*):(.*):([^:]{1,8})[^:]*$"


def masked(field: Field, value: str) -> str:
    """Mask one value of a field.

    An address keeps its network, a token its kind and key, a hash its beginning, a prompt only its
    length; ids of customers keep four characters, and nothing with an `@` shows either side.
    """
    if field.kind is Kind.ADDRESS:
        return _network(value)
    if field.column == "fp_tokens":
        kind, _, rest = value.partition(":")
        key, _, digest = rest.rpartition(":")
        return f"{kind}:{key}:{digest[:8]}…" if digest else _cut(value, 4)
    if field.column == "prompt":
        return f"({len(value)} characters)" if field.derived is None else _cut(value, 24)
    if field.column == "signup_time":
        return _cut(value[:10] if value[:4].isdigit() else value, _KEPT)
    if field.column == "user_agent":
        return _cut(value.split(" ")[0], _KEPT)
    if field.column in _SHOWN:
        return _cut(value, 80)
    return _cut(value, 4)


def masked_column(field: Field, values: Any) -> Any:
    """Mask the values of a field as `masked` does, many at once (Arrow strings without null)."""
    if field.column == "fp_tokens":
        if pc.all(pc.match_substring_regex(values, _TOKEN)).as_py():
            return pc.replace_substring_regex(values, _TOKEN, r"\1:\2:\3…")
    elif field.column in _IDS and not pc.any(pc.match_substring(values, "@")).as_py():
        cut = pc.utf8_slice_codeunits(values, 0, 4)
        return pc.binary_join_element_wise(cut, pa.scalar("…"), "")
    return pa.array([masked(field, value) for value in values.to_pylist()], pa.string())


def _cut(value: str, length: int) -> str:
    if "@" in value:
        return f"…@… ({len(value)} characters)"
    return value if len(value) <= length and length >= _KEPT else f"{value[:length]}…"


def _network(value: str) -> str:
    """The /24 or /48 of an address in its canonical spelling."""
    if ":" not in value:
        return f"{value.rpartition('.')[0]}.0/24"
    return str(ipaddress.ip_network(f"{value}/48", strict=False))
