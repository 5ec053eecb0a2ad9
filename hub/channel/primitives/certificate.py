"""What an account's client certificate is known by; no chain is built here.

Whoever ends TLS has seen the client prove that it holds the private key; which account it is
follows from the hash of the certificate or of its key, not from a name in it or from who signed it.
Source: RFC 5280; RFC 9440 (the `Client-Cert` header).
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from hub.channel.primitives.hash import sha256
from hub.errors import InputError

MAX_CERTIFICATE = 16 * 1024


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate.

    Args:
        fingerprint: SHA-256 of its DER, in hex.
        key: SHA-256 of its SubjectPublicKeyInfo, in hex; a renewal may keep it.
        not_before: seconds UTC.
        not_after: seconds UTC.
        for_clients: its extended key usage, if it states one, allows client authentication.
    """

    fingerprint: str
    key: str
    not_before: int
    not_after: int
    for_clients: bool

    def valid_at(self, now: int) -> bool:
        """Whether it is in its time (seconds UTC)."""
        return self.not_before <= now <= self.not_after


def read_der(der: bytes) -> Certificate:
    """Read a certificate. Raises InputError."""
    try:
        return _described(x509.load_der_x509_certificate(der))
    except (ValueError, TypeError, x509.DuplicateExtension, UnsupportedAlgorithm) as error:
        raise InputError("not a certificate in DER", where="certificate") from error


def read_pem(pem: bytes) -> Certificate:
    """Read the one certificate of a PEM text. Raises InputError."""
    try:
        found = x509.load_pem_x509_certificates(pem)
        if len(found) != 1:
            raise InputError("one certificate is expected", where="certificate")
        return _described(found[0])
    except (ValueError, TypeError, x509.DuplicateExtension, UnsupportedAlgorithm) as error:
        raise InputError("not a certificate in PEM", where="certificate") from error


def _described(found: x509.Certificate) -> Certificate:
    public = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        allowed = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
        for_clients = not allowed.isdisjoint(usage)
    except x509.ExtensionNotFound:
        for_clients = True
    return Certificate(
        sha256(found.public_bytes(Encoding.DER)).hex(),
        sha256(public).hex(),
        int(found.not_valid_before_utc.timestamp()),
        int(found.not_valid_after_utc.timestamp()),
        for_clients,
    )
