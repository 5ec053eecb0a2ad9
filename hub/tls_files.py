"""Certificates and keys that a server is given: read once before it starts, to say what is wrong.

The server itself would end the process, or name no file.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from hub.errors import InputError

__all__ = ["check_tls_files"]


def check_tls_files(certificate: Path | None, key: Path | None, client_ca: Path | None) -> None:
    """See that a certificate, its key and the CAs of client certificates can be used.

    Args:
        certificate: PEM certificate chain, or None for no TLS.
        key: its PEM key.
        client_ca: PEM certificates of the CAs that clients' certificates are checked against.
    Raises:
        InputError: one of them cannot be read, or the key is another certificate's.
    """
    if certificate is not None and key is not None:
        _certificates(certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # Without a password, so that nothing asks for one on a terminal.
            context.load_cert_chain(certificate, key, password=lambda: b"")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise InputError(
                    "it is not the key of the certificate",
                    where=str(key),
                    hint=f"give the key that {certificate} was made with",
                ) from error
            raise InputError(
                "not a private key in PEM, or one with a passphrase",
                where=str(key),
                hint="openssl pkcs8 -topk8 -nodes -in OLD -out NEW makes one that the hub reads",
            ) from error
        except OSError as error:
            raise _unreadable(key, error) from error
    if client_ca is not None:
        _certificates(client_ca)


def _certificates(path: Path) -> None:
    """Raise InputError unless the file holds certificates in PEM."""
    try:
        path.read_bytes()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise InputError(
            "no certificate in PEM is in it",
            where=str(path),
            hint="it begins with -----BEGIN CERTIFICATE-----; openssl x509 -in FILE shows it",
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot be read: {error.strerror}", where=str(path))
