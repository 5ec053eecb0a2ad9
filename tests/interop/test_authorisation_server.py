"""Access tokens of a stock authorisation server, in a process of its own, at a served hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.members import Work, end, free_port, serve
from tests.interop.authorisation_process import Server, authorisation_server
from tests.interop.authorisation_server import AUDIENCE, SECRETS


@pytest.fixture
def server() -> Iterator[Server]:
    with authorisation_server() as made:
        yield made


def status(work: Work, token: str) -> int:
    """What the hub answers to a request with this token."""
    answer = requests.get(
        f"{work.api_root}collections/",
        headers={
            "authorization": f"Bearer {token}",
            "accept": "application/taxii+json;version=2.1",
        },
        timeout=20,
    )
    return answer.status_code


def test_client_credentials_log_in(tmp_path: Path, server: Server) -> None:
    work = Work(tmp_path, free_port())
    work.run("none", "hub", "init", "--data", "hub")
    own = Path(work.token("lab")).read_text()
    made = work.json("none", "hub", "account", "add", "lab", "gateway", "--data", "hub")
    bind = ("hub", "account", "bind-oauth", "--data", "hub", "lab/gateway", "--issuer", server.url)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRETS["hub"])
    file = tmp_path / "issuers.toml"
    file.write_text(
        f'[[issuer]]\nissuer = "{server.url}"\naudience = "{AUDIENCE}"\n'
        f'jwks_url = "{server.url}jwks"\nintrospection_url = "{server.url}introspect"\n'
        'client_id = "hub"\nsecret_file = "secret"\n'
    )
    process = serve(work, "--oauth-issuers", str(file))
    try:
        signed, opaque = server.token("gateway"), server.token("opaque")
        assert status(work, signed) == 401
        login = work.json("none", *bind, "--client-id", "gateway")
        assert login["account"] == made["id"]
        assert status(work, signed) == 200
        assert status(work, opaque) == 401
        work.json("none", *bind, "--client-id", "opaque")
        assert status(work, opaque) == 200
        assert status(work, "opaque-made-up") == 401
        # Another client's token of the same server speaks for nobody here.
        assert status(work, server.token("hub")) == 401
        # Tokens that are known go on when the server is away; others wait, and API tokens go on.
        unseen = server.token("opaque")
        server.stop()
        assert status(work, signed) == 200
        assert status(work, unseen) == 503
        assert status(work, own) == 200
        work.json("none", "hub", "account", "unbind", "--data", "hub", login["id"])
        assert status(work, signed) == 401
        log = (tmp_path / "hub.log").read_text()
        for hidden in (signed, opaque, unseen, SECRETS["hub"]):
            assert hidden not in log
    finally:
        end(process)
