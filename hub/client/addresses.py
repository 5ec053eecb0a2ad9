"""Addresses that an account may name: nothing secret goes to them in clear."""

from __future__ import annotations

import contextlib
import ipaddress
from urllib.parse import urlsplit

from hub.errors import InputError


def checked_url(url: str, *, allow_plain_http: bool = False) -> str:
    """The URL with a trailing slash.

    Raises:
        InputError: it is no http(s) URL, holds credentials, or sends a token in clear.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise InputError(
            "the hub's address is not an http or https URL",
            where="api root",
            hint="such as https://hub.example/stillwatch/",
        )
    if parts.username or parts.password:
        raise InputError(
            "the hub's address must not hold credentials",
            where="api root",
            hint="give the token in a file with --token-file",
        )
    if parts.scheme == "http" and not allow_plain_http and not is_loopback(parts.hostname):
        raise InputError(
            "refusing plain http to another machine: the token would travel in clear",
            where="api root",
            hint="use https, or --allow-plain-http inside a network that you trust",
        )
    return url if url.endswith("/") else url + "/"


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
