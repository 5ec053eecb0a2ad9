"""LiteLLM's two records of a request: the spend log row and the standard logging payload.

Source: LiteLLM, `schema.prisma` (LiteLLM_SpendLogs) and `types/utils.py` (StandardLoggingPayload).
The spend log keeps messages only when `store_prompts_in_spend_logs` is set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.errors import InputError
from hub.fingerprint import normalise
from hub.traffic.decode import Head, JsonLine, Row
from hub.traffic.messages import prompt_text
from hub.traffic.slots import SlotFormat, Slots, slot_kinds

_AGENT_TAG: Final = "User-Agent: "
_COLUMNS: Final = frozenset(
    {
        "observed_at",
        "event_id",
        "account_id",
        "org_id",
        "api_key_id",
        "client_ip",
        "user_agent",
        "provider_name",
        "request_model",
        "prompt",
        "input_tokens",
        "output_tokens",
    }
)


class _Metadata(msgspec.Struct):
    user_agent: Any = None
    requester_ip_address: Any = None
    user_api_key: Any = None
    user_api_key_hash: Any = None
    user_api_key_org_id: Any = None
    user_api_key_team_id: Any = None
    user_api_key_user_id: Any = None
    user_api_key_user_email: Any = None
    user_api_key_end_user_id: Any = None


class _Record(msgspec.Struct):
    """The fields of either record that a column is made of."""

    start: Any = msgspec.field(default=None, name="startTime")
    request_id: Any = None
    id: Any = None
    api_key: Any = None
    user: Any = None
    end_user: Any = None
    organization_id: Any = None
    team_id: Any = None
    requester_ip_address: Any = None
    request_tags: Any = None
    custom_llm_provider: Any = None
    model: Any = None
    model_group: Any = None
    messages: Any = None
    proxy_server_request: Any = None
    prompt_tokens: Any = None
    completion_tokens: Any = None
    metadata: msgspec.Raw = msgspec.Raw(b"null")


_record: Final = JsonLine(_Record)
_metadata: Final = msgspec.json.Decoder(_Metadata | str | None)
_inner: Final = msgspec.json.Decoder(_Metadata)
_NO_METADATA: Final = _Metadata()


def _meta(raw: msgspec.Raw) -> _Metadata:
    """The metadata object; a database export writes it as JSON in a string."""
    try:
        value = _metadata.decode(raw)
        if isinstance(value, str):
            value = _inner.decode(value)
    except (msgspec.MsgspecError, UnicodeError):
        return _NO_METADATA
    return value or _NO_METADATA


def _agent(meta: _Metadata, tags: Any) -> Any:
    if meta.user_agent:
        return meta.user_agent
    found = [
        tag.removeprefix(_AGENT_TAG)
        for tag in (tags if isinstance(tags, list) else ())
        if isinstance(tag, str) and tag.startswith(_AGENT_TAG)
    ]
    # The proxy tags both the product and the product with its version: the longest says most.
    return max(found, key=len, default=None)


_SLOTS: Final = {
    "observed_at": ("startTime",),
    "model": ("model",),
    "model_group": ("model_group",),
    "provider": ("custom_llm_provider",),
    "end_user": ("end_user",),
    "address": ("requester_ip_address",),
    "tags": ("request_tags",),
    "messages": ("messages",),
    "input_tokens": ("prompt_tokens",),
    "output_tokens": ("completion_tokens",),
    "meta_agent": ("metadata", "user_agent"),
    "meta_address": ("metadata", "requester_ip_address"),
}
_SPEND_SLOTS: Final = _SLOTS | {
    "id": ("request_id",),
    "user": ("user",),
    "org": ("organization_id",),
    "team": ("team_id",),
    "key": ("api_key",),
    "request": ("proxy_server_request",),
}
_PAYLOAD_SLOTS: Final = _SLOTS | {
    "id": ("id",),
    "user": ("metadata", "user_api_key_user_id"),
    "meta_end_user": ("metadata", "user_api_key_end_user_id"),
    "org": ("metadata", "user_api_key_org_id"),
    "team": ("metadata", "user_api_key_team_id"),
    "hash": ("metadata", "user_api_key_hash"),
    "key": ("metadata", "user_api_key"),
    "email": ("metadata", "user_api_key_user_email"),
}
_SHARED: Final = {
    "event_id": ("id",),
    "client_ip": ("address", "meta_address"),
    "provider_name": ("provider",),
    "request_model": ("model", "model_group"),
}
_SPEND_CHAINS: Final = _SHARED | {
    "account_id": ("user", "end_user"),
    "org_id": ("org", "team"),
    "api_key_id": ("key",),
}
_PAYLOAD_CHAINS: Final = _SHARED | {
    "account_id": ("user", "end_user", "meta_end_user"),
    "org_id": ("org", "team"),
    "api_key_id": ("hash", "key"),
}


def _agents(slots: Slots) -> Any:
    """User agents of some records; of those without one, out of their tags."""
    agents = slots["meta_agent"]
    if not agents.null_count or not any(slots["tags"]):
        return agents
    pairs = zip(agents.to_pylist(), slots["tags"], strict=True)
    return [agent or _agent(_NO_METADATA, tags) or None for agent, tags in pairs]


def _prompts(slots: Slots) -> list[str | None]:
    prompts = [prompt_text(value) for value in slots["messages"]]
    if "request" in slots:
        pairs = zip(prompts, slots["request"], strict=True)
        prompts = [prompt or prompt_text(value) for prompt, value in pairs]
    return prompts


def _domains(slots: Slots) -> list[str | None]:
    return [domain(email) for email in slots["email"].to_pylist()]


def _parse_spend(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    meta = _meta(record.metadata)
    return (
        Row(
            observed_at=record.start,
            event_id=record.request_id,
            account_id=record.user or record.end_user or None,
            org_id=record.organization_id or record.team_id or None,
            api_key_id=record.api_key or None,
            client_ip=record.requester_ip_address or meta.requester_ip_address or None,
            user_agent=_agent(meta, record.request_tags) or None,
            provider_name=record.custom_llm_provider or None,
            request_model=record.model or record.model_group or None,
            prompt=prompt_text(record.messages) or prompt_text(record.proxy_server_request),
            input_tokens=record.prompt_tokens,
            output_tokens=record.completion_tokens,
        ),
    )


def _parse_payload(line: bytes) -> Sequence[tuple[Any, ...]]:
    record = _record(line)
    meta = _meta(record.metadata)
    return (
        Row(
            observed_at=record.start,
            event_id=record.id,
            account_id=meta.user_api_key_user_id
            or record.end_user
            or meta.user_api_key_end_user_id
            or None,
            org_id=meta.user_api_key_org_id or meta.user_api_key_team_id or None,
            api_key_id=meta.user_api_key_hash or meta.user_api_key or None,
            email_domain=domain(meta.user_api_key_user_email),
            client_ip=record.requester_ip_address or meta.requester_ip_address or None,
            user_agent=_agent(meta, record.request_tags) or None,
            provider_name=record.custom_llm_provider or None,
            request_model=record.model or record.model_group or None,
            prompt=prompt_text(record.messages),
            input_tokens=record.prompt_tokens,
            output_tokens=record.completion_tokens,
        ),
    )


def domain(email: Any) -> str | None:
    """The domain of a logged e-mail address, or None; the address itself is never kept."""
    if not isinstance(email, str) or not email:
        return None
    try:
        return normalise.email_domain(email)
    except InputError:
        return None


def _spend_recognised(head: Head) -> bool:
    return any({"request_id", "startTime", "api_key"} <= record.keys() for record in head.records)


def _payload_recognised(head: Head) -> bool:
    return any(
        {"id", "startTime", "metadata"} <= record.keys() and "request_id" not in record
        for record in head.records
    )


SPEND: Final = SlotFormat(
    name="litellm-spend",
    title="LiteLLM spend logs",
    columns=_COLUMNS,
    recognised=_spend_recognised,
    parse=_parse_spend,
    slots=slot_kinds(_SPEND_SLOTS, lists=("tags",), trees=("messages", "request")),
    chains=_SPEND_CHAINS,
    made={"user_agent": _agents, "prompt": _prompts},
)
PAYLOAD: Final = SlotFormat(
    name="litellm",
    title="LiteLLM standard logging payload",
    columns=_COLUMNS | {"email_domain"},
    recognised=_payload_recognised,
    parse=_parse_payload,
    slots=slot_kinds(_PAYLOAD_SLOTS, lists=("tags",), trees=("messages",)),
    chains=_PAYLOAD_CHAINS,
    made={"user_agent": _agents, "prompt": _prompts, "email_domain": _domains},
)
