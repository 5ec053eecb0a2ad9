"""The shipped nginx configuration in a real nginx on loopback, in front of a hub."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hub.serving import free_port
from tests.e2e.authority import Authority
from tests.faults.hub_process import REPOSITORY
from tests.faults.tools import needed

SHIPPED: Final = REPOSITORY / "deploy" / "nginx" / "stillwatch-hub.conf"
_START_SECONDS: Final = 20.0
_FRAME: Final = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/shipped.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running nginx.

    Args:
        port: of TLS.
        plain_port: of HTTP without TLS.
        authority: signed the certificates of both sides.
        member: the file of a member's certificate and key.
    """

    port: int
    plain_port: int
    authority: Authority
    member: Path

    def connect(self) -> ssl.SSLSocket:
        """A connection with a member's certificate."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        context.load_cert_chain(self.member)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")


@contextmanager
def nginx(folder: Path, hub_port: int) -> Iterator[Proxy]:
    """Start the shipped configuration with ports and files of its own.

    Args:
        folder: a new one, for everything that nginx writes.
        hub_port: where the hub listens on loopback.
    """
    program = needed("nginx")
    folder.mkdir(mode=0o700)
    authority = Authority(folder)
    server, server_key = authority.issue("server")
    member, _ = authority.issue("member")
    proxy = Proxy(free_port("127.0.0.1"), free_port("127.0.0.1"), authority, member)
    (folder / "shipped.conf").write_text(
        _adapted(SHIPPED.read_text(), proxy, hub_port, folder, server, server_key)
    )
    user = "user root;" if os.geteuid() == 0 else ""
    frame = folder / "nginx.conf"
    frame.write_text(_FRAME.format(folder=folder, user=user))
    process = subprocess.Popen(
        [program, "-p", str(folder), "-c", str(frame), "-e", str(folder / "start.log")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _wait(process, proxy.port)
        yield proxy
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _adapted(
    text: str, proxy: Proxy, hub_port: int, folder: Path, server: Path, server_key: Path
) -> str:
    """The shipped text with this machine's ports and files; nothing else is changed."""
    changes = (
        (r"listen \[::\]:\d+[^;]*;", ""),
        (r"listen 80;", f"listen 127.0.0.1:{proxy.plain_port};"),
        (r"listen 443 ", f"listen 127.0.0.1:{proxy.port} "),
        (r"server 127\.0\.0\.1:8427;", f"server 127.0.0.1:{hub_port};"),
        (r"/var/log/nginx/", f"{folder}/"),
        (r"/etc/stillwatch/tls/hub\.pem", str(server)),
        (r"/etc/stillwatch/tls/hub\.key", str(server_key)),
        (r"/etc/stillwatch/tls/members-ca\.pem", str(proxy.authority.file)),
    )
    for pattern, ours in changes:
        text, count = re.subn(pattern, ours, text)
        assert count, f"the shipped configuration has no {pattern}"
    return text


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if process.poll() is not None:
            assert process.stderr is not None
            raise AssertionError(f"nginx did not start: {process.stderr.read().decode()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.05)
            continue
        return
