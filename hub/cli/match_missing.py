"""Which indicators no source could answer, in words, and what would answer them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hub.match.schema import LAYERS, PATHS

CUSTOMER_COLUMNS: Final = frozenset(
    {"fp_tokens", "email_domain", "local_part_shape", "display_name_shape", "signup_time"}
)
"""What only the customer table fills: no gateway logs it."""
_WORDS: Final = {
    "account_id": "account ids",
    "org_id": "organisation ids",
    "api_key_id": "API key ids",
    "fp_tokens": "keyed tokens",
    "email_domain": "e-mail domains",
    "email_domain_class": "classes of e-mail domains",
    "local_part_shape": "shapes of e-mail names",
    "display_name_shape": "shapes of names",
    "api_key_prefix": "API key prefixes",
    "signup_time": "sign-up times",
    "client_ip": "client addresses",
    "asn": "AS numbers",
    "user_agent": "user agents",
    "ja3": "JA3 hashes",
    "ja4": "JA4 fingerprints",
    "provider_name": "provider names",
    "request_model": "model names",
    "prompt": "prompts",
    "capability_focus": "labels of what is asked for",
    "input_tokens": "input token counts",
    "output_tokens": "output token counts",
    "canary_ids": "canary ids",
}
_WINDOW: Final = "llm-exchange:window."
_COLUMN_OF: Final = {path: column for column, paths in PATHS.items() for path in paths}
_LAYER_OF: Final = {column: layer for layer, columns in LAYERS.items() for column in columns}


def needs(
    unanswerable: Mapping[tuple[str, ...], Sequence[str]],
    *,
    customers: bool,
    keys: bool,
    joined: bool = True,
) -> list[str]:
    """One sentence for each thing that is lacking, the most wanted first.

    Args:
        unanswerable: STIX paths to the indicators that need them.
        customers: whether a customer table was given.
        keys: whether there are fingerprint keys.
        joined: whether the customer table knows a customer of any exchange.
    """
    counts: Counter[tuple[str, str]] = Counter()
    unread, foreign, windows = 0, set[str](), 0
    for paths, ids in unanswerable.items():
        if any(path.startswith(_WINDOW) for path in paths):
            windows += len(ids)
            continue
        columns = list(dict.fromkeys(_COLUMN_OF.get(path, "") for path in paths))
        layers = {_LAYER_OF.get(column, "") for column in columns}
        layer = f"{layers.pop()} " if len(layers) == 1 and "" not in columns else ""
        if "" in columns:
            unread += len(ids)
            foreign.update(path for path in paths if path not in _COLUMN_OF)
        else:
            counts[layer, _lack(columns, customers, keys, joined)] += len(ids)
    said = [
        f"{count:,} {layer}indicator{' needs' if count == 1 else 's need'} {lack}"
        for (layer, lack), count in counts.most_common()
    ]
    if windows:
        said.append(
            f"{windows:,} indicator{' describes' if windows == 1 else 's describe'} what many "
            "accounts do together: run stillwatch cluster over these logs, with the same "
            "indicators"
        )
    if unread:
        first, *others = sorted(foreign)
        more = f" and {len(others)} more (see --json)" if others else ""
        said.append(
            f"{unread:,} indicator{' needs' if unread == 1 else 's need'} what is read of no log: "
            + first
            + more
        )
    return said


def _lack(columns: Sequence[str], customers: bool, keys: bool, joined: bool) -> str:
    if not customers and CUSTOMER_COLUMNS.issuperset(columns):
        return "the customer table: --accounts FILE"
    if not keys and "fp_tokens" in columns:
        return "the channel's fingerprint keys: --home of a member"
    if customers and CUSTOMER_COLUMNS.issuperset(columns):
        if not joined:
            return "a customer table that knows these logs' customers: compare their ids"
        return f"{_named(columns)}, which the customer table lacks"
    return f"{_named(columns)}, which these logs lack"


def _named(columns: Iterable[str]) -> str:
    return " or ".join(_WORDS[column] for column in columns)
