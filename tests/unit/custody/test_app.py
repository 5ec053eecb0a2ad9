"""The custodian over HTTP: a code for each refusal, bounded bodies, logs that tell nothing."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest
from starlette.types import Message, Scope

from hub.channel.custodian_replies import Refusal, parse_refusal, parse_standing
from hub.channel.custodians import MAX_REQUEST, parse_answer
from hub.custody.app import create_app
from hub.custody.keys import destroy_key
from hub.custody.quota import Rule
from hub.custody.service import EVERYBODY, set_rule
from hub.errors import StoreError
from tests.unit.channel.cast import NOW, Person, Scene
from tests.unit.custody.stand import Stand, blinding_of, posted, scene

LAB, LIAISON = Person("lab"), Person("liaison")
SECRET: Final = b"a word that must not be logged"


class Client:
    """Calls the application without a socket.

    Args:
        stand: whose custodian it serves.
    """

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.app = create_app(stand.custodian, now=lambda: stand.now)
        self.taken = 0

    def __call__(
        self, method: str, path: str, body: bytes = b"", *, repeat: int = 1
    ) -> tuple[int, dict[str, str], bytes]:
        return asyncio.run(self._call(method, path, body, repeat))

    async def _call(
        self, method: str, path: str, body: bytes, repeat: int
    ) -> tuple[int, dict[str, str], bytes]:
        sent: list[Message] = []
        pieces = self._pieces(body, repeat)

        async def receive() -> Message:
            return await anext(pieces)

        async def send(message: Message) -> None:
            sent.append(message)

        scope: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [],
            "server": ("custody.example", 443),
            "client": ("192.0.2.1", 1),
            "scheme": "https",
            "root_path": "",
        }
        await self.app(scope, receive, send)
        content = b"".join(message.get("body", b"") for message in sent)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], headers, content

    async def _pieces(self, body: bytes, repeat: int) -> AsyncIterator[Message]:
        for number in range(repeat):
            self.taken += len(body)
            yield {"type": "http.request", "body": body, "more_body": number + 1 < repeat}

    def refusal(self, path: str, body: bytes, *, repeat: int = 1) -> tuple[int, Refusal]:
        status, _, content = self("POST", path, body, repeat=repeat)
        return status, parse_refusal(content)


@pytest.fixture(scope="module")
def circle() -> Scene:
    return scene()


@pytest.fixture
def client(tmp_path: Path, circle: Scene) -> Iterator[Client]:
    made = Stand(tmp_path / "a", circle.copy())
    yield Client(made)
    made.folder.close()


def test_an_evaluation_and_what_is_known_of_a_channel(client: Client) -> None:
    stand = client.stand
    blinding = blinding_of(2)
    request = stand.request(LAB, blinding.elements)
    status, headers, content = client("POST", "/v1/evaluate", request.raw)
    assert (status, headers["content-type"]) == (200, "application/octet-stream")
    answer = parse_answer(content, request)
    blinding.finalize(answer.elements, answer.proof, stand.row.public_key, where="custody-a")
    status, _, content = client("GET", f"/v1/channels/{stand.channel}")
    standing = parse_standing(content)
    assert (status, standing.version, standing.rows) == (200, 2, (stand.row,))
    status, _, content = client(
        "POST", f"/v1/channels/{stand.channel}/messages", posted(stand.made)
    )
    assert (status, parse_standing(content)) == (200, standing)
    assert client("GET", "/livez")[0] == 200


def test_each_refusal_has_its_code(client: Client) -> None:
    stand = client.stand
    elements = blinding_of(2).elements
    request = stand.request(LAB, elements)

    def code(raw: bytes) -> tuple[int, str]:
        status, refusal = client.refusal("/v1/evaluate", raw)
        return status, refusal.code

    assert code(SECRET) == (400, "bad-request")
    assert code(stand.request(LAB, elements, man="ab" * 32).raw) == (409, "behind")
    assert code(stand.request(LAB, elements, channel="ab" * 32).raw) == (404, "unknown")
    assert code(stand.request(LIAISON, elements).raw) == (403, "not-a-reader")
    assert code(request.raw[:-1] + b"x") == (403, "not-verified")
    assert client("POST", "/v1/evaluate", request.raw)[0] == 200
    assert code(request.raw) == (409, "replayed")
    set_rule(stand.folder, stand.channel, EVERYBODY, Rule(day=4, burst=3), now=NOW)
    status, headers, content = client("POST", "/v1/evaluate", stand.request(LAB, elements).raw)
    refusal = parse_refusal(content)
    assert (status, headers["retry-after"]) == (429, str(refusal.retry_after))
    assert refusal.code == "quota"
    assert refusal.quota is not None
    assert (refusal.quota.left, refusal.quota.burst_left) == (2, 1)
    stand.folder.run("UPDATE evaluation_key SET expires=?", (NOW - 1,))
    assert code(stand.request(LAB, elements).raw) == (410, "expired")
    destroy_key(stand.folder, stand.channel, stand.key_id, now=NOW, why="test")
    assert code(stand.request(LAB, elements).raw) == (410, "destroyed")
    status, refusal = client.refusal(f"/v1/channels/{'zz' * 32}/messages", b"")
    assert (status, refusal.code) == (400, "bad-request")
    status, refusal = client.refusal(f"/v1/channels/{stand.channel}/messages", b"\0\0\0\1x")
    assert (status, refusal.code) == (400, "bad-request")


def test_a_body_of_500_mb_is_refused_after_a_little_of_it(client: Client) -> None:
    piece = bytes(1 << 16)
    for path, most in (
        ("/v1/evaluate", MAX_REQUEST),
        (f"/v1/channels/{client.stand.channel}/messages", 8 << 20),
    ):
        client.taken = 0
        status, refusal = client.refusal(path, piece, repeat=500 * 16)
        assert (status, refusal.code) == (413, "too-large")
        assert client.taken <= 5 * most + len(piece)


def test_a_body_that_breaks_off_is_no_fault_of_the_custodian(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def gone(self: Client, body: bytes, repeat: int) -> AsyncIterator[Message]:
        yield {"type": "http.request", "body": body, "more_body": True}
        yield {"type": "http.disconnect"}

    monkeypatch.setattr(Client, "_pieces", gone)
    assert client.refusal("/v1/evaluate", SECRET)[1].code == "bad-request"
    assert caplog.text == ""


def test_a_failing_disk_is_not_explained_to_members(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("the database failed: a path of ours")

    monkeypatch.setattr(client.stand.custodian, "evaluate", fail)
    status, refusal = client.refusal("/v1/evaluate", SECRET)
    assert (status, refusal.code) == (503, "unavailable")
    assert "path of ours" not in refusal.message
    assert "path of ours" in caplog.text

    def crash(*_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(client.stand.custodian, "evaluate", crash)
    assert client.refusal("/v1/evaluate", SECRET)[1].code == "unavailable"
    assert "unforeseen" in caplog.text


def test_logs_hold_neither_bodies_nor_who_asked_where(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="stillwatch.custodian")
    stand = client.stand
    request = stand.request(LAB, blinding_of(3).elements)
    client("POST", "/v1/evaluate", request.raw)
    client("POST", "/v1/evaluate", SECRET)
    client("GET", f"/v1/channels/{stand.channel}")
    rows = [json.loads(record.getMessage()) for record in caplog.records]
    assert [(row["route"], row["status"], row["elements"]) for row in rows] == [
        ("/v1/evaluate", 200, 3),
        ("/v1/evaluate", 400, 0),
        ("/v1/channels/{channel}", 200, 0),
    ]
    for word in (SECRET.decode(), stand.channel, LAB.id, LAB.pub, request.nonce):
        assert word not in caplog.text


def test_expired_keys_are_destroyed_while_serving(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="stillwatch.custodian")
    client.stand.now = client.stand.row.expires + 8 * 86_400

    async def run() -> None:
        async with client.app.router.lifespan_context(client.app):
            for _ in range(200):
                if "key-destroyed" in caplog.text:
                    break
                await asyncio.sleep(0.02)

    asyncio.run(run())
    assert client.stand.key_id in caplog.text
