"""A hub with an account for each role, kind of credential and standing, and ways to log in."""

from __future__ import annotations

import datetime
import json
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc import jws
from joserfc.jwk import ECKey

from hub.channel.primitives.certificate import read_der
from hub.login_settings import RFC9440, CertificateSettings, LoginSettings, OAuthIssuer
from hub.server.policy import Via
from hub.settings import HubLimits, HubSettings
from hub.store.interface import Store
from hub.store.records import Account, LoginKind

AUDIENCE = "https://hub.example"
PROXY = "192.0.2.1"


@dataclass
class Issuer:
    """An authorisation server's keys, served on loopback; it counts how often it is asked."""

    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "one"}))
    asked: int = 0
    up: bool = True
    url: str = ""

    @property
    def settings(self) -> OAuthIssuer:
        return OAuthIssuer(self.url, AUDIENCE, jwks_url=f"{self.url}jwks")

    def claims(self, client: str, **more: Any) -> dict[str, Any]:
        """Claims of a good token that a client got for itself; None leaves one out."""
        now = int(time.time())
        found = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": client,
            "client_id": client,
            "iat": now,
            "exp": now + 300,
            "jti": "1",
            **more,
        }
        return {name: value for name, value in found.items() if value is not None}

    def token(self, client: str, *, header: dict[str, Any] | None = None, **more: Any) -> str:
        """A token, signed with the key."""
        shown = {"alg": "ES256", "kid": "one", "typ": "at+jwt", **(header or {})}
        payload = json.dumps(self.claims(client, **more))
        return jws.serialize_compact(shown, payload, self.key, algorithms=["ES256"])


@contextmanager
def issuing(issuer: Issuer) -> Iterator[Issuer]:
    """Serve an issuer's keys."""

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            body = json.dumps({"keys": [issuer.key.as_dict(private=False)]}).encode()
            self.send_response(200 if issuer.up else 500)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((PROXY_SIDE, 0), Keys) as server:
        issuer.url = f"http://{PROXY_SIDE}:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()


PROXY_SIDE = "127.0.0.1"


def certificate(
    name: str = "gateway", *, days: int = 30, key: ec.EllipticCurvePrivateKey | None = None
) -> x509.Certificate:
    """A self-signed client certificate that ends in so many days."""
    private = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(private, hashes.SHA256())
    )


def header_of(shown: x509.Certificate) -> str:
    """A certificate as RFC 9440 writes it."""
    return f":{b64encode(shown.public_bytes(Encoding.DER)).decode()}:"


def settings_with(issuer: Issuer | None) -> HubSettings:
    """Settings that take every kind of credential, and set no rates."""
    return HubSettings(
        public_url="https://hub.example",
        logins=LoginSettings(
            CertificateSettings(RFC9440, (f"{PROXY}/32",)),
            () if issuer is None else (issuer.settings,),
        ),
        limits=HubLimits(account_rate=0, address_rate=0),
    )


def credentials(store: Store, account: Account, issuer: Issuer) -> dict[Via, dict[str, str]]:
    """Headers by which an account logs in, for each kind of credential."""
    token = store.create_token(account.org_id, account_id=account.id)
    shown = certificate(account.name)
    key = read_der(shown.public_bytes(Encoding.DER)).key
    store.add_login(account.id, LoginKind.KEY, key)
    store.add_login(account.id, LoginKind.CLIENT, account.id, issuer=issuer.url)
    return {
        Via.TOKEN: {"authorization": f"Bearer {token.secret}"},
        Via.CERTIFICATE: {"client-cert": header_of(shown)},
        Via.OAUTH: {"authorization": f"Bearer {issuer.token(account.id)}"},
    }
