"""Values that describe nearly everybody or nobody, and so must never become an indicator.

These are the hard limits that need no data to apply. Rates measured on a subscriber's own traffic
come on top of them, in matching.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from hub.errors import InputError

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

MIN_PREFIX: Final = {4: 24, 6: 48}
"""Shortest prefixes that may be published, in bits, by IP version."""
MIN_LITERAL_CHARS: Final = 12
MIN_LITERAL_ALPHABET: Final = 6
EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

# No client is seen from these across the Internet. Documentation (RFC 5737, RFC 3849) and
# benchmarking ranges (RFC 2544) are left out, so that samples and drills can use them.
_RESERVED: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/3",
        "::/127",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    )
)

# Tests, health checks and misconfigured logs are full of them.
_RESOLVERS: Final = tuple(
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

_MAIL_FOR_EVERYBODY: Final = frozenset(
    {
        "126.com",
        "163.com",
        "aol.com",
        "fastmail.com",
        "gmail.com",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "naver.com",
        "outlook.com",
        "pm.me",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "tutanota.com",
        "web.de",
        "yahoo.co.jp",
        "yahoo.com",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
        "zoho.com",
    }
)
_HOSTS_FOR_EVERYBODY: Final = frozenset(
    {
        "akamai.net",
        "amazon.com",
        "amazonaws.com",
        "apple.com",
        "azure.com",
        "cloudflare.com",
        "cloudfront.net",
        "fastly.net",
        "github.com",
        "github.io",
        "google.com",
        "googleapis.com",
        "googleusercontent.com",
        "microsoft.com",
        "windows.net",
        "workers.dev",
    }
)


def require_network(network: IPNetwork) -> None:
    """Refuse a range that is too wide, reserved, or holds a public resolver.

    Raises:
        InputError: with the reason; the address is not shown.
    """
    if network.prefixlen < MIN_PREFIX[network.version]:
        raise InputError(
            f"a prefix of {network.prefixlen} bits describes too many; "
            f"at least {MIN_PREFIX[network.version]} are wanted",
            where="network",
        )
    if any(network.version == no.version and network.overlaps(no) for no in _RESERVED):
        raise InputError("a reserved range, seen from everywhere or nowhere", where="network")
    if any(network.version == one.version and one in network for one in _RESOLVERS):
        raise InputError("holds a public DNS resolver", where="network")


def require_domain(name: str) -> None:
    """Refuse a domain that belongs to everybody.

    Args:
        name: lower case, A-labels.
    Raises:
        InputError: a mail provider of the general public, or a host that everybody talks to.
    """
    if name in _MAIL_FOR_EVERYBODY:
        raise InputError("mail provider of the general public", where="domain")
    if name.removeprefix("www.") in _HOSTS_FOR_EVERYBODY:
        raise InputError("a host that everybody talks to", where="domain")


def require_phrase(text: str) -> None:
    """Refuse a phrase that is too short or monotonous to tell prompts apart.

    Raises:
        InputError: fewer than 12 characters, or fewer than 6 different ones.
    """
    if len(text) < MIN_LITERAL_CHARS or len(set(text)) < MIN_LITERAL_ALPHABET:
        raise InputError(
            f"at least {MIN_LITERAL_CHARS} characters, {MIN_LITERAL_ALPHABET} of them different, "
            "are wanted",
            where="prompt.literal",
        )


def require_digest(digest: str, where: str) -> None:
    """Refuse the hash of nothing, which every empty field has.

    Raises:
        InputError: the SHA-256 of the empty string.
    """
    if digest == EMPTY_SHA256:
        raise InputError("the hash of nothing", where=where)
