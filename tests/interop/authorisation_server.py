"""A stock OAuth 2.0 authorisation server (Authlib's, in Flask): `python -m … PORT`.

Client credentials (RFC 6749, section 4.4) give the client `gateway` JWTs (RFC 9068) and `opaque`
random tokens; its keys are at `/jwks`, introspection (RFC 7662) for the client `hub` at
`/introspect`.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, jsonify
from joserfc.jwk import ECKey, KeySet

AUDIENCE: Final = "https://hub.example"
SECRETS: Final = {"gateway": "gateway-secret", "opaque": "opaque-secret", "hub": "hub-secret"}


class Client:
    """A confidential client, as Authlib asks for one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get_client_id(self) -> str:
        return self.name

    def get_allowed_scope(self, scope: str) -> str:
        return scope or ""

    def check_client_secret(self, secret: str) -> bool:
        return secret == SECRETS[self.name]

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"


@dataclass(frozen=True)
class Issued:
    """A token's whereabouts, as Authlib asks for them."""

    client: str
    expires: int

    def is_expired(self) -> bool:
        return self.expires <= time.time()

    def is_revoked(self) -> bool:
        return False


def application(issuer: str) -> Flask:
    """The server.

    Args:
        issuer: its identifier, and its URL.
    """
    app = Flask("authorisation-server")
    issued: dict[str, Issued] = {}
    keys: list[Any] = [ECKey.generate_key("P-256", {"kid": "key-0", "alg": "ES256"})]
    jwts: Any = JWTBearerTokenGenerator(issuer, alg="ES256")
    jwts.get_jwks = lambda: KeySet(keys)
    jwts.get_audiences = lambda client, user, scope: [AUDIENCE]
    random: Any = BearerTokenGenerator(lambda **_: f"opaque-{time.monotonic_ns()}")

    def make(**given: Any) -> Any:
        return (jwts if given["client"].name == "gateway" else random)(**given)

    def save(token: dict[str, Any], request: Any) -> None:
        expires = int(time.time()) + int(token["expires_in"])
        issued[token["access_token"]] = Issued(request.client.name, expires)

    def describe(self: Any, token: Issued) -> dict[str, Any]:
        del self
        return {"client_id": token.client, "aud": AUDIENCE, "exp": token.expires}

    introspection = type(
        "Introspection",
        (IntrospectionEndpoint,),
        {
            "query_token": lambda self, token, hint: issued.get(token),
            "check_permission": lambda self, token, client, request: client.name == "hub",
            "introspect_token": describe,
        },
    )
    server = AuthorizationServer(app, lambda name: Client(name) if name in SECRETS else None, save)
    server.register_token_generator("default", make)
    server.register_grant(ClientCredentialsGrant)
    server.register_endpoint(introspection)

    @app.post("/token")
    def token() -> Any:
        return server.create_token_response()

    @app.post("/introspect")
    def introspect() -> Any:
        return server.create_endpoint_response("introspection")

    @app.get("/jwks")
    def jwks() -> Any:
        return jsonify(KeySet(keys).as_dict(private=False))

    return app


def main() -> None:
    """Serve on loopback until ended."""
    port = int(sys.argv[1])
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application(f"http://127.0.0.1:{port}/").run("127.0.0.1", port, threaded=True)


if __name__ == "__main__":
    main()
