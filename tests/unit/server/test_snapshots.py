"""Snapshots: what frames hold, that nothing deleted stays in one, ranges, and the note over all."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.channel.log.checkpoint import verify_checkpoint
from hub.channel.log.snapshot import verify_snapshot
from hub.errors import InputError, StoreError, VerificationError
from hub.server.refusals import HiddenError
from hub.server.snapshots import Snapshots
from hub.settings import HubLimits, HubSettings, PushSettings
from hub.store.objects import new_object
from hub.store.records import Kind, Position
from hub.store.sqlite import SqliteStore
from hub.taxii import frames
from hub.taxii.filters import EVERY, SPEC_VERSIONS, Filters
from hub.taxii.times import to_text
from tests.unit.server.harness import Answer, House, indicator

SIZE = 5


def push(folder: Path) -> PushSettings:
    return PushSettings(frame_objects=SIZE, snapshots=folder / "snapshots")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = HubSettings(public_url="https://hub.example", push=push(tmp_path))
    with House(tmp_path, settings) as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "hub.db")
    yield opened
    opened.close()


def fill(store: SqliteStore, collection: str, numbers: range) -> None:
    for number in numbers:
        obj = indicator(number)
        # Every other one is written with line breaks, which a line of a frame cannot hold.
        text = json.dumps(obj, indent=1 if number % 2 else None)
        store.append(collection, [new_object(obj, text.encode())])


def made_collection(store: SqliteStore) -> str:
    org = store.create_org("owner")
    return store.create_collection(Kind.PLAIN, "plain", owner_org=org.id).id


Fetch = Callable[[str], bytes]


def items(manifest: frames.Manifest, fetch: Fetch) -> list[frames.Item]:
    found: list[frames.Item] = []
    for frame in manifest.frames:
        body = fetch(frame.sha256)
        assert hashlib.sha256(body).hexdigest() == frame.sha256
        found += frames.unpack(frame, [body[:7], body[7:]])
    return found


def stored(store: SqliteStore, collection: str, most: int) -> list[frames.Item]:
    every = Filters(versions=EVERY, spec_versions=SPEC_VERSIONS)
    rows = store.page(collection, every, 1000).rows[:most]
    return [frames.Item(row.date_added, row.raw) for row in rows]


def manifest_of(snapshots: Snapshots, collection: str) -> frames.Manifest:
    return frames.parse(b'{"manifest":' + snapshots.manifest(collection) + b"}")[0]


def reader(snapshots: Snapshots, collection: str) -> Fetch:
    return lambda name: snapshots.frame(collection, name)[0].read_bytes()


def test_frames_hold_the_exact_bytes_in_order(store: SqliteStore, tmp_path: Path) -> None:
    collection = made_collection(store)
    fill(store, collection, range(13))
    store.append(collection, [])
    snapshots = Snapshots(store, push(tmp_path), 10**9)
    assert snapshots.build(collection) == 2
    manifest = manifest_of(snapshots, collection)
    found = items(manifest, reader(snapshots, collection))
    assert found == stored(store, collection, 2 * SIZE)
    assert manifest.head == to_text(found[-1].date_added)
    assert (manifest.objects, manifest.epoch) == (2 * SIZE, store.epoch)
    snapshots.close()


def test_older_versions_are_in_it_too(store: SqliteStore, tmp_path: Path) -> None:
    """A newer version, stored later, leaves a frame as it is."""
    collection = made_collection(store)
    fill(store, collection, range(SIZE))
    snapshots = Snapshots(store, push(tmp_path), 10**9)
    snapshots.build(collection)
    before = snapshots.manifest(collection)
    newer = indicator(1, modified="2026-02-01T00:00:00.000Z")
    store.append(collection, [new_object(newer, json.dumps(newer).encode())])
    assert snapshots.manifest(collection) == before
    snapshots.close()


def test_a_deleted_object_is_in_no_later_frame(store: SqliteStore, tmp_path: Path) -> None:
    collection = made_collection(store)
    fill(store, collection, range(3 * SIZE))
    snapshots = Snapshots(store, push(tmp_path), 10**9)
    snapshots.build(collection)
    old = manifest_of(snapshots, collection)
    gone = indicator(SIZE + 1)["id"]
    other = SqliteStore.open(tmp_path / "hub.db")
    other.delete(collection, gone, EVERY)
    other.close()
    with pytest.raises(Exception, match="no such frame"):
        snapshots.frame(collection, old.frames[1].sha256)
    new = manifest_of(snapshots, collection)
    assert [each.objects for each in new.frames] == [SIZE, SIZE - 1, SIZE]
    assert [each == old.frames[n] for n, each in enumerate(new.frames)] == [True, False, True]
    found = items(new, reader(snapshots, collection))
    assert not any(gone.encode() in each.raw for each in found)
    assert len(list((tmp_path / "snapshots").rglob("*.zst"))) == 3
    snapshots.close()


def test_what_forgets_generations_keeps_the_deleted(store: SqliteStore, tmp_path: Path) -> None:
    """The check of the check above: without generations nobody would count again."""
    collection = made_collection(store)
    fill(store, collection, range(SIZE))

    class Blind(SqliteStore):
        """A store whose generation never moves."""

        def positions(self, collection_ids: Any) -> dict[str, Position]:
            found = super().positions(collection_ids)
            return {each: position._replace(generation=0) for each, position in found.items()}

    blind = Blind.open(tmp_path / "hub.db")
    snapshots = Snapshots(blind, push(tmp_path), 10**9)
    snapshots.build(collection)
    gone = indicator(1)["id"]
    store.delete(collection, gone, EVERY)
    found = items(manifest_of(snapshots, collection), reader(snapshots, collection))
    assert any(gone.encode() in each.raw for each in found)
    snapshots.close()
    blind.close()


def test_a_frame_of_which_all_is_deleted_goes(store: SqliteStore, tmp_path: Path) -> None:
    collection = made_collection(store)
    fill(store, collection, range(2 * SIZE))
    snapshots = Snapshots(store, push(tmp_path), 10**9)
    snapshots.build(collection)
    for number in range(SIZE):
        store.delete(collection, indicator(number)["id"], EVERY)
    manifest = manifest_of(snapshots, collection)
    assert items(manifest, reader(snapshots, collection)) == stored(store, collection, SIZE)
    fill(store, collection, range(100, 100 + SIZE))
    assert snapshots.build(collection) == 1
    assert manifest_of(snapshots, collection).objects == 2 * SIZE
    snapshots.close()


def test_another_process_finds_the_frames(store: SqliteStore, tmp_path: Path) -> None:
    collection = made_collection(store)
    fill(store, collection, range(2 * SIZE))
    first = Snapshots(store, push(tmp_path), 10**9)
    first.build(collection)
    manifest = first.manifest(collection)
    first.close()
    store.delete(collection, indicator(0)["id"], EVERY)
    second = Snapshots(store, push(tmp_path), 10**9)
    assert second.build(collection) == 0
    # What was deleted while nobody ran is found at the first look.
    assert second.manifest(collection) != manifest
    assert manifest_of(second, collection).objects == 2 * SIZE - 1
    second.close()


def test_a_removed_cache_is_made_again(store: SqliteStore, tmp_path: Path) -> None:
    collection = made_collection(store)
    fill(store, collection, range(2 * SIZE))
    snapshots = Snapshots(store, push(tmp_path), 10**9)
    snapshots.build(collection)
    before = snapshots.manifest(collection)
    shutil.rmtree(tmp_path / "snapshots")
    again = Snapshots(store, push(tmp_path), 10**9)
    again.build(collection)
    assert again.manifest(collection) == before
    snapshots.close()
    again.close()


def test_what_another_process_cut_is_found(store: SqliteStore, tmp_path: Path) -> None:
    """A manifest of one process is good at its siblings, whose connections a client may get."""
    collection = made_collection(store)
    fill(store, collection, range(SIZE))
    one, two = (Snapshots(store, push(tmp_path), 10**9) for _ in range(2))
    assert manifest_of(one, collection) == manifest_of(two, collection)
    fill(store, collection, range(SIZE, 3 * SIZE))
    manifest = manifest_of(one, collection)
    assert len(manifest.frames) == 3
    assert items(manifest, reader(two, collection)) == stored(store, collection, 3 * SIZE)
    for name in ("0" * 64, "*", "../x"):
        with pytest.raises(HiddenError):
            two.frame(collection, name)
    one.close()
    two.close()


def test_what_another_process_removed_is_cut_again(store: SqliteStore, tmp_path: Path) -> None:
    collection = made_collection(store)
    fill(store, collection, range(2 * SIZE))
    snapshots = Snapshots(store, push(tmp_path), 10**9)
    snapshots.build(collection)
    before = snapshots.manifest(collection)
    kept = manifest_of(snapshots, collection).frames
    # One frame, then the whole folder, as a sibling does that needs its room.
    snapshots.frame(collection, kept[0].sha256)[0].unlink()
    assert snapshots.manifest(collection) == before
    assert items(manifest_of(snapshots, collection), reader(snapshots, collection)) == stored(
        store, collection, 2 * SIZE
    )
    shutil.rmtree(tmp_path / "snapshots" / collection)
    assert snapshots.manifest(collection) == before
    assert snapshots.frame(collection, kept[1].sha256)[0].exists()
    snapshots.close()


def test_who_asks_waits_for_one_frame_not_for_all(store: SqliteStore, tmp_path: Path) -> None:
    collection = made_collection(store)
    fill(store, collection, range(3 * SIZE))
    snapshots = Snapshots(store, push(tmp_path), 10**9)
    answered: list[bool] = []

    def ask(objects: int) -> None:
        # In the middle of a long build something is deleted, and somebody asks.
        store.delete(collection, indicator(len(answered))["id"], EVERY)
        asking = threading.Thread(target=snapshots.manifest, args=(collection,), daemon=True)
        asking.start()
        asking.join(5)
        answered.append(not asking.is_alive())

    snapshots.build(collection, advance=ask)
    assert answered
    assert all(answered)
    snapshots.close()


def test_frames_of_another_epoch_and_strange_files_go(store: SqliteStore, tmp_path: Path) -> None:
    collection = made_collection(store)
    fill(store, collection, range(SIZE))
    folder = tmp_path / "snapshots" / collection / ("0" * 16)
    folder.mkdir(parents=True)
    (folder / "old.zst").touch()
    snapshots = Snapshots(store, push(tmp_path), 10**9)
    snapshots.build(collection)
    assert not folder.exists()
    assert manifest_of(snapshots, collection).objects == SIZE
    snapshots.close()


def test_the_disk_that_frames_take_is_bounded(store: SqliteStore, tmp_path: Path) -> None:
    collection = made_collection(store)
    other = store.create_collection(Kind.PLAIN, "o", owner_org=store.orgs()[0].id).id
    fill(store, collection, range(4 * SIZE))
    fill(store, other, range(4 * SIZE))
    trial = Snapshots(store, push(tmp_path), 10**9)
    trial.build(collection)
    size = max(each.bytes for each in manifest_of(trial, collection).frames)
    trial.close()
    room = int(3.5 * size)
    snapshots = Snapshots(store, push(tmp_path), room)
    snapshots.build(other)
    kept = list((tmp_path / "snapshots").rglob("*.zst"))
    assert sum(path.stat().st_size for path in kept) <= room
    # The one asked for last is kept, as far as there is room.
    assert {path.parent.parent.name for path in kept} == {other}
    assert manifest_of(snapshots, other).objects == 3 * SIZE
    snapshots.close()


def test_a_folder_that_cannot_be_written(store: SqliteStore, tmp_path: Path) -> None:
    collection = made_collection(store)
    fill(store, collection, range(SIZE))
    (tmp_path / "snapshots").write_text("a file, no folder")
    snapshots = Snapshots(store, push(tmp_path), 10**9)
    with pytest.raises(StoreError, match="frames"):
        snapshots.build(collection)
    snapshots.close()


def test_without_a_folder_there_are_no_frames(store: SqliteStore) -> None:
    collection = made_collection(store)
    fill(store, collection, range(SIZE))
    snapshots = Snapshots(store, replace(PushSettings(), frame_objects=SIZE), 10**9)
    assert manifest_of(snapshots, collection).frames == ()
    snapshots.close()


# -- over HTTP --------------------------------------------------------------------------------


def path_of(collection: str, frame: str = "") -> str:
    return f"/stillwatch/collections/{collection}/snapshot/{frame}"


def shown(house: House, collection: str) -> tuple[frames.Manifest, bytes, str | None]:
    answer = house.ask("GET", path_of(collection))
    assert answer.status == 200
    return frames.parse(answer.body)


@pytest.fixture
def full(house: House) -> str:
    collection = house.plain(owner="rw")
    house.post(collection, *(indicator(number) for number in range(2 * SIZE + 2)))
    return collection


def test_snapshot_and_rest_are_everything(house: House, full: str) -> None:
    manifest, _, _ = shown(house, full)
    got = items(manifest, lambda name: house.ask("GET", path_of(full, name)).raw)
    rest = house.ask(
        "GET",
        f"/stillwatch/collections/{full}/objects/",
        query={"added_after": manifest.head or ""},
    ).json["objects"]
    ids = [json.loads(each.raw)["id"] for each in got] + [each["id"] for each in rest]
    assert ids == [indicator(number)["id"] for number in range(2 * SIZE + 2)]


def test_the_log_key_signs_the_manifest(house: House, full: str) -> None:
    manifest, raw, note = shown(house, full)
    assert note is not None
    assert manifest.frames
    channel = house.store.create_collection(Kind.CHANNEL, "c", owner_org=house.owner.id)
    offered = house.ask("GET", f"/stillwatch/collections/{channel.id}/").json["x_stillwatch_log"]
    _, channel_raw, channel_note = shown(house, channel.id)
    assert channel_note is not None
    verify_snapshot(channel_note, channel_raw, offered["verifier_key"])
    for bad_note, bad_raw in ((channel_note, channel_raw + b" "), (note, channel_raw), (note, raw)):
        with pytest.raises(VerificationError):
            verify_snapshot(bad_note, bad_raw, offered["verifier_key"])
    # Neither is ever taken for the other.
    with pytest.raises((InputError, VerificationError)):
        verify_checkpoint(channel_note, offered["verifier_key"])


def test_a_hub_without_a_key_signs_nothing(tmp_path: Path) -> None:
    with House(tmp_path, HubSettings(push=push(tmp_path)), log_key=None) as house:
        assert shown(house, house.plain(owner="rw"))[2] is None


def ranged(house: House, collection: str, name: str, **headers: str) -> Answer:
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    return house.ask("GET", path_of(collection, name), headers=sent)


def test_frames_in_parts(house: House, full: str) -> None:
    frame = shown(house, full)[0].frames[0]
    name, size = frame.sha256, frame.bytes
    whole = ranged(house, full, name)
    assert (whole.status, len(whole.raw)) == (200, size)
    assert whole.headers["etag"] == f'"{name}"'
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "application/zstd"
    assert "content-encoding" not in whole.headers
    for asked, begin, end in (
        ("bytes=0-9", 0, 10),
        (f"bytes=10-{size * 2}", 10, size),
        ("bytes=20-", 20, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=-{size * 2}", 0, size),
        ("Bytes=0-0", 0, 1),
    ):
        part = ranged(house, full, name, range=asked)
        assert (part.status, part.raw) == (206, whole.raw[begin:end]), asked
        assert part.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
        assert part.headers["content-length"] == str(end - begin)
    for asked in ("bytes=5-4", "bytes=0-1,3-4", "lines=1-2", "bytes=", "bytes=-", "bytes=a-b"):
        assert ranged(house, full, name, range=asked).status == 200, asked


def test_a_range_behind_the_end(house: House, full: str) -> None:
    frame = shown(house, full)[0].frames[0]
    for asked in (f"bytes={frame.bytes}-", "bytes=-0"):
        answer = ranged(house, full, frame.sha256, range=asked)
        assert answer.status == 416
        assert answer.headers["content-range"] == f"bytes */{frame.bytes}"


def test_a_range_of_the_same_file_only(house: House, full: str) -> None:
    name = shown(house, full)[0].frames[0].sha256
    same = ranged(house, full, name, range="bytes=0-9", if_range=f'"{name}"')
    other = ranged(house, full, name, range="bytes=0-9", if_range='"other"')
    assert (same.status, other.status) == (206, 200)


def test_frames_and_manifest_are_given_once(house: House, full: str) -> None:
    manifest, _, _ = shown(house, full)
    name = manifest.frames[0].sha256
    for path in (path_of(full), path_of(full, name)):
        first = house.ask("GET", path)
        held = {"if-none-match": first.headers["etag"]}
        again = house.ask("GET", path, headers=held)
        assert (again.status, again.raw) == (304, b"")
        head = house.ask("HEAD", path)
        assert (head.status, head.raw) == (200, b"")
        assert head.headers["content-length"] == first.headers["content-length"]


def test_a_deletion_over_http_changes_the_snapshot(house: House, full: str) -> None:
    manifest, _, _ = shown(house, full)
    gone = indicator(1)["id"]
    path = f"/stillwatch/collections/{full}/objects/{gone}/"
    assert house.ask("DELETE", path).status == 200
    old = house.ask("GET", path_of(full, manifest.frames[0].sha256))
    assert old.status == 404
    new, _, _ = shown(house, full)
    bodies = items(new, lambda name: house.ask("GET", path_of(full, name)).raw)
    assert not any(gone.encode() in each.raw for each in bodies)


@pytest.mark.parametrize("name", ["0" * 64, "..", "%2e%2e", "a" * 300])
def test_no_such_frame(house: House, full: str, name: str) -> None:
    assert house.ask("GET", path_of(full, name)).status == 404


def test_strangers_see_no_snapshot(house: House, full: str) -> None:
    house.org("stranger")
    name = shown(house, full)[0].frames[0].sha256
    for path in (path_of(full), path_of(full, name)):
        assert house.ask("GET", path, who="stranger").status == 404


def test_the_rest_is_cut_in_the_background(tmp_path: Path) -> None:
    settings = HubSettings(push=push(tmp_path), limits=HubLimits())
    with House(tmp_path, settings) as house:
        collection = house.plain(owner="rw")
        house.post(collection, *(indicator(number) for number in range(8 * SIZE)))
        shown(house, collection)
        deadline = 200
        while shown(house, collection)[0].objects < 8 * SIZE and deadline:
            deadline -= 1
        assert deadline
