"""What a request presents: API tokens in the forms in which clients send them, and certificates.

Basic (the password is the token, the user name is free), Bearer, `Token`, and `X-API-Key`; schemes
in any case. A client certificate arrives in a header of the reverse proxy that ended TLS.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from hub.channel.primitives.certificate import MAX_CERTIFICATE, Certificate, read_der, read_pem
from hub.errors import InputError
from hub.login_settings import RFC9440, CertificateSettings

Headers = Sequence[tuple[bytes, bytes]]
"""Raw (name, value) pairs, names in lower case."""

_MAX_CREDENTIAL: Final = 8192
_MAX_KEPT: Final = 1000


class Presented(NamedTuple):
    """A token as a request presents it; `scheme` is `basic`, `bearer`, `token` or `key`."""

    scheme: str
    text: str


def presented(headers: Iterable[tuple[bytes, bytes]]) -> Presented | None:
    """The token of a request, or None when it presents none, several, or a malformed one."""
    found: list[Presented | None] = []
    for name, value in headers:
        if len(value) > _MAX_CREDENTIAL:
            continue
        if name == b"authorization":
            found.append(_from_authorization(value))
        elif name == b"x-api-key":
            found.append(_made("key", value.strip()))
    return found[0] if len(found) == 1 else None


def presents_credentials(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request tries to log in with a token at all."""
    return any(name in (b"authorization", b"x-api-key") for name, _ in headers)


def _from_authorization(value: bytes) -> Presented | None:
    scheme, _, rest = value.strip().partition(b" ")
    rest = rest.strip()
    lower = scheme.lower()
    if lower in (b"bearer", b"token"):
        return _made(lower.decode(), rest)
    if lower != b"basic":
        return None
    try:
        pair = base64.b64decode(rest, validate=True)
    except (binascii.Error, ValueError):
        # MISP sends what its operator stored, which may be the bare token.
        return _made("basic", rest)
    _, colon, password = pair.partition(b":")
    return _made("basic", password if colon else rest)


def _made(scheme: str, value: bytes) -> Presented | None:
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        return None
    return Presented(scheme, text) if text and text.isprintable() else None


class CertificateHeader:
    """Reads the header in which a trusted proxy passes a client's certificate on.

    Args:
        settings: which header, and whom to believe.
    """

    def __init__(self, settings: CertificateSettings) -> None:
        self._name = settings.header.encode("ascii")
        self._escaped = settings.header != RFC9440
        self._proxies = [ipaddress.ip_network(one) for one in settings.proxies]
        self._kept: OrderedDict[bytes, Certificate] = OrderedDict()

    def certificate(self, headers: Headers, peer: str) -> Certificate | None:
        """The client's certificate.

        Args:
            headers: of the request.
            peer: address of the other end of the connection itself.
        Returns:
            None where there is none, several, a malformed one, or nobody to believe it from.
        """
        values = [value for name, value in headers if name == self._name]
        if len(values) != 1 or not self._trusted(peer):
            return None
        value = values[0]
        kept = self._kept.get(value)
        if kept is not None:
            return kept
        if not value or len(value) > 2 * MAX_CERTIFICATE:
            return None
        try:
            found = read_pem(unquote_to_bytes(value)) if self._escaped else _byte_sequence(value)
        except InputError:
            return None
        self._kept[value] = found
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return found

    def _trusted(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._proxies)


def _byte_sequence(value: bytes) -> Certificate:
    """An RFC 8941 byte sequence: base64 between colons."""
    value = value.strip()
    if len(value) < 3 or value[:1] != b":" or value[-1:] != b":":
        raise InputError("not a byte sequence", where=RFC9440)
    try:
        return read_der(base64.b64decode(value[1:-1], validate=True))
    except (binascii.Error, ValueError) as error:
        raise InputError("not a byte sequence", where=RFC9440) from error
