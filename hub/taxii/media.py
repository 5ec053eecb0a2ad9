"""Media types: what a client accepts and what it sends.

Source: TAXII 2.1, section 1.6.8 (content negotiation); RFC 9110, section 12.5.1 (Accept).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

TAXII: Final = "application/taxii+json;version=2.1"
"""Content-Type of every answer of ours that carries a TAXII resource."""
STIX: Final = "application/stix+json;version=2.1"
"""`media_types` of our collections."""


_TAXII_TYPE: Final = "application/taxii+json"
_VERSIONS: Final = frozenset({None, "2.1"})
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})
_QVALUE: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_LONGEST: Final = 8192
# An element ends at a comma, a parameter at a semicolon, neither inside a quoted string. What
# begins with a quote matches, if need be to the end, and nothing is tried twice: linear time.
_QUOTED: Final = r'"(?:[^"\\]++|\\.)*+(?:"|\\?$)'
_ELEMENT: Final = re.compile(rf'(?:[^,"]++|{_QUOTED})++', re.DOTALL)
_PARAMETER: Final = re.compile(rf'(?:[^;"]++|{_QUOTED})++', re.DOTALL)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class _Range(NamedTuple):
    media_type: str
    parameters: dict[str, str]

    @property
    def version(self) -> str | None:
        return self.parameters.get("version")


@lru_cache(maxsize=256)
def acceptable(accept: str | None) -> bool:
    """Whether an Accept header's value admits a TAXII 2.1 answer.

    Versions (bare `application/taxii+json` is the newest, ours), lists, q-values (0 forbids),
    quotes, any case and white space, `*/*` and `application/*` are read; `application/json` is
    another media type and admits nothing. The most specific element that fits decides (RFC
    9110). A missing or empty header admits everything. Malformed elements are passed over, and
    a header of more than 8 KB admits nothing.
    """
    if accept is None or not accept.strip():
        return True
    if len(accept) > _LONGEST:
        return False
    best, wanted = -1, False
    for element in _ranges(accept):
        quality = element.parameters.get("q", "1")
        specificity = _specificity(element)
        if specificity < 0 or _QVALUE.fullmatch(quality) is None:
            continue
        admits = float(quality) > 0
        if specificity > best:
            best, wanted = specificity, admits
        elif specificity == best:
            wanted = wanted or admits
    return wanted


@lru_cache(maxsize=256)
def is_taxii_content(content_type: str | None) -> bool:
    """Whether a Content-Type names a TAXII body: bare, or of version 2.1, and in UTF-8."""
    if content_type is None or len(content_type) > _LONGEST:
        return False
    element = _read_range(content_type)
    return (
        element is not None
        and element.media_type == _TAXII_TYPE
        and element.version in _VERSIONS
        and element.parameters.get("charset", "utf-8").lower() in _CHARSETS
    )


def object_media_type(spec_version: str) -> str:
    """Media type of a STIX object in a manifest: `application/stix+json;version=<v>`."""
    return f"application/stix+json;version={spec_version}"


def _specificity(element: _Range) -> int:
    """How closely an element names our answer, -1 when it does not."""
    match element.media_type:
        case "application/taxii+json" if element.version == "2.1":
            return 4
        case "application/taxii+json" if element.version is None:
            return 3
        case "application/*":
            return 1
        case "*/*":
            return 0
        case _:
            return -1


def _ranges(header: str) -> Iterator[_Range]:
    for text in _ELEMENT.findall(header):
        element = _read_range(text)
        if element is not None:
            yield element


def _read_range(text: str) -> _Range | None:
    head, *rest = _PARAMETER.findall(text) or [""]
    media_type = head.strip().lower()
    main, slash, sub = media_type.partition("/")
    if not slash or not _TOKEN.fullmatch(main) or not _TOKEN.fullmatch(sub):
        return None
    parameters: dict[str, str] = {}
    for parameter in rest:
        name, equals, value = parameter.partition("=")
        if not equals and parameter.strip():
            return None
        parameters.setdefault(name.strip().lower(), _unquoted(value.strip()))
    return _Range(media_type, parameters)


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value
