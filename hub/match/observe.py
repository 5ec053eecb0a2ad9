"""One event as STIX: a bundle of observed-data with the objects that the event shows.

This is what the engine's answers mean: an event matches where the standard's semantics match its
bundle. Only columns that hold something become properties.

Source: STIX 2.1, sections 4.14 (observed-data), 6.4, 6.7, 6.12 and 6.16 (cyber observables).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from hub.fingerprint.prompts import features
from hub.match.schema import LAYERS
from hub.model.codec import Json
from hub.model.extension import LLM_ACCOUNT, LLM_EXCHANGE, NET_FINGERPRINT
from hub.model.identifiers import deterministic_id, timestamp

_ACCOUNT: Final = tuple(name for name in LAYERS["account"] if name != "account_id")
_EXCHANGE: Final = {
    "provider_name": "provider_name",
    "request_model": "request_model",
    "capability_focus": "capability_focus",
    "input_tokens": "usage_input_tokens",
    "output_tokens": "usage_output_tokens",
}


def observe(event: Mapping[str, Any]) -> Json:
    """Turn one row of TRAFFIC_SCHEMA (as Python values) into a bundle.

    An autonomous system that is known without its address hangs on an address without a value.
    """
    account, exchange = _account(event), _exchange(event)
    if account is not None:
        account["id"] = deterministic_id("user-account", str(event["event_id"]))
        exchange["account_ref"] = account["id"]
    objects = [account] if account else []
    if exchange:
        extensions = {LLM_EXCHANGE: {"extension_type": "new-sco"}}
        exchange |= {"type": "llm-exchange", "spec_version": "2.1", "extensions": extensions}
        objects.append(exchange)
    objects += _network(event)
    for one in objects:
        one.setdefault("id", deterministic_id(one["type"], str(event["event_id"])))
    moment = timestamp(event["observed_at"])
    observed = {
        "type": "observed-data",
        "spec_version": "2.1",
        "id": deterministic_id("observed-data", str(event["event_id"])),
        "created": moment,
        "modified": moment,
        "first_observed": moment,
        "last_observed": moment,
        "number_observed": 1,
        "object_refs": [one["id"] for one in objects],
    }
    return {
        "type": "bundle",
        "id": deterministic_id("bundle", str(event["event_id"])),
        "objects": [observed, *objects],
    }


def _given(event: Mapping[str, Any], names: tuple[str, ...]) -> Json:
    return {name: event[name] for name in names if event.get(name) is not None}


def _account(event: Mapping[str, Any]) -> Json | None:
    extension = _given(event, _ACCOUNT)
    signup = extension.get("signup_time")
    if isinstance(signup, datetime):
        extension["signup_time"] = timestamp(signup)
    account: Json = {}
    if event.get("account_id") is not None:
        account["user_id"] = event["account_id"]
    if extension:
        account["extensions"] = {LLM_ACCOUNT: {"extension_type": "property-extension", **extension}}
    return {"type": "user-account", "spec_version": "2.1", **account} if account else None


def _exchange(event: Mapping[str, Any]) -> Json:
    exchange: Json = {
        new: event[old] for old, new in _EXCHANGE.items() if event.get(old) is not None
    }
    if event.get("canary_ids") is not None:
        exchange["output"] = {"canary_ids": event["canary_ids"]}
    if event.get("prompt") is not None:
        found = features(event["prompt"])
        exchange["prompt"] = {
            "text": event["prompt"],
            "sha256_raw": found.sha256_raw,
            "sha256_norm": found.sha256_norm,
            "template_sha256": found.template_sha256,
            "lsh_bands": list(found.lsh_bands),
        }
    return exchange


def _network(event: Mapping[str, Any]) -> list[Json]:
    objects: list[Json] = []
    traffic: Json = {"type": "network-traffic", "spec_version": "2.1", "protocols": ["https"]}
    extensions: Json = {}
    address, number = _address(event.get("client_ip")), event.get("asn")
    if address is not None or number is not None:
        source: Json = {"spec_version": "2.1", "type": "ipv4-addr"}
        if address is not None:
            source |= {"type": f"ipv{address.version}-addr", "value": str(address)}
        source["id"] = deterministic_id(source["type"], str(event["event_id"]))
        if number is not None:
            system = {"type": "autonomous-system", "spec_version": "2.1", "number": number}
            system["id"] = deterministic_id("autonomous-system", str(event["event_id"]))
            source["belongs_to_refs"] = [system["id"]]
            objects.append(system)
        objects.append(source)
        traffic["src_ref"] = source["id"]
    prints = _given(event, ("ja3", "ja4"))
    if prints:
        extensions[NET_FINGERPRINT] = {"extension_type": "property-extension", **prints}
    if event.get("user_agent") is not None:
        header = {"User-Agent": [event["user_agent"]]}
        extensions["http-request-ext"] = {
            "request_method": "post",
            "request_value": "/",
            "request_header": header,
        }
    if extensions:
        traffic["extensions"] = extensions
    return [*objects, traffic] if extensions or objects else []


def _address(value: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
