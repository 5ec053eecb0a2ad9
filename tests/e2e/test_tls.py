"""A hub behind TLS that asks members for certificates."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.authority import Authority
from tests.e2e.members import Work, end, free_port


def _wait(work: Work, process: subprocess.Popen[bytes], authority: Authority, cert: Path) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(str(cert))
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, (work.folder / "hub.log").read_text()
        assert time.monotonic() < deadline, "the hub did not start"
        try:
            with (
                socket.create_connection(("127.0.0.1", work.port), 5) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1"),
            ):
                return
        except OSError:
            time.sleep(0.1)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[tuple[Work, str]]:
    made = Work(tmp_path, free_port())
    authority = Authority(tmp_path)
    server, server_key = authority.issue("server")
    member, _ = authority.issue("member")
    made.run("none", "hub", "init", "--data", "hub")
    made.token("lab")
    made.run("lab", "init", "--organisation", "Lab", "--key-file")
    words = ("collection", "add", "Circle", "--owner", "lab", "--data", "hub")
    collection = made.json("none", "hub", *words)["id"]
    tls = ("--tls-cert", str(server), "--tls-key", str(server_key))
    asks = ("--tls-client-ca", str(authority.file))
    with (tmp_path / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            made.command("hub", "serve", "--data", "hub", "--port", str(made.port), *tls, *asks),
            cwd=tmp_path,
            env=made.environment("none"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(made, process, authority, member)
        yield made, collection
    finally:
        end(process)


def test_certificates_on_both_sides(work: tuple[Work, str]) -> None:
    made, collection = work
    hub = ("--hub", made.api_root.replace("http:", "https:"), "--collection", collection)
    create = ("channel", "create", "circle", *hub, "--token-file", "lab.token")
    assert "not trusted" in made.run("lab", *create, code=7)
    trust = ("--ca-file", "ca.pem")
    made.run("lab", *create, *trust, code=7)
    made.run("lab", *create, *trust, "--client-cert", "member.pem")
    # Both files are remembered with the account.
    (pulled,) = made.json("lab", "pull")["channels"]
    assert pulled["problem"] is None
