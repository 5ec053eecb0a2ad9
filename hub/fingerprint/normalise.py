"""One spelling for each identifier, so that two parties derive the same token.

Every function takes the value as it was found and returns its normal form, or raises `InputError`
that names the kind and never the value. Source: schemas/fingerprint-v1.md, sections 1 and 2.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import idna
import phonenumbers

from hub.errors import InputError
from hub.fingerprint.text import prompt, template
from hub.fingerprint.unicode14 import unassigned

__all__ = [
    "COLUMN_KINDS",
    "TOKEN_KINDS",
    "api_key",
    "device",
    "email",
    "email_domain",
    "ip",
    "local_part_shape",
    "name",
    "of_kind",
    "org",
    "payment",
    "phone",
    "prompt",
    "shape",
    "template",
]


@dataclass(frozen=True, slots=True)
class _MailRule:
    """What a mail provider documents about its own addresses."""

    canonical: str
    ignores_dots: bool


# Only what providers document of themselves; for any other domain a dot tells two people apart.
_MAIL_RULES: Final = {
    "gmail.com": _MailRule("gmail.com", ignores_dots=True),
    "googlemail.com": _MailRule("gmail.com", ignores_dots=True),
}
_ATEXT: Final = re.compile(r"[^\s\x00-\x20\x7f-\x9f\"(),:;<>@\[\\\]]+")
_HEX_ID: Final = re.compile(r"\{?[0-9A-Fa-f]+(?:[-:.][0-9A-Fa-f]+)*\}?")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_PAN: Final = re.compile(r"[0-9]+(?:[ -][0-9]+)*")
_MAX_EMAIL: Final = 254
_MAX_OPAQUE: Final = 512
_MIN_OPAQUE: Final = 8
_MIN_HEX: Final = 12


def _nfkc(value: str, kind: str) -> str:
    """Compatibility composition; refuses what Unicode 14.0 leaves unassigned, and surrogates."""
    if value.isascii():
        return value
    if any(unassigned(ord(c)) for c in value if c > "\x7f"):
        raise InputError("characters that Unicode 14.0 does not assign", where=kind)
    return unicodedata.normalize("NFKC", value)


def _mailbox(value: str) -> tuple[str, str]:
    """Local part (case folded, with dots and tags) and domain (A-labels) of an address."""
    text = _nfkc(value.strip(), "email")
    if "(" in text or ")" in text:
        raise InputError("an e-mail address with a comment is not accepted", where="email")
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or len(text) > _MAX_EMAIL:
        raise InputError("not an e-mail address", where="email")
    local = _nfkc(local.casefold(), "email")
    if not _ATEXT.fullmatch(local):
        raise InputError("the local part has characters that need quoting", where="email")
    return local, _domain(domain)


@lru_cache(maxsize=4096)
def _domain(value: str) -> str:
    text = value.removesuffix(".")
    try:
        ascii_form = idna.encode(text.lower(), uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        # The library's message quotes the domain.
        raise InputError("the domain is not a host name (IDNA 2008)", where="email") from None
    if "." not in ascii_form:
        raise InputError("the domain has a single label", where="email")
    return ascii_form


def email(value: str) -> str:
    """`local@domain`: NFKC, case folded, IDNA 2008 A-labels, no tag, dots where they matter.

    A tag is everything from the first `+` of the local part. Dots of the local part go only for
    providers that document to ignore them.

    Raises:
        InputError: not an address; comments, quoted local parts and address literals are refused.
    Source: RFC 5322 section 3.4.1, RFC 5891, UTS 46; schemas/fingerprint-v1.md, section 2.1.
    """
    local, domain = _mailbox(value)
    local = local.partition("+")[0]
    rule = _MAIL_RULES.get(domain)
    if rule is not None:
        domain = rule.canonical
        if rule.ignores_dots:
            local = local.replace(".", "")
    if not all(local.split(".")):
        raise InputError("the local part is empty or has an empty atom", where="email")
    return f"{local}@{domain}"


def email_domain(value: str) -> str:
    """The domain of an address in A-labels, with aliases of one provider joined.

    Raises:
        InputError: as `email`.
    """
    return email(value).rpartition("@")[2]


def local_part_shape(value: str) -> str:
    """The shape of an address's local part, case folded, with its dots and its tag.

    Raises:
        InputError: as `email`.
    """
    return shape(_mailbox(value)[0])


def shape(value: str) -> str:
    """Each upper-case letter as `U`, other letter as `l`, decimal digit as `d`, the rest kept.

    >>> shape("Maria-Lopez-2041")
    'Ullll-Ullll-dddd'

    Raises:
        InputError: characters that Unicode 14.0 does not assign.
    """
    text = _nfkc(value.strip(), "shape")
    return "".join(
        "U" if c.isupper() else "l" if c.isalpha() else "d" if c.isdecimal() else c for c in text
    )


def phone(value: str, region: str | None = None) -> str:
    """E.164, such as `+12025550143`; extensions are dropped.

    Args:
        value: any usual spelling.
        region: ISO 3166 code that a number without a country code belongs to.
    Raises:
        InputError: not a possible number, or no country code and no region.
    Source: ITU-T E.164; schemas/fingerprint-v1.md, section 2.2.
    """
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        raise InputError(
            "not a phone number with a country code",
            where="phone",
            hint="write it as +<country><number>, or name the region",
        ) from None
    if not phonenumbers.is_possible_number(number):
        raise InputError("not a possible phone number", where="phone")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _opaque(value: str, kind: str) -> str:
    text = value.strip()
    if not _VISIBLE.fullmatch(text):
        raise InputError("white space or characters outside ASCII", where=kind)
    if not _MIN_OPAQUE <= len(text) <= _MAX_OPAQUE:
        raise InputError(f"length outside {_MIN_OPAQUE} to {_MAX_OPAQUE}", where=kind)
    return text


def device(value: str) -> str:
    """A device identifier: hexadecimal ids without separators in lower case, others as they are.

    Raises:
        InputError: inner white space, characters outside ASCII, or a length outside 8 to 512.
    Source: schemas/fingerprint-v1.md, section 2.3.
    """
    text = _opaque(value, "device")
    if _HEX_ID.fullmatch(text):
        digits = re.sub(r"[-:.{}]", "", text).lower()
        if len(digits) >= _MIN_HEX:
            return digits
    return text


def payment(value: str) -> str:
    """`pan:<digits>` for a card number, `fp:<text>` for a payment processor's own fingerprint.

    Digits with spaces or hyphens are a card number and must pass the Luhn check; anything else is
    taken as a fingerprint, case kept. A value that begins with `fp:` is always a fingerprint.

    Raises:
        InputError: neither form.
    Source: ISO/IEC 7812-1; schemas/fingerprint-v1.md, section 2.4.
    """
    text = value.strip()
    if _PAN.fullmatch(text):
        digits = re.sub(r"[ -]", "", text)
        if not 12 <= len(digits) <= 19 or not _luhn(digits):
            raise InputError("not a card number: length or check digit", where="payment")
        return f"pan:{digits}"
    return f"fp:{_opaque(text.removeprefix('fp:'), 'payment')}"


def _luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def api_key(value: str) -> str:
    """An API key as it is, trimmed.

    Raises:
        InputError: inner white space, characters outside ASCII, or a length outside 8 to 512.
    """
    return _opaque(value, "api-key")


def _words(value: str, kind: str) -> str:
    text = " ".join(_nfkc(_nfkc(value, kind).casefold(), kind).split())
    if not text or len(text) > _MAX_OPAQUE:
        raise InputError(f"empty, or longer than {_MAX_OPAQUE} characters", where=kind)
    return text


def org(value: str) -> str:
    """An organisation's name or id: NFKC, case folded, one space between words.

    Raises:
        InputError: empty, or longer than 512 characters.
    """
    return _words(value, "org")


def name(value: str) -> str:
    """A person's name: NFKC, case folded, one space between words.

    Raises:
        InputError: empty, or longer than 512 characters.
    """
    return _words(value, "name")


def ip(value: str) -> str:
    """An address: IPv4 dotted, IPv6 compressed in lower case, IPv4-mapped IPv6 as IPv4.

    Raises:
        InputError: not an address, or with a zone id.
    Source: RFC 5952, RFC 4291 section 2.5.5.2; schemas/fingerprint-v1.md, section 2.6.
    """
    text = value.strip()
    if "%" in text:
        raise InputError("an address with a zone id is local to its host", where="ip")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InputError("not an IP address", where="ip") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


_NORMALISERS: Final[dict[str, Callable[[str], str]]] = {
    "email": email,
    "phone": phone,
    "payment-instrument": payment,
    "device": device,
    "api-key": api_key,
    "org": org,
    "name": name,
}

TOKEN_KINDS: Final[tuple[str, ...]] = tuple(_NORMALISERS)
"""The kinds of identifier that have tokens, in the order in which tokens are listed."""

COLUMN_KINDS: Final[dict[str, str]] = {
    "email": "email",
    "phone": "phone",
    "payment": "payment-instrument",
    "device": "device",
    "api_key": "api-key",
    "org": "org",
    "name": "name",
}
"""Column of a table of accounts to the kind of token that its values get."""


def of_kind(kind: str, value: str, *, region: str | None = None) -> str:
    """Normalise a value by the name of its token kind.

    Args:
        kind: one of `TOKEN_KINDS`.
        value: the value as it was found.
        region: for phone numbers, as in `phone`.
    Raises:
        InputError: an unknown kind, or the value is not of that kind.
    """
    if kind == "phone":
        return phone(value, region)
    function = _NORMALISERS.get(kind)
    if function is None:
        raise InputError("not a kind of token", where="kind")
    return function(value)
