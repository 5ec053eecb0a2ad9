"""What gateways log of a request's body: objects or JSON in strings, in each provider's shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from hub.traffic.assemble import Withheld
from hub.traffic.messages import prompt_text

CUT: Final = Withheld("prompt stands in a body that is cut short")
_decode = msgspec.json.Decoder().decode
_JSON: Final = ("{", "[")
_ZONELESS: Final = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?)\d*(?: ?UTC|Z)?")


def at(value: Any, *path: str) -> Any:
    """The value below nested objects, or None where one of them is missing or no object."""
    for step in path:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def opened(value: Any) -> dict[str, Any]:
    """An object, also where the log holds it as JSON in a string; empty where it is none."""
    value = _unpacked(value)
    return value if isinstance(value, dict) else {}


def first(*values: Any) -> Any:
    """The first value that is not null: a count of zero is a value."""
    return next((value for value in values if value is not None), None)


def utc(value: Any) -> Any:
    """A time of a source whose times are UTC by its documentation, with the zone written out."""
    if isinstance(value, str) and (found := _ZONELESS.fullmatch(value.strip())):
        return found[1] + "Z"
    return value


def request_text(body: Any) -> str | Withheld | None:
    """The user's text in a request body.

    Args:
        body: an object, or JSON in a string: chat completions, responses, messages, Converse,
            `generateContent`, Titan's `inputText`, Cohere's `message`.
    Returns:
        The text; None where the body has none; `CUT` where it is JSON without its end.
    """
    body = _unpacked(body)
    if isinstance(at(body, "body"), dict | str):
        body = _unpacked(body["body"])
    if isinstance(body, Withheld):
        return body
    if not isinstance(body, dict):
        return prompt_text(body)
    if isinstance(body.get("contents"), list | dict):
        return prompt_text(list(_contents(body["contents"])))
    if isinstance(body.get("inputText"), str):
        return body["inputText"] or None
    if isinstance(body.get("message"), str):
        return "\n".join(_cohere(body)) or None
    return prompt_text(body)


def _contents(contents: Any) -> Iterator[dict[str, Any]]:
    """Gemini's turns; one without a role is the user's."""
    for turn in contents if isinstance(contents, list) else [contents]:
        if isinstance(turn, dict):
            parts = turn.get("parts")
            listed = parts if isinstance(parts, list) else [parts]
            yield {"role": turn.get("role") or "user", "parts": listed}


def _cohere(body: dict[str, Any]) -> Iterator[str]:
    history = body.get("chat_history")
    for turn in history if isinstance(history, list) else ():
        if at(turn, "role") in ("USER", "User") and isinstance(turn.get("message"), str):
            yield turn["message"]
    yield body["message"]


def _unpacked(body: Any) -> Any:
    """What JSON in a string holds, `CUT` where it does not end; another value as it is."""
    if not isinstance(body, str) or not body.lstrip().startswith(_JSON):
        return body
    try:
        return _decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return CUT
