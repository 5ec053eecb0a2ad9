"""Hostile and broken requests: a clear 4xx, nothing stored, reads go on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.types import Message

from hub.errors import StoreError
from hub.server.appender import Appender, Reviewed, Waiting
from hub.settings import HubLimits, HubSettings
from tests.unit.server.harness import TAXII, House, deflated, indicator

GOOD = json.dumps(indicator(1)).encode()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


@pytest.fixture
def rw(house: House) -> str:
    return house.plain(owner="rw")


def objects(collection: str) -> str:
    return f"/stillwatch/collections/{collection}/objects/"


TRAPS = {
    "duplicate key": b'{"objects":[{"id":"a","id":"b"}]}',
    "duplicate key deep": b'{"objects":[' + GOOD + b',{"x":[{"k":1,"k":2}]}]}',
    "NaN": b'{"objects":[{"x":NaN}]}',
    "infinity": b'{"objects":[{"x":-Infinity}]}',
    "infinite by size": b'{"objects":[{"x":1e999}]}',
    "lone surrogate": b'{"objects":[{"x":"\\ud800"}]}',
    "bad UTF-8": b'{"objects":[{"x":"\xff"}]}',
    "overlong UTF-8": b'{"objects":[{"x":"\xc0\xaf"}]}',
    "2^64": b'{"objects":[{"x":18446744073709551616}]}',
    "2^53": b'{"objects":[{"x":9007199254740992}]}',
    "byte order mark": b"\xef\xbb\xbf" + b'{"objects":[]}',
    "depth 100,000": b'{"objects":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "depth 65": b'{"objects":[{"x":' + b"[" * 65 + b"]" * 65 + b"}]}",
    "cut off": b'{"objects":[' + GOOD,
    "two documents": b'{"objects":[' + GOOD + b"]}{}",
    "empty": b"",
    "a list": b"[" + GOOD + b"]",
    "control character": b'{"objects":[{"x":"\x01"}]}',
    "single quotes": b"{'objects':[]}",
}


@pytest.mark.parametrize("name", TRAPS)
def test_json_traps(house: House, rw: str, name: str) -> None:
    began = time.perf_counter()
    answer = house.ask("POST", objects(rw), body=TRAPS[name])
    assert answer.status in (400, 422)
    assert answer.json["title"]
    assert time.perf_counter() - began < 5
    assert house.store.count(rw) == 0


@pytest.mark.parametrize(
    "envelope",
    [{}, {"objects": []}, {"objects": {}}, {"objects": "x"}, {"objects": [1]}, {"objects": [None]}],
)
def test_json_that_is_no_envelope(house: House, rw: str, envelope: object) -> None:
    answer = house.ask("POST", objects(rw), body=json.dumps(envelope).encode())
    assert answer.status == 422
    assert house.store.count(rw) == 0


def test_a_body_over_the_cap(house: House, rw: str) -> None:
    cap = house.settings.limits.content_length
    declared = house.ask("POST", objects(rw), headers={"content-length": str(cap + 1)}, body=b"{}")
    assert declared.status == 413
    absurd = house.ask("POST", objects(rw), headers={"content-length": "9" * 400}, body=b"{}")
    assert absurd.status == 413
    # Chunked bodies declare nothing.
    sent = house.ask("POST", objects(rw), headers={"content-length": "0"}, body=b" " * (cap + 1))
    assert sent.status == 413
    assert house.store.count(rw) == 0


@pytest.mark.parametrize("length", ["-1", "+5", "0x10", "five", "1,1", "٣"])
def test_a_length_that_is_none(house: House, rw: str, length: str) -> None:
    headers = {"content-length": length.encode().decode("latin-1")}
    assert house.ask("POST", objects(rw), headers=headers, body=b"{}").status == 400


def test_gzip_is_read_and_capped(house: House, rw: str) -> None:
    body = json.dumps({"objects": [indicator(1)]}).encode()
    headers = {"content-encoding": "gzip"}
    assert house.ask("POST", objects(rw), headers=headers, body=deflated(body)).status == 202
    bomb = deflated(b" " * (64 * 1024 * 1024))
    assert len(bomb) < 100_000
    assert house.ask("POST", objects(rw), headers=headers, body=bomb).status == 413
    for broken in (body, deflated(body)[:-9], deflated(body) + b"more"):
        assert house.ask("POST", objects(rw), headers=headers, body=broken).status == 400
    unknown = house.ask("POST", objects(rw), headers={"content-encoding": "br"}, body=body)
    assert unknown.status == 415
    assert house.store.count(rw) == 1


def test_a_slow_body_is_given_up(tmp_path: Path) -> None:
    limits = HubLimits(body_seconds=0.05)
    with House(tmp_path, HubSettings(limits=limits)) as house:
        rw = house.plain(owner="rw")
        sent: list[Message] = []

        async def receive() -> Message:
            await asyncio.sleep(5)
            return {"type": "http.request", "body": b"", "more_body": True}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": objects(rw),
            "query_string": b"",
            "root_path": "",
            "headers": [
                (b"host", b"hub.example"),
                (b"authorization", f"Bearer {house.tokens['owner']}".encode()),
                (b"content-type", TAXII.encode()),
            ],
            "client": ("192.0.2.1", 1),
            "server": ("hub.example", 80),
        }

        async def request() -> None:
            await house.app(scope, receive, send)

        began = time.perf_counter()
        house.runner.run(request())
        assert time.perf_counter() - began < 5
        assert sent[0]["status"] == 408


def test_strange_ids_and_aliases(house: House, rw: str) -> None:
    for name in ("..", "%2e%2e", "' OR 1=1 --", "\x00", "🔑", "a" * 5000, rw.upper()):
        assert house.ask("GET", f"/stillwatch/collections/{name}/").status == 404, name
        assert house.ask("GET", f"{objects(rw)}{name}/").status == 404, name


def test_repeated_parameters(house: House, rw: str) -> None:
    house.post(rw, indicator(1), indicator(2))
    answer = house.ask("GET", objects(rw), query=[("limit", "1"), ("limit", "2")])
    assert answer.status == 400
    ids = [("match[id]", indicator(1)["id"]), ("match[id]", indicator(2)["id"])]
    assert house.ask("GET", objects(rw), query=ids).status in (200, 400)


class _FullDisk(Appender):
    """Commits until told that the disk is full."""

    full = False

    def commit(self, gathered: Sequence[Waiting]) -> list[Reviewed]:
        if _FullDisk.full:
            raise StoreError("the disk is full", where="hub.db")
        return super().commit(gathered)


def test_a_full_disk_stops_writing_only(tmp_path: Path) -> None:
    with House(tmp_path, appender=_FullDisk) as house:
        rw = house.plain(owner="rw")
        house.post(rw, indicator(1))
        _FullDisk.full = True
        try:
            refused = house.post(rw, indicator(2))
        finally:
            _FullDisk.full = False
        assert refused.status == 507
        assert house.ask("GET", objects(rw)).json["objects"] == [indicator(1)]
        assert house.post(rw, indicator(2)).status == 202


def test_errors_do_not_echo_the_body(house: House, rw: str) -> None:
    secret = "canary@victim.example"
    body = b'{"objects":[{"email":"' + secret.encode() + b'","email":"2"}]}'
    answer = house.ask("POST", objects(rw), body=body)
    assert secret not in answer.body.decode()
    failed = house.post(rw, {**indicator(1), "modified": secret})
    assert secret not in failed.json["failures"][0]["message"]


def test_every_answer_forbids_sniffing_and_caching_unasked(house: House, rw: str) -> None:
    for answer in (
        house.ask("GET", objects(rw)),
        house.ask("GET", "/nowhere/"),
        house.ask("GET", objects(rw), who=None),
        house.ask("PUT", objects(rw)),
    ):
        caching = "private, no-cache" if answer.status == 200 else "no-store"
        assert answer.headers["cache-control"] == caching
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]


def test_limits_are_settings(tmp_path: Path) -> None:
    small = replace(HubLimits(), content_length=600, page_objects=2, default_page_objects=2)
    with House(tmp_path, HubSettings(limits=small)) as house:
        rw = house.plain(owner="rw")
        assert house.post(rw, indicator(1), indicator(2), indicator(3)).status == 413
        for number in range(3):
            house.post(rw, indicator(number))
        page = house.ask("GET", objects(rw), query={"limit": "50"}).json
        assert (len(page["objects"]), page["more"]) == (2, True)


def test_a_fault_of_ours_is_told_without_its_cause(
    house: House, rw: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("canary of the inside")

    vars(house.store)["has_object"] = broken
    answer = house.ask("GET", f"{objects(rw)}{indicator(1)['id']}/")
    assert answer.status == 500
    assert answer.json["error_id"] == answer.headers["x-request-id"]
    assert b"canary" not in answer.body
    assert "canary of the inside" in caplog.text
