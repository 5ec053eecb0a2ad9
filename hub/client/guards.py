"""Guards against indicators that describe everybody.

Each guard returns why a value must not be published, or None. The reason never repeats the value.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import re
from collections import Counter
from typing import Final

from hub.fingerprint import prompts

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Not `is_private`: that also holds for the documentation ranges (RFC 5737, RFC 3849), which
# exercises and samples use.
_UNSHAREABLE: Final = tuple(
    (ipaddress.ip_network(text), reason)
    for text, reason in (
        ("0.0.0.0/8", "unspecified address"),
        ("10.0.0.0/8", "private address"),
        ("100.64.0.0/10", "address of carrier-grade NAT"),
        ("127.0.0.0/8", "loopback address"),
        ("169.254.0.0/16", "link-local address"),
        ("172.16.0.0/12", "private address"),
        ("192.168.0.0/16", "private address"),
        ("224.0.0.0/4", "multicast address"),
        ("240.0.0.0/4", "reserved address"),
        ("::/128", "unspecified address"),
        ("::1/128", "loopback address"),
        ("fc00::/7", "private address"),
        ("fe80::/10", "link-local address"),
        ("ff00::/8", "multicast address"),
    )
)
_PUBLIC_RESOLVERS: Final = tuple(
    ipaddress.ip_address(text)
    for text in (
        "1.0.0.1",
        "1.1.1.1",
        "8.8.4.4",
        "8.8.8.8",
        "9.9.9.9",
        "94.140.14.14",
        "94.140.15.15",
        "149.112.112.112",
        "208.67.220.220",
        "208.67.222.222",
        "2001:4860:4860::8844",
        "2001:4860:4860::8888",
        "2606:4700:4700::1001",
        "2606:4700:4700::1111",
        "2620:fe::9",
        "2620:fe::fe",
    )
)
_MIN_PREFIX: Final = {4: 24, 6: 48}
_MAIL_FOR_EVERYBODY: Final = frozenset(
    "aol.com fastmail.com gmail.com gmx.com gmx.de gmx.net googlemail.com hotmail.com icloud.com "
    "live.com mac.com mail.com mail.ru me.com msn.com naver.com outlook.com pm.me proton.me "
    "protonmail.com qq.com web.de yahoo.co.jp yahoo.com yandex.com yandex.ru ymail.com zoho.com "
    "126.com 163.com".split()
)
_EMPTY_HASHES: Final = frozenset(
    hashlib.new(name, text, usedforsecurity=False).hexdigest()
    for name in ("md5", "sha1", "sha256", "sha512")
    for text in (b"", b"\n", b" ")
)
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
_MIN_CHARACTERS: Final = 16
_MIN_WORDS: Final = 4
_MIN_BITS: Final = 48.0
_MAX_REGEX: Final = 1000
_WORD: Final = re.compile(r"\w+")


def network(value: Network) -> str | None:
    """An address or prefix that stands for too many, or for nobody outside."""
    for reserved, reason in _UNSHAREABLE:
        if reserved.version == value.version and reserved.overlaps(value):
            return reason
    if value.prefixlen < _MIN_PREFIX[value.version]:
        return f"prefix shorter than /{_MIN_PREFIX[value.version]}"
    if any(each.version == value.version and each in value for each in _PUBLIC_RESOLVERS):
        return "holds a public DNS resolver"
    return None


def mail_domain(domain: str) -> str | None:
    """A mail domain that everybody uses."""
    return "mail provider of the general public" if domain in _MAIL_FOR_EVERYBODY else None


def digest(text: str) -> str | None:
    """The hash of nothing."""
    return "hash of an empty text" if text.lower() in _EMPTY_HASHES else None


def prompt(text: str) -> str | None:
    """A text too short or too uniform to tell one author from another."""
    words = _WORD.findall(text.lower())
    if len(text.strip()) < _MIN_CHARACTERS or len(words) < _MIN_WORDS:
        return f"too little to go by: under {_MIN_CHARACTERS} characters or {_MIN_WORDS} words"
    if _bits(text) < _MIN_BITS:
        return "too little to go by: the text repeats itself"
    return None


def literal(text: str) -> str | None:
    """A phrase that stands in everyday prompts."""
    lowered = text.lower()
    if any(lowered in each.lower() for each in _EVERYDAY_PROMPTS):
        return "a phrase of everyday prompts"
    return prompt(text)


def regex(text: str) -> str | None:
    """An expression that does not compile, or that meets everyday prompts."""
    if len(text) > _MAX_REGEX:
        return f"longer than {_MAX_REGEX} characters"
    try:
        compiled = re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return "not a regular expression"
    if any(compiled.search(each) for each in ("", *_EVERYDAY_PROMPTS)):
        return "meets everyday prompts"
    return None


def banded(text: str) -> str | None:
    """A text without enough words to have shingles."""
    if not prompts.features(text).lsh_bands:
        return "fewer than 3 words: near-duplicates cannot be found"
    return prompt(text)


def _bits(text: str) -> float:
    """Shannon entropy of the text's characters, in bits over the whole text."""
    counts = Counter(text)
    return sum(-n * math.log2(n / len(text)) for n in counts.values())
