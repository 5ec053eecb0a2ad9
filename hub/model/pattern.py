"""STIX pattern text, assembled from escaped atoms.

Builders that handle thousands of rows do not run the grammar on each: what these functions
return always parses, which property tests show against `stix2-patterns`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from hub.errors import InputError, PatternError
from hub.model.extension import LLM_ACCOUNT, NET_FINGERPRINT

MAX_PATTERN_CHARS: Final = 64 * 1024
"""A longer pattern is refused: thousands of bands or tokens belong into several indicators."""

ACCOUNT: Final = f"user-account:extensions.'{LLM_ACCOUNT}'."
NETWORK: Final = f"network-traffic:extensions.'{NET_FINGERPRINT}'."
USER_AGENT: Final = "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'[*]"
"""Header values are lists in STIX 2.1 (section 6.12.2), hence the `[*]`."""

_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_LITERAL: Final = re.compile(r"'(?:[^'\\]|\\['\\])*'")
_REGEX_SPECIAL: Final = re.compile(r"([\\.^$*+?()\[\]{}|])")


def pattern_string(value: str) -> str:
    r"""A STIX string literal: `it's` becomes `'it\'s'`.

    Raises:
        InputError: `value` holds a lone surrogate.
    Source: STIX 2.1, section 9.1 (constants).
    """
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise InputError("a string holds a lone surrogate", where="pattern")
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def read_string(literal: str) -> str:
    """The value of a STIX string literal, the inverse of `pattern_string`.

    Raises:
        PatternError: `literal` is not one string literal.
    """
    if _LITERAL.fullmatch(literal) is None:
        raise PatternError("not a STIX string literal", position=0)
    return _ESCAPED.sub(r"\1", literal[1:-1])


def equals(path: str, value: str) -> str:
    """`[path = 'value']`."""
    return f"[{path} = {pattern_string(value)}]"


def any_of(path: str, values: Sequence[str]) -> str:
    """`[path = 'v']` for one value, `[path IN ('a','b')]` for several, sorted, each once."""
    unique = sorted(set(values))
    if not unique:
        raise InputError("a set without values", where="pattern")
    if len(unique) == 1:
        return equals(path, unique[0])
    return f"[{path} IN ({','.join(map(pattern_string, unique))})]"


def contains(path: str, text: str) -> str:
    """A test that `text` occurs in `path`, whatever wildcards `text` itself holds.

    LIKE has no escape, so a text with `%` or `_` becomes a regular expression.
    """
    if "%" in text or "_" in text:
        return matches(path, _REGEX_SPECIAL.sub(r"\\\1", text))
    return f"[{path} LIKE {pattern_string(f'%{text}%')}]"


def matches(path: str, regex: str) -> str:
    """`[path MATCHES 'regex']`."""
    return f"[{path} MATCHES {pattern_string(regex)}]"


def check(text: str) -> None:
    """Check a pattern by the grammar of `stix2-patterns`.

    It takes milliseconds: for patterns that others wrote, not for those assembled here.

    Raises:
        PatternError: `text` is not a STIX 2.1 pattern; the position is that of the first fault.
    """
    if len(text) > MAX_PATTERN_CHARS:
        raise PatternError("the pattern is too long", position=MAX_PATTERN_CHARS, where="pattern")
    if not text.strip():
        raise PatternError("an empty pattern", position=0, where="pattern")
    pattern_string(text)
    # The grammar's runtime costs 0.3 s to load; most commands never need it.
    from stix2patterns.validator import run_validator

    try:
        faults: list[str] = run_validator(text, "2.1")
    except RecursionError:
        raise PatternError("the pattern is nested too deep", position=0, where="pattern") from None
    if faults:
        raise PatternError(
            "not a STIX pattern", position=_position(faults[0], text), where="pattern"
        )


def _position(fault: str, text: str) -> int:
    found = re.search(r"line (\d+):(\d+)", fault)
    if found is None:
        return 0
    lines = text.split("\n")[: int(found[1]) - 1]
    return sum(len(line) + 1 for line in lines) + int(found[2])
