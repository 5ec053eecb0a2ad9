"""From a value that a lab knows to the kind and pattern that describe it.

Values are canonicalised as far as patterns compare text: addresses and domains. Values that
would match nearly everybody are refused here, before they can reach a subscriber.
"""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Sequence
from typing import Final, Protocol

import idna

from hub.errors import InputError
from hub.model import baserates
from hub.model.kinds import KINDS, MINHASH_PROFILE
from hub.model.pattern import ACCOUNT, NETWORK, USER_AGENT, any_of, contains, equals, matches

MAX_PROMPT_CHARS: Final = 512
MAX_REGEX_CHARS: Final = 1000
MAX_TOKENS: Final = 256

_TOKEN: Final = re.compile(r"([a-z][a-z0-9-]*):([a-z0-9][a-z0-9._-]{2,63}):[0-9a-f]{32,128}")
_BAND: Final = re.compile(r"mh3w\.64\.16x4:(0[0-9]|1[0-5]):[0-9a-f]{16}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_JA3: Final = re.compile(r"[0-9a-f]{32}")
_JA4: Final = re.compile(
    r"[tqd](?:1[0-3]|s[23]|d[1-3]|00)[di][0-9]{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}"
)
_ASN: Final = re.compile(r"(?:AS|as)([0-9]{1,10})")

TOKEN_INDICATORS: Final = {
    "email": "account.email-keyed",
    "payment-instrument": "account.payment-keyed",
    "phone": "account.phone-keyed",
    "device": "account.device-keyed",
    "api-key": "account.api-key-keyed",
    "org": "account.org-token",
}
"""The kind that describes each kind of token. Names identify nobody, so they have none."""

_ACCOUNT_FIELDS: Final = {
    "account.email-domain": ("email_domain", 253),
    "account.email-shape": ("local_part_shape", 128),
    "account.name-shape": ("display_name_shape", 128),
    "account.api-key-prefix": ("api_key_prefix", 12),
}

_HASHES: Final = {
    "prompt.sha256-raw": "sha256_raw",
    "prompt.sha256-norm": "sha256_norm",
    "prompt.template": "template_sha256",
}


class PromptFeatures(Protocol):
    """What `hub.fingerprint.prompts.features` tells of a prompt."""

    @property
    def sha256_raw(self) -> str: ...
    @property
    def sha256_norm(self) -> str: ...
    @property
    def template_sha256(self) -> str: ...
    @property
    def lsh_bands(self) -> tuple[str, ...]: ...


def token_pattern(tokens: Sequence[str]) -> tuple[str, str, str | None]:
    """Kind, pattern and key id (None if there are several) for tokens of one identifier.

    Raises:
        InputError: not `kind:key_id:hex` tokens, of several kinds, or of a kind with no place
            in the catalogue.
    """
    if not 1 <= len(tokens) <= MAX_TOKENS:
        raise InputError(f"between 1 and {MAX_TOKENS} tokens are wanted", where="tokens")
    found = [_TOKEN.fullmatch(token) for token in tokens]
    parsed = {(match[1], match[2]) for match in found if match is not None}
    if None in found:
        raise InputError("not a token of the form kind:key_id:hex", where="tokens")
    kinds = {kind for kind, _ in parsed}
    if len(kinds) != 1:
        raise InputError("tokens of several kinds need several indicators", where="tokens")
    kind = TOKEN_INDICATORS.get(kinds.pop())
    if kind is None:
        raise InputError("the catalogue has no indicator for tokens of this kind", where="tokens")
    key_ids = {key_id for _, key_id in parsed}
    key_id = key_ids.pop() if len(key_ids) == 1 else None
    return kind, any_of(f"{ACCOUNT}fp_tokens[*]", tokens), key_id


def account_pattern(kind: str, value: str) -> tuple[str, str]:
    """Kind and pattern for an account's plain attribute.

    Args:
        kind: `email-domain`, `email-shape`, `name-shape` or `api-key-prefix`, with or without
            `account.`.
    Raises:
        InputError: another kind; an empty or too long value; not a domain.
    """
    full = _full(kind, "account")
    field = _ACCOUNT_FIELDS.get(full)
    if field is None:
        raise InputError("no account attribute of this kind", where="kind")
    path, longest = field
    if full == "account.email-domain":
        value = _domain(value)
    if not 1 <= len(value) <= longest:
        raise InputError(f"between 1 and {longest} characters are wanted", where=full)
    return full, equals(ACCOUNT + path, value)


def network_pattern(value: str, kind: str | None = None) -> tuple[str, str]:
    """Kind and pattern for where requests come from.

    Args:
        value: an address, a prefix, `AS64496`, JA3, JA4, or a host name, told apart by form.
        kind: needed for `user-agent`, whose values have no form of their own; else a check.
    Raises:
        InputError: no form fits, another kind is wanted, or the value describes everybody.
    """
    text = value.strip()
    wanted = None if kind is None else _full(kind, "network")
    if wanted == "network.user-agent":
        if not 1 <= len(value) <= MAX_PROMPT_CHARS:
            raise InputError("an empty or too long User-Agent", where=wanted)
        return wanted, equals(USER_AGENT, value)
    full, pattern = _by_form(text)
    if wanted is not None and wanted != full:
        raise InputError(f"the value has the form of {full}", where=wanted)
    return full, pattern


def _by_form(text: str) -> tuple[str, str]:
    if ":" in text or text[:1].isdigit():
        address = _address(text)
        if address is not None:
            return address
    asn = _ASN.fullmatch(text)
    if asn is not None:
        if not 0 < int(asn[1]) < 2**32 - 1:
            raise InputError("not an autonomous system number", where="network.asn")
        path = "network-traffic:src_ref.belongs_to_refs[*].number"
        return "network.asn", f"[{path} = {int(asn[1])}]"
    if _JA3.fullmatch(text):
        return "network.ja3", equals(f"{NETWORK}ja3", text)
    if _JA4.fullmatch(text):
        return "network.ja4", equals(f"{NETWORK}ja4", text)
    return "network.domain", equals("domain-name:value", _domain(text))


def _address(text: str) -> tuple[str, str] | None:
    try:
        if "%" in text:
            raise ValueError("an address with a zone id is local to its host")
        network = ipaddress.ip_network(text)
    except ValueError:
        if ":" in text or "/" in text:
            raise InputError(
                "not an address or prefix", where="network", hint="host bits must be zero"
            ) from None
        return None
    network = _unmapped(network)
    bits = network.prefixlen
    baserates.require_network(network)
    if network.version == 4:
        if bits == 32:
            return "network.ipv4", equals("ipv4-addr:value", str(network.network_address))
        return "network.cidr4", f"[ipv4-addr:value ISSUBSET '{network}']"
    if bits == 128:
        return "network.cidr6", equals("ipv6-addr:value", str(network.network_address))
    return "network.cidr6", f"[ipv6-addr:value ISSUBSET '{network}']"


def _unmapped(network: baserates.IPNetwork) -> baserates.IPNetwork:
    """IPv4 written in IPv6 (`::ffff:192.0.2.1`) as IPv4, which is how sources log it."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        inner = network.network_address.ipv4_mapped
        if inner is not None:
            return ipaddress.IPv4Network((inner, network.prefixlen - 96))
    return network


def prompt_pattern(kind: str, value: str | PromptFeatures) -> tuple[str, str]:
    """Kind and pattern for a prompt.

    Args:
        kind: `sha256-raw`, `sha256-norm`, `template`, `minhash-lsh`, `literal` or `regex`, with
            or without `prompt.`.
        value: the features of the prompt; or the hash, phrase or regular expression itself.
    Raises:
        InputError: the value does not fit the kind, or describes nearly every prompt.
    """
    full = _full(kind, "prompt")
    if full in _HASHES:
        field = _HASHES[full]
        digest = value if isinstance(value, str) else str(getattr(value, field))
        if _SHA256.fullmatch(digest) is None:
            raise InputError("not a SHA-256 in lower-case hex", where=full)
        baserates.require_digest(digest, full)
        return full, equals(f"llm-exchange:prompt.{field}", digest)
    if full == "prompt.minhash-lsh":
        return full, _bands(full, value)
    if not isinstance(value, str):
        raise InputError("the text itself is wanted", where=full)
    if full == "prompt.literal":
        baserates.require_phrase(value)
        if len(value) > MAX_PROMPT_CHARS:
            raise InputError(f"at most {MAX_PROMPT_CHARS} characters are wanted", where=full)
        return full, contains("llm-exchange:prompt.text", value)
    if full == "prompt.regex":
        _require_regex(value, full)
        return full, matches("llm-exchange:prompt.text", value)
    raise InputError("use indicator() for this kind", where=full)


def _bands(full: str, value: str | PromptFeatures) -> str:
    if isinstance(value, str):
        raise InputError("the features of the prompt are wanted", where=full)
    bands = value.lsh_bands
    if not bands:
        raise InputError("a prompt of fewer than three words has no bands", where=full)
    if any(_BAND.fullmatch(band) is None for band in bands):
        raise InputError(f"not bands of the profile {MINHASH_PROFILE}", where=full)
    return any_of("llm-exchange:prompt.lsh_bands[*]", bands)


def _require_regex(text: str, where: str) -> None:
    if not 1 <= len(text) <= MAX_REGEX_CHARS:
        raise InputError(f"between 1 and {MAX_REGEX_CHARS} characters are wanted", where=where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            compiled = re.compile(text)
    except (re.error, OverflowError, RecursionError):
        raise InputError("not a regular expression", where=where) from None
    if compiled.search("") is not None:
        raise InputError("the expression matches every prompt", where=where)


def _domain(text: str) -> str:
    """A host name in lower case, as A-labels (RFC 5890), without the final dot."""
    name = text.strip().removesuffix(".")
    try:
        encoded = idna.encode(name, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise InputError("not a domain name", where="domain") from None
    if "." not in encoded or encoded.rpartition(".")[2].isdigit():
        raise InputError("not a fully qualified domain name", where="domain")
    baserates.require_domain(encoded)
    return encoded


def _full(kind: str, layer: str) -> str:
    full = kind if kind.startswith(f"{layer}.") else f"{layer}.{kind}"
    if full not in KINDS:
        raise InputError(f"no {layer} kind of this name in the catalogue", where="kind")
    return full
