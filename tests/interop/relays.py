"""Clients of other systems that fetch messages, keep them in forms of their own, and pass them on.

They behave as the connectors of OpenCTI and MISP do: objects are parsed, stored, and written anew,
with other order, spacing and escapes, and with properties and markings of the system's own.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import requests
import stix2
from taxii2client.v21 import Collection, as_pages

Write = Callable[[list[dict[str, Any]]], bytes]
TAXII: str = "application/taxii+json;version=2.1"
_MISP_TLP = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"


def opencti(objects: list[dict[str, Any]]) -> bytes:
    """Through the stix2 library, with OpenCTI's own properties; the last name comes first."""
    written = []
    for each in objects:
        parsed = stix2.parse({**each, "x_opencti_score": 50}, allow_custom=True)
        value = json.loads(parsed.serialize())
        value |= {"x_opencti_id": str(uuid.uuid4()), "x_opencti_type": "Artifact"}
        written.append(dict(sorted(value.items(), reverse=True)))
    return json.dumps({"objects": written}, indent=4).encode()


def misp(objects: list[dict[str, Any]]) -> bytes:
    """As plain dictionaries, in ASCII with escapes, more hashes, another marking."""
    written = []
    for each in objects:
        value = dict(sorted(each.items()))
        value["hashes"] = {"MD5": "0f" * 16, **value["hashes"]}
        value["object_marking_refs"] = [_MISP_TLP]
        value["x_misp_category"] = "Payload delivery — external analysis"
        written.append(value)
    text = json.dumps({"objects": written}, ensure_ascii=True, separators=(" , ", " : "))
    # JSON may write any character as an escape.
    return text.replace("artifact", "\\u0061rtifact").encode()


def plain(objects: list[dict[str, Any]]) -> bytes:
    """Nothing added; order, spacing and escapes are another's."""
    written = [dict(reversed(each.items())) for each in objects]
    return json.dumps({"objects": written}, indent=1).replace("/", "\\/").encode()


def fetch(url: str, account: tuple[str, str]) -> list[dict[str, Any]]:
    """Everything in a collection, by taxii2-client."""
    with Collection(url, user=account[0], password=account[1]) as source:
        pages = as_pages(source.get_objects, per_request=4)
        return [each for page in pages for each in page.get("objects", [])]


def pass_on(url: str, account: tuple[str, str], body: bytes) -> dict[str, Any]:
    """Post to another server; its status resource."""
    headers = {"Accept": TAXII, "Content-Type": TAXII}
    answer = requests.post(f"{url}objects/", body, auth=account, headers=headers, timeout=30)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
