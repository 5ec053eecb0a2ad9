"""JSON that two parties always read alike.

`loads` accepts I-JSON only (RFC 7493): UTF-8 without a byte order mark, no duplicate names, no
NaN or infinity, no lone surrogates, integers that every JSON reader keeps exact, bounded depth.
Fields that nobody here knows survive a round trip unchanged.

Duplicate names are found without a callback per object: msgspec keeps the last of two equal
names, so the decoded value then holds fewer strings than the text. Strings are counted on both
sides by their quotation marks, at memory speed; only a text that fails is scanned slowly, to
name the place.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from hub.errors import InputError

Json = dict[str, Any]
"""A JSON object; STIX objects travel between the parts of Stillwatch in this form."""

DEFAULT_MAX_BYTES: Final = 64 * 1024 * 1024
DEFAULT_MAX_DEPTH: Final = 64
MAX_INTEGER: Final = 2**53 - 1
"""The greatest magnitude of an integer that I-JSON calls interoperable (RFC 7493, 2.2)."""

_BOM: Final = b"\xef\xbb\xbf"
_BYTE: Final = re.compile(r"\(byte (\d+)\)")
# Possessive: what could be given back would be remembered for every character of a string.
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\]:,]')


def loads(
    data: bytes,
    *,
    where: str = "",
    max_bytes: int = DEFAULT_MAX_BYTES,
    max_depth: int = DEFAULT_MAX_DEPTH,
) -> Json:
    """Read one JSON object, strictly.

    Args:
        data: the whole text in UTF-8.
        where: what the bytes are, for the error: a file, a request.
        max_bytes: greatest length of `data`, in bytes.
        max_depth: greatest nesting of objects and arrays; `{}` is 1.
    Raises:
        InputError: `data` is not I-JSON, too long, too deep, or not an object at the top.
    Source: RFC 8259; RFC 7493, section 2.
    """
    if len(data) > max_bytes:
        raise InputError(f"{len(data)} bytes exceed the limit of {max_bytes}", where=where or None)
    if data.startswith(_BOM):
        raise InputError("a byte order mark at byte 0; send plain UTF-8", where=where or None)
    if not data.isascii():
        _require_utf8(data, where)
    try:
        value: object = msgspec.json.decode(data)
    except RecursionError:
        raise InputError(f"nested deeper than {max_depth} levels", where=where or None) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(_syntax(error, data), where=where or None) from None
    if not isinstance(value, dict):
        raise InputError("an object is wanted at the top", where=where or None)
    _check_tree(value, max_depth, where)
    if _strings(data) != _strings(msgspec.json.encode(value)):
        raise InputError(
            f"a name occurs twice in one object{_duplicate(data)}", where=where or None
        )
    return value


def dumps(obj: Json) -> bytes:
    """Write compact UTF-8, names in the order of the object.

    Raises:
        InputError: `obj` holds what `loads` would refuse, or a value that is not JSON.
    """
    _check_tree(obj, DEFAULT_MAX_DEPTH, "")
    return _encode(obj, None)


def canonical(obj: Json) -> bytes:
    """The one byte string that stands for `obj`: RFC 8785, restricted.

    The restriction removes what implementations disagree on: names are ASCII (so that every
    sorting order is the same one) and there are no floating-point numbers.

    Raises:
        InputError: a name is not ASCII, or a number is not an integer below 2^53.
    Source: RFC 8785 (JCS).
    """
    _check_tree(obj, DEFAULT_MAX_DEPTH, "", canonical_only=True)
    return _encode(obj, "sorted")


def loads_canonical(
    data: bytes,
    *,
    where: str = "",
    max_bytes: int = DEFAULT_MAX_BYTES,
    max_items: int | None = None,
) -> Json:
    """Read what `canonical` wrote, and nothing else.

    Args:
        data: UTF-8.
        where: the place, for errors.
        max_bytes: refuse longer texts before decoding them.
        max_items: refuse texts with more of `,`, `[` and `{` before decoding them: a million
            empty arrays fit into two megabytes, and take forty times as much memory.
    Raises:
        InputError: `data` is not I-JSON, or does not serialise to the same bytes again.
    """
    counted = max_items is not None and len(data) <= max_bytes
    if counted and sum(map(data.count, (b",", b"[", b"{"))) > (max_items or 0):
        raise InputError(f"more than {max_items} values", where=where or None)
    value = loads(data, where=where, max_bytes=max_bytes)
    if canonical(value) != data:
        raise InputError("the bytes are not in canonical form", where=where or None)
    return value


def _encode(obj: Json, order: Any) -> bytes:
    try:
        return msgspec.json.encode(obj, order=order)
    except UnicodeEncodeError:
        raise InputError("a string holds a lone surrogate") from None
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        raise InputError("a value has no JSON form") from None


def _check_tree(top: Json, max_depth: int, where: str, *, canonical_only: bool = False) -> None:
    """Check level by level what the decoder leaves open: depth, integers, floats, names."""
    level: list[Any] = [top]
    for _ in range(max_depth):
        deeper: list[Any] = []
        for container in level:
            if canonical_only and type(container) is dict:
                _require_ascii_names(container, where)
            values: Iterable[Any] = container.values() if isinstance(container, dict) else container
            for value in values:
                kind = type(value)
                if kind is str:
                    continue
                if kind is dict or kind is list:
                    deeper.append(value)
                elif kind is not bool and value is not None:
                    _require_number(value, where, canonical_only=canonical_only)
        if not deeper:
            return
        level = deeper
    raise InputError(f"nested deeper than {max_depth} levels", where=where or None)


def _require_number(value: object, where: str, *, canonical_only: bool) -> None:
    if type(value) is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise InputError("an integer beyond 2^53-1", where=where or None)
    elif type(value) is float:
        if canonical_only:
            raise InputError("a floating-point number in canonical JSON", where=where or None)
        if not math.isfinite(value):
            raise InputError("a number that is not finite", where=where or None)
    else:
        raise InputError(f"a {type(value).__name__} has no JSON form", where=where or None)


def _require_ascii_names(obj: Json, where: str) -> None:
    if not all(type(name) is str and name.isascii() for name in obj):
        raise InputError("a name that is not ASCII in canonical JSON", where=where or None)


def _require_utf8(data: bytes, where: str) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", where=where or None) from None


def _strings(data: bytes) -> int:
    """Twice the number of strings, names included, in a valid JSON text."""
    if b"\\" in data:
        # Backslashes pair up from the left of a run; what then precedes a quote escapes it.
        data = data.replace(b"\\\\", b"")
        return data.count(b'"') - data.count(b'\\"')
    return data.count(b'"')


def _syntax(error: Exception, data: bytes) -> str:
    """The decoder's complaint, with the line and column of its byte offset."""
    message = str(error).removeprefix("JSON is malformed: ").partition(" - at ")[0]
    found = _BYTE.search(message)
    if found is None:
        return f"not JSON: {message}" if data else "not JSON: there are no bytes"
    return f"not JSON: {_BYTE.sub('', message).strip()}{_place(data, int(found[1]))}"


def _place(data: bytes, offset: int) -> str:
    line = data.count(b"\n", 0, offset) + 1
    column = offset - (data.rfind(b"\n", 0, offset) + 1) + 1
    return f" at line {line}, column {column} (byte {offset})"


def _duplicate(data: bytes) -> str:
    """Where the first repeated name of a valid JSON text begins."""
    text = data.decode("utf-8")
    names: list[set[str] | None] = []
    expects_name = False
    for token in _TOKEN.finditer(text):
        mark = token[0][0]
        if mark == '"':
            seen = names[-1] if names else None
            if seen is not None and expects_name:
                name = json.loads(token[0])
                if name in seen:
                    return _place(data, len(text[: token.start()].encode()))
                seen.add(name)
            expects_name = False
        elif mark in "{[":
            names.append(set() if mark == "{" else None)
            expects_name = mark == "{"
        elif mark in "}]":
            names.pop()
        else:
            expects_name = mark == "," and names[-1] is not None
    return ""
