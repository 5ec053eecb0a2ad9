"""The two tables that matching stands between: traffic in, matches out.

Both are final: log readers, the event store and every report are written against these names.
A null in TRAFFIC means "this source cannot show it", never "empty".
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from hub.model.extension import LLM_ACCOUNT, NET_FINGERPRINT

_TIME: Final = pa.timestamp("us", tz="UTC")
_STRINGS: Final = pa.list_(pa.string())

TRAFFIC_SCHEMA: Final = pa.schema(
    [
        pa.field("observed_at", _TIME, nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("account_id", pa.string()),
        pa.field("org_id", pa.string()),
        pa.field("api_key_id", pa.string()),
        pa.field("fp_tokens", _STRINGS),
        pa.field("email_domain", pa.string()),
        pa.field("email_domain_class", pa.string()),
        pa.field("local_part_shape", pa.string()),
        pa.field("display_name_shape", pa.string()),
        pa.field("api_key_prefix", pa.string()),
        pa.field("signup_time", _TIME),
        pa.field("client_ip", pa.string()),
        pa.field("asn", pa.int64()),
        pa.field("user_agent", pa.string()),
        pa.field("ja3", pa.string()),
        pa.field("ja4", pa.string()),
        pa.field("provider_name", pa.string()),
        pa.field("request_model", pa.string()),
        pa.field("prompt", pa.large_string()),
        pa.field("capability_focus", _STRINGS),
        pa.field("input_tokens", pa.int64()),
        pa.field("output_tokens", pa.int64()),
        pa.field("canary_ids", _STRINGS),
    ]
)
"""One row per exchange; `observed_at` in UTC microseconds; `event_id` is the source's own request
id, else `file:row`."""

STORED_FEATURES: Final[dict[str, pa.Field]] = {
    "sha256_raw": pa.field("prompt_sha256_raw", pa.string()),
    "sha256_norm": pa.field("prompt_sha256_norm", pa.string()),
    "template_sha256": pa.field("prompt_template_sha256", pa.string()),
    "lsh_bands[*]": pa.field("prompt_bands", pa.list_(pa.uint64(), 16)),
}
"""Features of a prompt that an event store may hold in columns of their own, in its stead: the last
step of the STIX path to the column. Bands: 16 values a prompt, all zero if it has none."""

MATCH_SCHEMA: Final = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("observed_at", _TIME, nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("indicator_id", pa.string(), nullable=False),
        pa.field("indicator_modified", _TIME, nullable=False),
        pa.field("layer", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("account_id", pa.string()),
        pa.field("campaign_ids", _STRINGS, nullable=False),
        pa.field("confidence", pa.int64()),
        pa.field("publisher", pa.string()),
        pa.field("marking", pa.string()),
    ]
)
"""One row per (event, indicator); `value` is masked unless the operator asks; `publisher` is the
STIX identity id of the indicator's author; `marking` the TLP 2.0 label, such as `TLP:AMBER`."""

_EA: Final = f"user-account:extensions.'{LLM_ACCOUNT}'."
_EN: Final = f"network-traffic:extensions.'{NET_FINGERPRINT}'."

_PATHS: Final[dict[str, tuple[str, ...]]] = {
    "account_id": ("user-account:user_id",),
    "org_id": (f"{_EA}org_id",),
    "api_key_id": (f"{_EA}api_key_id",),
    "fp_tokens": (f"{_EA}fp_tokens[*]",),
    "email_domain": (f"{_EA}email_domain",),
    "email_domain_class": (f"{_EA}email_domain_class",),
    "local_part_shape": (f"{_EA}local_part_shape",),
    "display_name_shape": (f"{_EA}display_name_shape",),
    "api_key_prefix": (f"{_EA}api_key_prefix",),
    "signup_time": (f"{_EA}signup_time",),
    "client_ip": ("ipv4-addr:value", "ipv6-addr:value", "network-traffic:src_ref.value"),
    "asn": ("network-traffic:src_ref.belongs_to_refs[*].number",),
    # STIX 2.1 holds header values in lists; patterns that predate it leave out the `[*]`.
    "user_agent": (
        "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'",
        "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'[*]",
    ),
    "ja3": (f"{_EN}ja3",),
    "ja4": (f"{_EN}ja4",),
    "provider_name": ("llm-exchange:provider_name",),
    "request_model": ("llm-exchange:request_model",),
    "prompt": (
        "llm-exchange:prompt.text",
        "llm-exchange:prompt.sha256_raw",
        "llm-exchange:prompt.sha256_norm",
        "llm-exchange:prompt.template_sha256",
        "llm-exchange:prompt.lsh_bands[*]",
    ),
    "capability_focus": ("llm-exchange:capability_focus[*]",),
    "input_tokens": ("llm-exchange:usage_input_tokens",),
    "output_tokens": ("llm-exchange:usage_output_tokens",),
    "canary_ids": ("llm-exchange:output.canary_ids[*]",),
}


def _seen_from_exchange(path: str) -> str:
    """An account's property, as a pattern reaches it from the exchange that the account made."""
    return path.replace("user-account:", "llm-exchange:account_ref.")


PATHS: Final[dict[str, tuple[str, ...]]] = {
    column: (*paths, *map(_seen_from_exchange, paths)) if "account:" in paths[0] else paths
    for column, paths in _PATHS.items()
}
"""Each TRAFFIC column and the STIX object paths that it answers."""

LAYERS: Final[dict[str, tuple[str, ...]]] = {
    "account": (
        "account_id",
        "org_id",
        "api_key_id",
        "fp_tokens",
        "email_domain",
        "email_domain_class",
        "local_part_shape",
        "display_name_shape",
        "api_key_prefix",
        "signup_time",
    ),
    "network": ("client_ip", "asn", "user_agent", "ja3", "ja4"),
    "prompt": ("prompt", "capability_focus"),
    "output": ("canary_ids",),
    "behaviour": ("provider_name", "request_model", "input_tokens", "output_tokens"),
}
"""Which columns show which layer; a source shows a layer when it has any of its columns."""
