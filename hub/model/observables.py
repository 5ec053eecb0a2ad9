"""Observations: cyber observables with their derived ids, and `observed-data` around them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from hub.errors import InputError
from hub.model.codec import Json, dumps
from hub.model.extension import LLM_EXCHANGE, SCO_ID_PROPERTIES
from hub.model.fields import LlmExchange, decode
from hub.model.identifiers import deterministic_id, is_id, timestamp
from hub.model.markings import TLP

SCO_NAMESPACE: Final = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""The namespace of derived SCO ids (STIX 2.1, section 2.9)."""

_ID_PROPERTIES: Final[Mapping[str, tuple[str, ...]]] = {
    "autonomous-system": ("number",),
    "domain-name": ("value",),
    "ipv4-addr": ("value",),
    "ipv6-addr": ("value",),
    "llm-exchange": SCO_ID_PROPERTIES,
    "network-traffic": (
        "start",
        "end",
        "src_ref",
        "dst_ref",
        "src_port",
        "dst_port",
        "protocols",
        "extensions",
    ),
    "user-account": ("account_type", "user_id", "account_login"),
    "x509-certificate": ("hashes", "serial_number"),
}


def observable(object_type: str, **properties: Any) -> Json:
    """A cyber observable with the id that STIX derives from its content.

    Args:
        object_type: one of those that our patterns speak about.
        properties: its own properties; None leaves one out.
    Raises:
        InputError: another type, none of the properties that identify it, or an `llm-exchange`
            that its schema refuses.
    Source: STIX 2.1, sections 2.9 and 6.
    """
    identifying = _ID_PROPERTIES.get(object_type)
    if identifying is None:
        raise InputError("no observable of this type here", where="type")
    given = {name: value for name, value in properties.items() if value is not None}
    if object_type == "llm-exchange":
        decode(given, LlmExchange, where="llm-exchange")
        given["extensions"] = {LLM_EXCHANGE: {"extension_type": "new-sco"}}
    contributing = {name: given[name] for name in identifying if name in given}
    if not contributing:
        raise InputError(f"one of {', '.join(identifying)} is needed", where=object_type)
    dumps(given)
    # Floats in windows need the ECMAScript form of RFC 8785, which stix2 brings along.
    from stix2.canonicalization.Canonicalize import canonicalize

    digest = uuid.uuid5(SCO_NAMESPACE, canonicalize(contributing, utf8=False))
    return {"type": object_type, "spec_version": "2.1", "id": f"{object_type}--{digest}", **given}


def observed_data(
    objects: Sequence[Json],
    *,
    created_by: str,
    created: datetime,
    first_observed: datetime,
    last_observed: datetime,
    number_observed: int = 1,
    tlp: TLP = TLP.AMBER,
) -> Json:
    """The statement that observables were seen together.

    Args:
        objects: all observables, those that others refer to included.
        number_observed: how often, 1 to 999,999,999.
    Source: STIX 2.1, section 4.13.
    """
    if not is_id(created_by, "identity"):
        raise InputError("the author must be an identity id", where="created_by")
    if last_observed < first_observed:
        raise InputError("must not be earlier than first_observed", where="last_observed")
    if type(number_observed) is not int or not 1 <= number_observed <= 999_999_999:
        raise InputError("an integer from 1 to 999999999 is wanted", where="number_observed")
    refs = [str(obj["id"]) for obj in objects]
    if not refs:
        raise InputError("at least one observable is wanted", where="object_refs")
    first, made = timestamp(first_observed), timestamp(created)
    return {
        "type": "observed-data",
        "spec_version": "2.1",
        "id": deterministic_id("observed-data", created_by, first, *refs),
        "created_by_ref": created_by,
        "created": made,
        "modified": made,
        "first_observed": first,
        "last_observed": timestamp(last_observed),
        "number_observed": number_observed,
        "object_refs": refs,
        "object_marking_refs": [tlp.id],
    }
