"""A stock authorisation server as a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.e2e.members import free_port
from tests.interop.authorisation_server import SECRETS

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """The running authorisation server."""

    url: str
    process: subprocess.Popen[bytes]

    def token(self, client: str) -> str:
        """An access token of a client."""
        answer = requests.post(
            f"{self.url}token",
            data={"grant_type": "client_credentials"},
            auth=(client, SECRETS[client]),
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)


@contextlib.contextmanager
def authorisation_server() -> Iterator[Server]:
    """A server on a free port, ended with the block."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.interop.authorisation_server", str(port)],
        cwd=REPOSITORY,
        env={**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    made = Server(f"http://127.0.0.1:{port}/", process)
    deadline = time.monotonic() + 60
    try:
        while True:
            assert process.poll() is None, "the authorisation server did not start"
            assert time.monotonic() < deadline, "the authorisation server does not answer"
            try:
                requests.get(f"{made.url}jwks", timeout=5)
                break
            except requests.RequestException:
                time.sleep(0.1)
        yield made
    finally:
        made.stop()
