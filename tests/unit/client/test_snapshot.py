"""Beginning with a snapshot: the same intake, a signed manifest, exact frames, bounded bombs."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zstandard

from hub.channel.log.snapshot import sign_snapshot
from hub.client.pulled import Pulled
from hub.client.subscriber import pull
from hub.client.work import Desk
from hub.errors import TransportError, VerificationError
from hub.model.codec import dumps
from hub.taxii import frames
from hub.taxii.times import to_micros, to_text
from tests.unit.client.circle import Circle, write_files
from tests.unit.client.memory_hub import C1, LOG_KEY

Mangle = Callable[[bytes], bytes]


def offer(
    circle: Circle, size: int, *, key: bool = True, spoil: Mangle = bytes, drop: str = ""
) -> frames.Manifest:
    """Put a snapshot of what the collection holds on the hub, in frames of so many objects."""
    rows = circle.hub.collections[C1].rows
    made = []
    for at in range(0, len(rows) - size + 1, size):
        part = rows[at : at + size]
        text = b"".join(
            frames.line(to_micros(stamp), dumps(body)) for stamp, body in part if body["id"] != drop
        )
        packed = zstandard.ZstdCompressor().compress(spoil(text))
        name = hashlib.sha256(packed).hexdigest()
        circle.hub.frames[name] = packed
        first, last = (to_text(to_micros(part[end][0])) for end in (0, -1))
        made.append(frames.Frame(name, len(packed), len(text), len(part), first, last))
    manifest = frames.Manifest(
        C1, "e", made[-1].last if made else None, sum(one.objects for one in made), tuple(made)
    )
    sign(circle, manifest, key=key)
    return manifest


def sign(circle: Circle, manifest: frames.Manifest, *, key: bool = True) -> None:
    raw = msgspec.json.encode(manifest)
    note = sign_snapshot(raw, circle.hub.log.origin, LOG_KEY) if key else None
    circle.hub.snapshots[C1] = msgspec.json.encode(frames.Snapshot(msgspec.Raw(raw), note))


@pytest.fixture
def provider(circle: Circle, tmp_path: Path) -> Desk:
    """A member who lacks all that the lab published; everything is worth a snapshot."""
    circle.hub.logged = True
    circle.open_channel()
    desk = circle.admit("provider", "report")
    circle.publish("lab", *write_files(tmp_path))
    desk.home.settings = dataclasses.replace(desk.home.settings, snapshot_objects=1)
    return desk


def begin(desk: Desk) -> Pulled:
    (result,) = pull(desk, snapshots=True)
    return result


def asked(circle: Circle, what: str) -> int:
    return circle.hub.requests.count(what)


def test_a_snapshot_gives_what_pages_give(circle: Circle, provider: Desk) -> None:
    manifest = offer(circle, 2)
    result = begin(provider)
    assert (result.problem, result.alarms) == (None, [])
    assert result.objects["indicator"] == 7
    channel = provider.home.state.channel("circle")
    assert to_micros(channel.cursor or "") >= to_micros(manifest.head or "")
    assert not (provider.home.path / "snapshot").exists()
    # What is there already is not fetched again.
    before = asked(circle, "frame")
    assert begin(provider).messages == 0
    assert asked(circle, "frame") == before


def test_little_is_pulled_in_pages(circle: Circle, provider: Desk) -> None:
    offer(circle, 2)
    provider.home.settings = dataclasses.replace(provider.home.settings, snapshot_objects=10_000)
    assert begin(provider).objects["indicator"] == 7
    assert asked(circle, "frame") == 0


def test_a_server_without_snapshots(circle: Circle, provider: Desk) -> None:
    assert begin(provider).objects["indicator"] == 7


@pytest.mark.parametrize("how", ["unsigned", "changed"])
def test_the_pinned_key_must_have_signed(circle: Circle, provider: Desk, how: str) -> None:
    manifest = offer(circle, 2, key=how != "unsigned")
    if how == "changed":
        signed = circle.hub.snapshots[C1]
        first = manifest.frames[0].first.encode()
        circle.hub.snapshots[C1] = signed.replace(first, first.replace(b"2026", b"2025"), 1)
    result = begin(provider)
    assert isinstance(result.error, VerificationError)
    assert asked(circle, "frame") == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + b"x" * 50_000_000,
        lambda text: text[:-1],
        lambda text: text.replace(b'"object"', b'"nobody"'),
        lambda text: text.replace(b"date_added", b"date_xdded"),
        lambda text: b"\n".join(reversed(text[:-1].split(b"\n"))) + b"\n",
        lambda text: b"[" * len(text),
    ],
)
def test_a_frame_that_is_not_what_it_says(circle: Circle, provider: Desk, spoil: Mangle) -> None:
    """A bomb too; what came before it stays, and pages bring the rest."""
    offer(circle, 2, spoil=spoil)
    result = begin(provider)
    assert isinstance(result.error, TransportError)
    assert "snapshot" in str(result.error)
    assert circle.pull("provider").objects["indicator"] == 7


def test_other_bytes_than_the_digest_are_refused(circle: Circle, provider: Desk) -> None:
    manifest = offer(circle, 2)
    name = manifest.frames[-1].sha256
    good = circle.hub.frames[name]
    circle.hub.frames[name] = bytes(len(good))
    assert isinstance(begin(provider).error, TransportError)
    # Nothing of it is kept: the right bytes are taken afterwards.
    circle.hub.frames[name] = good
    assert begin(provider).objects["indicator"] == 7


def test_a_message_that_a_snapshot_withholds_is_told(circle: Circle, provider: Desk) -> None:
    """A snapshot is held against the log as pages are."""
    withheld = str(circle.hub.collections[C1].rows[-1][1]["id"])
    rows = circle.hub.collections[C1].rows
    everything = list(rows)
    rows[:] = [row for row in rows if row[1]["id"] != withheld]
    offer(circle, len(rows))
    circle.hub.keeps_back = lambda object_id: object_id == withheld
    result = begin(provider)
    assert any("withheld" in text for text in result.alarms)
    rows[:] = everything


def test_a_frame_that_is_gone_comes_in_pages(circle: Circle, provider: Desk) -> None:
    """Something in it was deleted after the manifest was made."""
    manifest = offer(circle, 1)
    del circle.hub.frames[manifest.frames[-1].sha256]
    result = begin(provider)
    assert (result.problem, result.objects["indicator"]) == (None, 7)


def test_a_broken_pull_goes_on_where_it_stood(circle: Circle, provider: Desk) -> None:
    """With the part of a frame that had come."""
    manifest = offer(circle, 2)
    pieces = -(-manifest.frames[-1].bytes // 1000)
    assert pieces > 2
    calls = 0

    def broken(name: str) -> None:
        nonlocal calls
        calls += name == "frame"
        if calls == pieces and name == "frame":
            raise TransportError("broke off")

    circle.hub.fail = broken
    assert isinstance(begin(provider).error, TransportError)
    (part,) = (provider.home.path / "snapshot").iterdir()
    assert part.stat().st_size == (pieces - 1) * 1000
    circle.hub.fail = lambda name: None
    before = asked(circle, "frame")
    assert begin(provider).objects["indicator"] == 7
    assert asked(circle, "frame") == before + 1


def test_a_newcomer_verifies_once_the_key_is_known(circle: Circle, provider: Desk) -> None:
    del provider
    circle.add("other")
    offer(circle, 2, key=False)
    newcomer = circle.desks["other"]
    newcomer.home.settings = dataclasses.replace(newcomer.home.settings, snapshot_objects=1)
    circle.admit("other", "report")
    offer(circle, 2, key=False)
    state = newcomer.home.state
    channel = state.channel("circle")
    state.set_cursor(channel.channel_id, to_text(0))
    assert isinstance(begin(newcomer).error, VerificationError)
