"""Words of reports: texts from logs made harmless, numbers with their nouns."""

from __future__ import annotations


def plain(value: str) -> str:
    """A text from a log or a publisher, without characters that could steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value)


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the plural where it needs one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
