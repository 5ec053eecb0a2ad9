"""How Hyperscan is to be asked for what LIKE and MATCHES literals say."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from hub.match.index.backtracking import is_compiled_soon
from hub.match.syntax import Comparison, Operator

CASE_FRIENDS: Final = {0x130: "i", 0x131: "i", 0x17F: "s"}
"""The characters beyond ASCII, in normal form C, that a caseless ASCII letter matches."""

_BOUNDED_DOTS: Final = re.compile(r"(?<!\\)\.\{(?:\d+,)?(?:\d{3,}|[7-9]\d)\}")

# Spellings that both engines accept and read differently.
_READ_DIFFERENTLY: Final = re.compile(r"\[:|\[\[|\{,|\x00|\\[xu0-9]|\(\?[aLu]")


def spelled(comparison: Comparison) -> str | None:
    """What Hyperscan is to look for; None if it reads that otherwise or compiles it for long."""
    text = unicodedata.normalize("NFC", str(comparison.values[0]))
    if comparison.operator is Operator.MATCHES:
        return text if is_compiled_soon(text) and not _READ_DIFFERENTLY.search(text) else None
    parts = re.split("%+", text)
    start = "" if parts[0] == "" and len(parts) > 1 else r"\A"
    end = "" if parts[-1] == "" and len(parts) > 1 else r"\z"
    inner = "(?s:.*)".join(_like_part(part) for part in parts if part)
    return f"{start}{inner}{end}"


def _like_part(part: str) -> str:
    return "".join(
        "(?s:.)" if char == "_" else char if _is_plain(char) else f"\\x{ord(char):02x}"
        for char in part
    )


def _is_plain(char: str) -> bool:
    return not char.isascii() or char.isalnum()


def widened(expression: str) -> str:
    """Let `.{0,200}` be `.*`: it proposes more, never less, and compiles a hundred times faster.

    Up to 69 the database is built fast enough, and finds faster.
    """
    return expression if "[" in expression else _BOUNDED_DOTS.sub(".*", expression)
