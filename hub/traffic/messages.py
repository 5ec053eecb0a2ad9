"""The prompt of an exchange, out of the message lists that gateways log.

`prompt` is the texts of the user's messages, in order, joined by a newline. System and developer
messages are left out, because they are the operator's own; answers and tool results are left out,
because the caller did not write them. A template that a campaign repeats stands in the user's
message, so that its hash, its skeleton and its MinHash bands agree between sources that log a
conversation in different shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

_USER: Final = ("user", "human")
_TEXT_PARTS: Final = ("text", "input_text", None)
_WRAPPERS: Final = ("messages", "input", "body", "prompt")
_DEPTH: Final = 4
_decode = msgspec.json.Decoder().decode


def prompt_text(value: Any) -> str | None:
    """The user's text in a logged request.

    Args:
        value: a text; a list of messages in the chat, responses or OTel `parts` shape; an object
            that holds one under `messages`, `input`, `prompt` or `body`; or any of these as JSON.
    Returns:
        The text, or None where the record has none.
    """
    if value.__class__ is list:
        plain, text = _plain(value)
        if plain:
            return text
    texts = [text for text in _texts(value, _DEPTH) if text]
    return "\n".join(texts) if texts else None


def _plain(messages: list[Any]) -> tuple[bool, str | None]:
    """Whether a chat has at most one message of the user, of plain text, and that: most have."""
    text: str | None = None
    seen = False
    for message in messages:
        if message.__class__ is not dict:
            return False, None
        if message.get("role") in _USER:
            content = message.get("content")
            if seen or content.__class__ is not str or message.get("parts"):
                return False, None
            text, seen = content or None, True
    return True, text


def chat_text(text: str) -> str | None:
    """The user's text in a chat that is written as JSON; any other text as it is."""
    return text if _parsed(text) is None else prompt_text(text)


def _texts(value: Any, depth: int) -> Iterator[str]:
    if depth == 0 or not value:
        return
    if isinstance(value, str):
        parsed = _parsed(value)
        if parsed is None:
            yield value
        else:
            yield from _texts(parsed, depth - 1)
    elif isinstance(value, list):
        for message in value:
            if isinstance(message, str):
                yield message
            elif isinstance(message, dict):
                yield from _message(message)
    elif isinstance(value, dict):
        if "role" in value:
            yield from _message(value)
            return
        for key in _WRAPPERS:
            if value.get(key):
                yield from _texts(value[key], depth - 1)
                return


def _message(message: dict[str, Any]) -> Iterator[str]:
    if message.get("role") not in _USER:
        return
    content = message.get("parts") or message.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, str):
                yield part
            elif isinstance(part, dict) and part.get("type") in _TEXT_PARTS:
                text = part.get("text", part.get("content"))
                if isinstance(text, str):
                    yield text


def _parsed(text: str) -> Any:
    """A JSON list or object of messages, or None where the text is only a text."""
    start = text.lstrip()[:1]
    if start not in ("[", "{"):
        return None
    try:
        value = _decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    items = value if isinstance(value, list) else [value] if value else []
    return value if all(map(_is_message, items)) else None


def _is_message(item: Any) -> bool:
    return isinstance(item, dict) and ("role" in item or any(key in item for key in _WRAPPERS))
