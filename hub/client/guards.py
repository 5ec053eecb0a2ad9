"""Guards against indicators that describe everybody, beyond those of the model's builders.

Each guard returns why a value must not be published, or None. The reason never repeats the value.
"""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from typing import Final

# What honest people write; a pattern that meets one of these describes everybody.
_EVERYDAY_PROMPTS: Final = (
    "Please explain step by step how photosynthesis works.",
    "Act as an experienced travel guide and plan three days in Lisbon.",
    "Write a Python function that reads a CSV file and prints its columns.",
    "Summarize the following text in three bullet points:",
    "Translate this sentence into French: Where is the train station?",
    "You are a helpful assistant. Answer as concisely as possible.",
    "Think carefully and show your reasoning before the final answer.",
    "Fix the grammar of my email to the landlord.",
    "What is the difference between a list and a tuple?",
)
_MIN_WORDS: Final = 3
_MIN_BITS: Final = 40.0
_WORD: Final = re.compile(r"\w+")
_MAILBOX: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_ADDRESS: Final = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_DIGITS: Final = re.compile(r"(?:\d[ -]?){9,}")


def prompt(text: str) -> str | None:
    """A text too short or too uniform to tell one author from another."""
    if len(_WORD.findall(text)) < _MIN_WORDS:
        return f"too little to go by: fewer than {_MIN_WORDS} words"
    if _bits(text) < _MIN_BITS:
        return "too little to go by: the text repeats itself"
    return None


def literal(text: str) -> str | None:
    """A phrase that stands in everyday prompts."""
    lowered = text.lower().strip()
    if any(lowered in each.lower() for each in _EVERYDAY_PROMPTS):
        return "a phrase of everyday prompts"
    return prompt(text)


def regex(text: str) -> str | None:
    """An expression that meets everyday prompts; that it compiles is checked elsewhere."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            compiled = re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return "not a regular expression"
    if any(compiled.search(each) for each in _EVERYDAY_PROMPTS):
        return "meets everyday prompts"
    return None


def free_text(text: str) -> str | None:
    """Words for other members that hold somebody's identifier."""
    if _MAILBOX.search(text):
        return "holds an e-mail address"
    if _ADDRESS.search(text):
        return "holds an IP address"
    if _DIGITS.search(text):
        return "holds a long number, as of a phone or card"
    return None


def _bits(text: str) -> float:
    """Shannon entropy of the text's characters, in bits over the whole text."""
    counts = Counter(text)
    return sum(-n * math.log2(n / len(text)) for n in counts.values())
