"""Events and snapshots of a real hub process, read by the client's own code."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from hub.client.events import Event
from hub.client.snapshot_port import HttpBulk
from hub.client.transport import HttpHub, HubAccount, connect
from hub.settings import ClientSettings
from hub.taxii import frames
from tests.faults.hub_process import HubProcess
from tests.unit.server.harness import TAXII, indicator

OBJECTS = 10_050


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder: Path = tmp_path_factory.mktemp("hub")
    with HubProcess(folder / "data") as process:
        yield process


def bulk_of(hub: HubProcess, collection: str) -> HttpBulk:
    account = HubAccount(hub.line["api_root"], None, hub.line["token"])
    reached = connect(account, ClientSettings())
    assert isinstance(reached, HttpHub)
    return reached.bulk(hub.line["collections"][collection])


def post(hub: HubProcess, collection: str, numbers: range) -> None:
    objects = [indicator(number) for number in numbers]
    answer = requests.post(
        f"{hub.line['api_root']}collections/{hub.line['collections'][collection]}/objects/",
        data=json.dumps({"objects": objects}),
        headers={
            "Authorization": f"Bearer {hub.line['token']}",
            "Accept": TAXII,
            "Content-Type": TAXII,
        },
        timeout=60,
    )
    assert answer.status_code == 202


def test_an_event_arrives_and_a_stop_ends_the_stream(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "data") as hub:
        bulk = bulk_of(hub, "rw1")
        told: list[Event] = []
        opened = threading.Event()

        def listen() -> None:
            with bulk.events(None) as events:
                for event in events:
                    told.append(event)
                    opened.set()

        thread = threading.Thread(target=listen)
        thread.start()
        assert opened.wait(30)
        post(hub, "rw1", range(3))
        deadline = time.monotonic() + 30
        while len(told) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        # The stream does not keep the hub from stopping.
        assert hub.stop() == 0
        thread.join(30)
        assert [each.name for each in told] == ["open", "added", "end"]
        assert json.loads(told[1].data)["count"] == 3
        assert json.loads(told[2].data) == {"reason": "stopping"}


def test_a_stream_is_taken_up_again(hub: HubProcess) -> None:
    bulk = bulk_of(hub, "rw2")
    post(hub, "rw2", range(1))
    with bulk.events(None) as events:
        last = next(events).id
    post(hub, "rw2", range(1, 3))
    with bulk.events(last) as events:
        assert next(events).name == "open"
        missed = next(events)
    assert (missed.name, json.loads(missed.data)["count"]) == ("added", 2)


def test_a_snapshot_in_pieces_and_the_rest_in_pages(hub: HubProcess) -> None:
    post(hub, "rw1", range(OBJECTS))
    bulk = bulk_of(hub, "rw1")
    body = bulk.snapshot()
    assert body is not None
    manifest, _, note = frames.parse(body)
    assert note is not None
    (frame,) = manifest.frames
    packed = b""
    while len(packed) < frame.bytes:
        piece = bulk.piece(frame.sha256, len(packed), frame.bytes)
        assert piece
        packed += piece
    assert hashlib.sha256(packed).hexdigest() == frame.sha256
    found = [json.loads(item.raw)["id"] for item in frames.unpack(frame, [packed])]
    assert manifest.head is not None
    page = requests.get(
        f"{hub.line['api_root']}collections/{hub.line['collections']['rw1']}/objects/",
        params={"added_after": manifest.head},
        headers={"Authorization": f"Bearer {hub.line['token']}", "Accept": TAXII},
        timeout=60,
    ).json()
    found += [each["id"] for each in page["objects"]]
    assert found == [indicator(number)["id"] for number in range(OBJECTS)]
    assert bulk.piece(hashlib.sha256(uuid.uuid4().bytes).hexdigest(), 0, 10) is None
