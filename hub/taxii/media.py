"""Media types: what a client accepts and what it sends.

Source: TAXII 2.1, section 1.6.8 (content negotiation); RFC 9110, section 12.5.1 (Accept).
"""

from __future__ import annotations

from typing import Final

TAXII: Final = "application/taxii+json;version=2.1"
"""Content-Type of every answer of ours that carries a TAXII resource."""
STIX: Final = "application/stix+json;version=2.1"
"""`media_types` of our collections."""


def acceptable(accept: str | None) -> bool:
    """Whether an Accept header's value admits a TAXII 2.1 answer.

    Versions (bare `application/taxii+json` is the newest, ours), lists, q-values (0 forbids),
    quotes, any case and white space, `*/*`, `application/*`, and `application/json` are read.
    A missing or empty header admits everything (RFC 9110). Malformed elements are passed over.
    """
    raise NotImplementedError


def is_taxii_content(content_type: str | None) -> bool:
    """Whether a Content-Type names a TAXII 2.1 body (bare, or version 2.1, or JSON)."""
    raise NotImplementedError


def object_media_type(spec_version: str) -> str:
    """Media type of a STIX object in a manifest: `application/stix+json;version=<v>`."""
    return f"application/stix+json;version={spec_version}"
