"""A member that logs in to a served hub by OAuth 2.0 client credentials, command by command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.members import Work, end, free_port, serve
from tests.interop.authorisation_process import Server, authorisation_server
from tests.interop.authorisation_server import AUDIENCE, SECRETS


@pytest.fixture
def server() -> Iterator[Server]:
    with authorisation_server() as made:
        yield made


def secret_file(work: Work, text: str) -> str:
    path = work.folder / "client.secret"
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    return str(path)


def bound_hub(work: Work, server: Server) -> tuple[str, str]:
    """A hub that takes the client `gateway` as the provider's; a collection, and the login's id."""
    work.run("none", "hub", "init", "--data", "hub")
    work.token("lab")
    work.run("none", "hub", "org", "add", "provider", "--data", "hub")
    work.run("none", "hub", "account", "add", "provider", "gateway", "--data", "hub")
    login = work.json(
        *("none", "hub", "account", "bind-oauth", "--data", "hub", "provider/gateway"),
        *("--issuer", server.url, "--client-id", "gateway"),
    )
    (work.folder / "issuers.toml").write_text(
        f'[[issuer]]\nissuer = "{server.url}"\naudience = "{AUDIENCE}"\n'
        f'jwks_url = "{server.url}jwks"\n'
    )
    added = ("collection", "add", "Circle", "--owner", "lab", "--data", "hub")
    return work.json("none", "hub", *added)["id"], login["id"]


def test_a_member_joins_pulls_and_publishes_by_oauth(tmp_path: Path, server: Server) -> None:
    work = Work(tmp_path, free_port())
    collection, login = bound_hub(work, server)
    oauth = ["--oauth-token-url", f"{server.url}token", "--oauth-client-id", "gateway"]
    oauth += ["--oauth-secret-file", secret_file(work, SECRETS["gateway"])]
    process = serve(work, "--oauth-issuers", "issuers.toml")
    try:
        for name in ("lab", "provider"):
            work.run(name, "init", "--organisation", name.title(), "--key-file")
        hub = ("--hub", work.api_root, "--token-file", "lab.token", "--collection", collection)
        work.run("lab", "channel", "create", "circle", *hub)
        words = ("--organisation", "Provider", "--role", "publish", "--out", "invitation")
        work.run("lab", "channel", "invite", "circle", *words)
        joining = ("join", "--invitation-file", "invitation", "--name", "circle")
        joined = work.json("provider", *joining, *oauth)
        work.run("lab", "channel", "approve", "circle", "--words", " ".join(joined["words"]))
        # From here on no command is told how to log in.
        work.run("provider", "pull")
        (tmp_path / "lead.csv").write_text("address,campaign\n198.51.100.7,LANTERN\n")
        work.run("provider", "publish", "lead.csv", "--channel", "circle")
        work.run("lab", "pull")
        assert "198.51.100.7" in work.run("lab", "indicators", "--json")
        # A wrong secret is told as such, and does not replace the account that works.
        secret_file(work, "made-up")
        wrong = work.run("provider", "channel", "account", "circle", *oauth, code=4)
        assert "refuses this client: invalid_client" in wrong
        work.run("provider", "pull")
        # The client's tokens are good, but the hub knows them for nobody any more.
        work.run("none", "hub", "account", "unbind", "--data", "hub", login)
        unbound = work.run("provider", "pull", code=4)
        assert "refuses the access tokens of this OAuth client" in unbound
        assert "bind-oauth" in unbound
        kept = [one.read_bytes() for one in (tmp_path / "provider").iterdir() if one.is_file()]
        said = b"".join([*kept, (tmp_path / "hub.log").read_bytes(), (wrong + unbound).encode()])
        header = server.token("gateway").partition(".")[0]
        for hidden in (SECRETS["gateway"], "made-up", header):
            assert hidden.encode() not in said
    finally:
        end(process)
