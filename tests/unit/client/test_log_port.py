"""Answers of a log over HTTP: what is asked, and what is no answer."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests

from hub.channel.log.checkpoint import log_key
from hub.channel.log.note import MAX_NOTE
from hub.channel.primitives.sign import NotePrivate
from hub.client.log_port import HttpLog, offered
from hub.client.session import GuardedSession
from hub.errors import AccessError, TransportError
from hub.settings import ClientSettings

URL = "https://hub.example/stillwatch/channels/c1/"
HASH = b"\x07" * 32
LINE = base64.b64encode(HASH) + b"\n"


class Answering(GuardedSession):
    """A session that gives one answer."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        super().__init__(ClientSettings())
        self.body, self.status = body, status
        self.asked: list[tuple[str, Any]] = []

    def get(self, url: str | bytes, **options: Any) -> requests.Response:
        """The answer."""
        self.asked.append((str(url), options["params"]))
        response = requests.Response()
        response.status_code = self.status
        response._content = self.body
        return response


def test_what_is_asked_and_read() -> None:
    session = Answering(b"07" * 32 + b"\n")
    assert HttpLog(session, URL).entries(5, 7) == [HASH]
    session.body = LINE * 2
    assert HttpLog(session, URL).consistency(3, 9) == [HASH, HASH]
    assert HttpLog(session, URL).inclusion(9, 3) == [HASH, HASH]
    session.body = b""
    assert HttpLog(session, URL).consistency(0, 9) == []
    session.body = "— näher\n".encode()
    assert HttpLog(session, URL).checkpoint() == "— näher\n"
    assert session.asked == [
        (f"{URL}entries", {"from": 5, "to": 7}),
        (f"{URL}proof/consistency", {"from": 3, "to": 9}),
        (f"{URL}proof/inclusion", {"size": 9, "index": 3}),
        (f"{URL}proof/consistency", {"from": 0, "to": 9}),
        (f"{URL}checkpoint", {}),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"07" * 32,
        b"0G" * 32 + b"\n",
        b"07" * 31 + b"\n",
        (b"07" * 32 + b"\n") * 3,
        b"AB" * 32 + b"\n",
        b"\xff",
    ],
)
def test_what_are_no_entries(body: bytes) -> None:
    with pytest.raises(TransportError, match="entries are not readable"):
        HttpLog(Answering(body), URL).entries(0, 2)


@pytest.mark.parametrize("body", [b"x\n", LINE[:-2] + b"\n", b"\xff\n", LINE * 50, b"A" * 48])
def test_what_is_no_proof(body: bytes) -> None:
    with pytest.raises(TransportError, match="proof is not readable"):
        HttpLog(Answering(body), URL).consistency(1, 2)


def test_a_hub_without_a_log_and_one_that_fails() -> None:
    assert HttpLog(Answering(b"", 404), URL).checkpoint() is None
    assert HttpLog(Answering(b"", 404), URL).entries(0, 1) == []
    with pytest.raises(AccessError, match="answered 403"):
        HttpLog(Answering(b"", 403), URL).checkpoint()
    with pytest.raises(TransportError, match="answered 503"):
        HttpLog(Answering(b"", 503), URL).checkpoint()
    long = HttpLog(Answering(b"x" * 2**20), URL).checkpoint()
    assert long is not None
    assert len(long) == MAX_NOTE + 1
    assert HttpLog(Answering(b"\xff\xfe"), URL).checkpoint() == "\ufffd\ufffd"


def test_what_a_hub_offers() -> None:
    key = log_key("hub.example/a", NotePrivate(b"\x01" * 32)).text
    log = offered({"origin": "hub.example/a", "verifier_key": key}, URL)
    assert log is not None
    assert log.verifier_key == key
    assert offered(None, URL) is None
    for value in ("text", {}, {"origin": "hub.example/b", "verifier_key": key}, [1]):
        with pytest.raises(TransportError, match="offers an unreadable log"):
            offered(value, URL)
