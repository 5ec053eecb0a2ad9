"""Client certificates through a real nginx with the shipped configuration."""

from __future__ import annotations

import ssl
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import quote

from tests.e2e.members import Work, end, free_port, serve
from tests.faults.proxied import Proxy, nginx

PATH = "/stillwatch/collections/"
HEADERS = {"host": "hub.example", "accept": "application/taxii+json;version=2.1"}


def through(proxy: Proxy, shown: Path, **more: str) -> int:
    """A request through nginx with a certificate; the status of its answer."""
    context = ssl.create_default_context(cafile=str(proxy.authority.file))
    context.load_cert_chain(shown)
    connection = HTTPSConnection("127.0.0.1", proxy.port, timeout=20, context=context)
    try:
        connection.request("GET", PATH, headers={**HEADERS, **more})
        return connection.getresponse().status
    finally:
        connection.close()


def directly(work: Work, address: str, shown: Path) -> int:
    """The same past nginx, with its header, from an address of this machine."""
    connection = HTTPConnection("127.0.0.1", work.port, 20, source_address=(address, 0))
    pem = shown.read_text().partition("-----BEGIN PRIVATE")[0]
    try:
        connection.request("GET", PATH, headers={**HEADERS, "x-client-cert": quote(pem)})
        return connection.getresponse().status
    finally:
        connection.close()


def test_an_account_logs_in_with_its_certificate(tmp_path: Path) -> None:
    work = Work(tmp_path, free_port())
    work.run("none", "hub", "init", "--data", "hub")
    own = Path(work.token("lab")).read_text()
    work.run("none", "hub", "account", "add", "lab", "gateway", "--data", "hub")
    with nginx(tmp_path / "nginx", work.port) as proxy:
        other, _ = proxy.authority.issue("other")
        process = serve(
            work,
            *("--behind-proxy", "--public-url", "https://hub.example"),
            *("--client-cert-header", "X-Client-Cert", "--trusted-proxy", "127.0.0.1"),
        )
        try:
            # Signed by the authority that nginx asks for, and bound to nobody.
            assert through(proxy, proxy.member) == 401
            bind = ("bind-certificate", "--data", "hub", "lab/gateway", str(proxy.member))
            login = work.json("none", "hub", "account", *bind)
            assert through(proxy, proxy.member) == 200
            assert through(proxy, other) == 401
            # What a client itself says in that header does not get past nginx.
            pem = quote(proxy.member.read_text().partition("-----BEGIN PRIVATE")[0])
            assert through(proxy, other, **{"x-client-cert": pem, "client-cert": pem}) == 401
            assert through(proxy, other, authorization=f"Bearer {own}") == 200
            # From another address the header says nothing; from nginx's it would.
            assert directly(work, "127.0.0.2", proxy.member) == 401
            assert directly(work, "127.0.0.1", proxy.member) == 200
            work.run("none", "hub", "account", "unbind", "--data", "hub", login["id"])
            assert through(proxy, proxy.member) == 401
        finally:
            end(process)
