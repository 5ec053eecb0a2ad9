"""The typed fields of the six extensions, each agreeing with its JSON Schema in `schemas/`.

All fields but a few are optional: None means absent, never null. `decode` accepts exactly what
the schema accepts; `encode` is its inverse.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from hub.errors import InputError
from hub.model.codec import Json
from hub.model.identifiers import parse_timestamp

# STIX timestamps (section 2.16); a moment that does not exist is refused by `decode` as well.
_TIME: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?Z\Z"
)
_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z"

Text = Annotated[str, Meta(min_length=1)]
Texts = Annotated[list[Text], Meta(min_length=1)]
Timestamp = Annotated[str, Meta(pattern=_TIME)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
NonNegative = Annotated[float, Meta(ge=0)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
KeyId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{2,63}\Z")]
Token = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9-]*:[a-z0-9][a-z0-9._-]{2,63}:[0-9a-f]{32,128}\Z")
]
Tokens = Annotated[list[Token], Meta(min_length=1)]
Band = Annotated[str, Meta(pattern=r"^[a-z0-9]+(\.[a-z0-9]+)+:[0-9]{2}:[0-9a-f]{16}\Z")]
Bands = Annotated[list[Band], Meta(min_length=1)]

MIN_BUCKET_BITS: Final = 4
MAX_BUCKET_BITS: Final = 20
"""Bounds of the keyed prefix of an oblivious token (channel-v1, "Fingerprint keys")."""

Capability = Literal[
    "agentic-reasoning",
    "tool-use",
    "coding",
    "data-analysis",
    "rubric-grading",
    "chain-of-thought",
    "computer-vision",
    "computer-use",
    "safety-rewriting",
    "multilingual",
    "other",
]
"""What a distiller asks a model for, in bulk."""
Capabilities = Annotated[list[Capability], Meta(min_length=1)]
Layer = Literal["account", "network", "prompt", "behaviour", "output"]
PrivacyForm = Literal["plain", "sha256", "hmac", "oblivious", "lsh", "aggregate", "model"]
Action = Literal["log", "alert", "challenge", "rate-limit", "block", "suspend"]
"""The harshest automatic answer that a publisher thinks proportionate, mildest first."""
EmailDomainClass = Literal[
    "disposable",
    "free-webmail",
    "education",
    "corporate",
    "newly-registered",
    "alias-forwarder",
    "unknown",
]


class _Fields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the extensions have in common: named fields, absent when None."""


class KeyedFingerprint(_Fields, frozen=True):
    """One keyed fingerprint with its provenance; the key is never part of an object."""

    alg: Literal["hmac-sha256", "oprf-ristretto255-sha512"]
    key_id: KeyId
    value: Annotated[str, Meta(pattern=r"^[0-9a-f]{32,128}\Z")]
    kind: (
        Literal[
            "email",
            "email-local-pattern",
            "phone",
            "payment-instrument",
            "payment-bin-last4",
            "device",
            "api-key",
            "org",
            "name",
            "recovery-contact",
        ]
        | None
    ) = None
    norm: Text | None = None


class LlmAccount(_Fields, frozen=True):
    """On `user-account`: identifiers at the provider, keyed tokens, registration facts."""

    org_id: Text | None = None
    api_key_id: Text | None = None
    fingerprints: Annotated[list[KeyedFingerprint], Meta(min_length=1)] | None = None
    fp_tokens: Tokens | None = None
    email_domain: Text | None = None
    email_domain_class: EmailDomainClass | None = None
    local_part_shape: Text | None = None
    display_name_shape: Text | None = None
    api_key_prefix: Annotated[str, Meta(min_length=1, max_length=12)] | None = None
    org_token: Text | None = None
    tenant: Text | None = None
    signup_time: Timestamp | None = None
    signup_batch_id: Text | None = None
    verification_path: (
        Literal["none", "education", "security-research", "startup", "enterprise", "reseller"]
        | None
    ) = None
    reseller_of: Text | None = None
    status: Literal["active", "suspended", "banned", "unknown"] | None = None


class NetFingerprint(_Fields, frozen=True):
    """On `network-traffic` and addresses: how a client's stack looks, and where it comes from."""

    ja3: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")] | None = None
    ja4: (
        Annotated[
            str,
            Meta(
                pattern=r"^[tqd](1[0-3]|s[23]|d[1-3]|00)[di][0-9]{4}[0-9a-z]{2}"
                r"_[0-9a-f]{12}_[0-9a-f]{12}\Z"
            ),
        ]
        | None
    ) = None
    ja4h: Text | None = None
    ja4x: Text | None = None
    ja4t: Text | None = None
    http2_fingerprint: Text | None = None
    header_order_sha256: Sha256 | None = None
    user_agent: Text | None = None
    asn: Annotated[int, Meta(ge=0, le=2**32 - 1)] | None = None
    egress_class: (
        Literal[
            "residential-proxy",
            "mobile-proxy",
            "datacenter",
            "vpn",
            "tor",
            "cdn",
            "cloud-function",
            "llm-gateway",
            "corporate",
            "unknown",
        ]
        | None
    ) = None
    gateway_software: Text | None = None


class CountRange(_Fields, frozen=True):
    """A count given as bounds, both included, so that scale can be told without the figure."""

    low: Count
    high: Count
    method: Text | None = None

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise InputError("low must not exceed high", where="low")

    @classmethod
    def around(cls, count: int, *, method: str | None = None) -> CountRange:
        """The bounds of the series 0, 1, 2, 5, 10, 20, 50, … between which `count` lies.

        Raises:
            InputError: `count` is negative.
        """
        if count < 0:
            raise InputError("a count cannot be negative", where="count")
        if count == 0:
            return cls(low=0, high=0, method=method)
        steps = (1, 2, 5, 10)
        scale = 10 ** (len(str(count)) - 1)
        low = max(step * scale for step in steps if step * scale <= count)
        high = min(step * scale for step in steps if step * scale >= count)
        return cls(low=low, high=high, method=method)


Basis = Literal[
    "ip-correlation",
    "request-metadata",
    "infrastructure",
    "payment",
    "public-profile-match",
    "partner-corroboration",
    "roadmap-timing",
    "admission",
    "legal-process",
]


class Attribution(_Fields, frozen=True):
    """Who is thought to be behind a campaign, how surely, and on what grounds."""

    level: Literal["unattributed", "suspected", "likely", "highly-likely", "confirmed"]
    basis: Annotated[list[Basis], Meta(min_length=1)]
    independent_sources: Count | None = None
    dissent: Text | None = None


class DistillationCampaign(_Fields, frozen=True):
    """On `campaign` and `infrastructure`: scale as ranges, targets, role in the cluster."""

    account_count: CountRange | None = None
    exchange_count: CountRange | None = None
    api_key_count: CountRange | None = None
    output_token_count: CountRange | None = None
    indicator_count: CountRange | None = None
    targeted_models: Texts | None = None
    targeted_capabilities: Capabilities | None = None
    cluster_role: (
        Literal[
            "operator",
            "reseller",
            "aggregator",
            "account-farm",
            "egress",
            "control-panel",
            "payment",
            "beneficiary",
        ]
        | None
    ) = None
    release_pivot_hours: NonNegative | None = None
    mixed_benign_traffic: bool | None = None
    attribution: Attribution | None = None


class Decay(_Fields, frozen=True):
    """How an indicator's confidence fades without new sightings."""

    model: Literal["polynomial", "exponential", "none"]
    lifetime_days: Annotated[float, Meta(gt=0)]
    speed: Annotated[float, Meta(gt=0)] | None = None
    floor: NonNegative | None = None


class IndicatorControls(_Fields, frozen=True):
    """On `indicator`: how to match beyond the pattern, how private, how far to act."""

    indicator_kind: Text
    layer: Layer
    privacy_form: PrivacyForm
    key_id: KeyId | None = None
    bucket_bits: Annotated[int, Meta(ge=MIN_BUCKET_BITS, le=MAX_BUCKET_BITS)] | None = None
    bucket: Annotated[int, Meta(ge=0, lt=2**MAX_BUCKET_BITS)] | None = None
    match_profile: Text | None = None
    min_band_hits: Annotated[int, Meta(ge=1, le=64)] | None = None
    similarity_threshold: Ratio | None = None
    group_by: Texts | None = None
    count_distinct: Text | None = None
    expected_fpr: Ratio | None = None
    fpr_corpus: Text | None = None
    fpr_n: Count | None = None
    warninglists_checked: Texts | None = None
    decay: Decay | None = None
    max_action: Action | None = None
    needs_corroboration: Count | None = None
    canary: bool | None = None

    def __post_init__(self) -> None:
        beside = (self.bucket_bits, self.bucket)
        if self.privacy_form != "oblivious":
            if beside != (None, None):
                raise ValueError("only the form oblivious has a bucket")
        elif self.bucket_bits is None or self.bucket is None or self.key_id is None:
            raise ValueError("the form oblivious wants key_id, bucket_bits and bucket")
        elif self.bucket >> self.bucket_bits:
            raise ValueError("the bucket has more bits than bucket_bits says")


class Authority(_Fields, frozen=True):
    """How the facts meet one element of a legal authority."""

    authority: Text
    element: Text
    status: Literal["supports", "partially-supports", "gap", "not-assessed"]
    fact_ids: Texts | None = None


class Evidence(_Fields, frozen=True):
    """On `report`, `grouping`, `observed-data`, `note`: what supports a claim, and its custody."""

    fact_id: Text | None = None
    fact_class: Literal["observed", "derived", "assessed", "reported-by-third-party"] | None = None
    articulable_fact: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    collected_at: Timestamp | None = None
    collection_method: Text | None = None
    source_record_count: Count | None = None
    merkle_root_sha256: Sha256 | None = None
    hash_manifest_url: Text | None = None
    custodian_ref: Annotated[str, Meta(pattern=f"^identity--{_UUID}")] | None = None
    preservation_until: Timestamp | None = None
    independent_of: Texts | None = None
    legal_bases: Texts | None = None
    authority_mapping: Annotated[list[Authority], Meta(min_length=1)] | None = None
    caveats: Texts | None = None
    scrubbed_personal_information: bool | None = None
    scrub_reviewer: Text | None = None


class Prompt(_Fields, frozen=True):
    """What is known of a prompt: hashes, bands, cells; `text` only if its publisher wrote it."""

    norm: Text | None = None
    char_count: Count | None = None
    lang: Text | None = None
    sha256_raw: Sha256 | None = None
    sha256_norm: Sha256 | None = None
    hmac_norm: Sha256 | None = None
    template_sha256: Sha256 | None = None
    lsh_profile: Text | None = None
    lsh_bands: Bands | None = None
    simhash64: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")] | None = None
    tlsh: Annotated[str, Meta(pattern=r"^T1[0-9A-F]{70}\Z")] | None = None
    embedding_profile: Text | None = None
    embedding_cells: Texts | None = None
    text: Annotated[str, Meta(min_length=1, max_length=512)] | None = None


class Output(_Fields, frozen=True):
    """What a model's answer carried to recognise it by."""

    canary_ids: Texts | None = None
    watermark_scheme: Text | None = None
    watermark_zscore: float | None = None


class Window(_Fields, frozen=True):
    """A cluster's behaviour in one span of time; present on aggregates only."""

    seconds: Count | None = None
    exchange_count: Count | None = None
    distinct_accounts: Count | None = None
    distinct_api_keys: Count | None = None
    distinct_sources: Count | None = None
    max_concurrency: Count | None = None
    burst_sync_score: Ratio | None = None
    account_share_gini: Ratio | None = None
    mean_interarrival_ms: NonNegative | None = None
    template_ratio: Ratio | None = None
    hours_since_model_release: float | None = None
    model_switch_ratio: Ratio | None = None


class LlmExchange(_Fields, frozen=True):
    """The SCO `llm-exchange`, without `type`, `id` and the properties all SCOs share.

    Names follow the OpenTelemetry GenAI conventions, dots written as underscores.
    """

    provider_name: Text
    operation_name: (
        Literal[
            "chat",
            "text_completion",
            "generate_content",
            "embeddings",
            "invoke_agent",
            "execute_tool",
        ]
        | None
    ) = None
    request_model: Text | None = None
    response_model: Text | None = None
    conversation_id: Text | None = None
    request_time: Timestamp | None = None
    usage_input_tokens: Count | None = None
    usage_output_tokens: Count | None = None
    usage_reasoning_output_tokens: Count | None = None
    account_ref: Annotated[str, Meta(pattern=f"^user-account--{_UUID}")] | None = None
    src_ref: Annotated[str, Meta(pattern=f"^(ipv4-addr|ipv6-addr|domain-name)--{_UUID}")] | None = (
        None
    )
    network_ref: Annotated[str, Meta(pattern=f"^network-traffic--{_UUID}")] | None = None
    user_agent: Text | None = None
    capability_focus: Capabilities | None = None
    prompt: Prompt | None = None
    output: Output | None = None
    window: Window | None = None


_TIME_FIELDS: Final = frozenset(
    {"signup_time", "collected_at", "preservation_until", "request_time"}
)

F = TypeVar("F", bound=_Fields)
Fields = _Fields
"""The common base, for annotations."""


def decode(value: object, fields: type[F], *, where: str, strict: bool = True) -> F:
    """Read a JSON object into typed fields.

    Args:
        value: a parsed JSON object, without `extension_type`.
        where: the place, for the error.
        strict: refuse names that `fields` does not have. Readers of what a newer publisher
            wrote pass False and lose nothing, since they keep the object itself.
    Raises:
        InputError: a field is missing, unknown, null, or out of its range; the value is not shown.
    """
    try:
        found = msgspec.convert(value, fields)
    except msgspec.ValidationError as error:
        raise InputError(_complaint(error), where=where) from None
    _require_moments(value, where)
    if strict:
        _same(value, encode(found), where)
    return found


def encode(fields: Fields) -> Json:
    """Write typed fields as JSON, leaving out what is None."""
    value: Any = msgspec.to_builtins(fields)
    return dict(value)


def _complaint(error: msgspec.ValidationError) -> str:
    """The decoder's message; it quotes a value only where a listed one was wanted."""
    message = str(error)
    if message.startswith("Invalid enum value"):
        _, _, place = message.rpartition(" - at ")
        return f"not one of the values that the schema lists - at {place}"
    return message


def _require_moments(value: object, where: str) -> None:
    if isinstance(value, dict):
        for name in sorted(_TIME_FIELDS & value.keys()):
            if value[name] is None:
                continue
            try:
                parse_timestamp(value[name])
            except InputError as error:
                raise InputError(error.message, where=f"{where}.{name}") from None


def _same(given: Any, understood: Any, where: str) -> None:
    """Refuse what typed decoding would silently drop: unknown names, nulls, empty objects."""
    if isinstance(given, dict):
        if not given:
            raise InputError("an empty object", where=where)
        for name, value in given.items():
            if name not in understood:
                raise InputError("an unknown field, or null", where=f"{where}.{_shown(name)}")
            _same(value, understood[name], f"{where}.{_shown(name)}")
    elif isinstance(given, list):
        for index, (left, right) in enumerate(zip(given, understood, strict=True)):
            _same(left, right, f"{where}[{index}]")


def _shown(name: object) -> str:
    """A field name that is safe to print; foreign ones could be anything."""
    text = str(name)
    return text if text.replace("_", "").isalnum() and len(text) <= 64 else "?"
