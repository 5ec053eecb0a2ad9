"""The fictional observations that the catalogue's patterns are tried on."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hub.fingerprint import normalise, prompts
from hub.fingerprint.tokens import FingerprintKey, token
from hub.model.bundle import bundle
from hub.model.codec import Json
from hub.model.extension import LLM_ACCOUNT, NET_FINGERPRINT
from hub.model.observables import observable, observed_data

LAB: Final = "identity--1c24573d-e2a8-5200-a2c2-8d6f4d17f06e"
CREATED: Final = datetime(2026, 11, 21, tzinfo=UTC)
T0: Final = datetime(2026, 11, 20, 3, tzinfo=UTC)
KEY: Final = FingerprintKey("circle-a.2026q4", hashlib.sha256(b"sample fingerprint key").digest())
OLD_KEY: Final = FingerprintKey("circle-a.2026q3", hashlib.sha256(b"sample key before").digest())

Seen = list[Json]
"""One `observed-data` and its observables."""


def fp(kind: str, raw: str, key: FingerprintKey = KEY) -> str:
    """The token of a raw identifier under the sample key."""
    return token(key, kind, normalise.of_kind(kind, raw))


def seen(*objects: Json, at: int = 0, lasting: int = 0, times: int = 1) -> Seen:
    """Observables seen together, `at` seconds after 03:00, for `lasting` seconds."""
    start = T0 + timedelta(seconds=at)
    return [
        observed_data(
            objects,
            created_by=LAB,
            created=CREATED,
            first_observed=start,
            last_observed=start + timedelta(seconds=lasting),
            number_observed=times,
        ),
        *objects,
    ]


def case(*observations: Seen) -> Json:
    """Observations as one bundle."""
    return bundle(obj for observation in observations for obj in observation)


def account(user_id: str = "acct-0001", **fields: Any) -> Json:
    """A customer's account."""
    extension = {"extension_type": "property-extension", **fields}
    return observable(
        "user-account",
        user_id=user_id,
        extensions={LLM_ACCOUNT: extension} if fields else None,
    )


def v4(value: str) -> Json:
    """An IPv4 address."""
    return observable("ipv4-addr", value=value)


def v6(value: str) -> Json:
    """An IPv6 address."""
    return observable("ipv6-addr", value=value)


def traffic(
    source: Json, *, agent: str | None = None, port: int = 443, **fields: Any
) -> tuple[Json, Json]:
    """A connection from an address, with that address."""
    extensions: Json = {}
    if fields:
        extensions[NET_FINGERPRINT] = {"extension_type": "property-extension", **fields}
    if agent is not None:
        extensions["http-request-ext"] = {
            "request_method": "post",
            "request_value": "/v1/chat/completions",
            "request_header": {"User-Agent": [agent]},
        }
    return source, observable(
        "network-traffic",
        src_ref=source["id"],
        src_port=49152,
        dst_port=port,
        protocols=["tcp", "tls", "https"],
        extensions=extensions or None,
    )


def exchange(**fields: Any) -> Json:
    """One exchange with the sample lab's service."""
    given = {"provider_name": "example-lab", "operation_name": "chat", **fields}
    return observable("llm-exchange", **given)


def asked(text: str, **more: Any) -> Json:
    """An exchange with this prompt and all that is derived from it."""
    found = prompts.features(text)
    features: Json = {
        "sha256_raw": found.sha256_raw,
        "sha256_norm": found.sha256_norm,
        "template_sha256": found.template_sha256,
        "lsh_profile": prompts.PROFILE,
        "lsh_bands": list(found.lsh_bands),
        "text": text,
        **more,
    }
    return exchange(prompt={name: value for name, value in features.items() if value})


def window(**fields: Any) -> Json:
    """The aggregate of one cluster over an hour."""
    focus = fields.pop("focus", None)
    return exchange(window={"seconds": 3600, **fields}, capability_focus=focus)
