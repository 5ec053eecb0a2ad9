"""Bodies that are made to break readers, posted to a real hub's process.

Each is refused with its code and nothing of it is stored; in the drill each costs less than 100 ms
of the hub's computing, and its memory does not grow. The control reads them as most servers would.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from hub.settings import MIB, HubLimits
from tests.faults.hub_process import HubProcess
from tests.faults.process_facts import cpu_seconds, memory
from tests.interop.raw_http import Peer, envelope, indicator

CAP: Final = HubLimits().content_length
GZIP: Final = (("Content-Encoding", "gzip"),)
CPU_SECONDS: Final = 0.1
GROWTH_KIB: Final = 32 * 1024
ROUNDS: Final = 10


@dataclass(frozen=True)
class Hostile:
    """One body, and the code that it must be refused with."""

    name: str
    body: bytes
    status: int = 400
    headers: tuple[tuple[str, str], ...] = ()


def bomb(mebibytes: int) -> bytes:
    """So much of nothing as gzip, a thousandth of that size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    nothing = b" " * MIB
    return b"".join(packer.compress(nothing) for _ in range(mebibytes)) + packer.flush()


def holding(value: bytes) -> bytes:
    """An envelope whose one object has this value."""
    whole = envelope(indicator(x_value="@"))
    return whole.replace(b'"@"', value)


def hostile(bomb_size: int) -> Iterator[Hostile]:
    """The whole collection; the gzip bomb inflates to so many MiB."""
    deep = 100_000
    yield Hostile("depth 100k, arrays", holding(b"[" * deep + b"]" * deep))
    yield Hostile("depth 100k, objects", holding(b'{"a":' * deep + b"1" + b"}" * deep))
    yield Hostile("depth 4M, never closed", holding(b"[" * 4_000_000), 413)
    yield Hostile("9 MB", b" " * (9 * MIB), 413)
    yield Hostile(f"gzip bomb of {bomb_size} MiB", bomb(bomb_size), 413, GZIP)
    yield Hostile("gzip cut off", bomb(1)[:-20], 400, GZIP)
    yield Hostile("gzip twice", zlib.compress(bomb(1), wbits=31), 400, GZIP)
    yield Hostile("not gzip", b"\x1f\x8b\x08nothing", 400, GZIP)
    zstandard = (("Content-Encoding", "zstd"),)
    yield Hostile("zstd", b"(\xb5/\xfd" + bytes(1000), 415, zstandard)
    for word in (b"NaN", b"-Infinity", b"1e400", b"18446744073709551616", b"9" * 5000):
        yield Hostile(f"number {word[:20].decode()}", holding(word))
    yield Hostile("a number of 8 MB", holding(b"1" * (CAP - 1000)))
    yield Hostile("lone surrogate", holding(rb'"\ud800"'))
    yield Hostile("reversed surrogates", holding(rb'"\udc00\ud800"'))
    yield Hostile("duplicate keys", holding(b'1,"x_value":2'))
    yield Hostile("duplicate keys, escaped", holding(rb'1,"x_valu\u0065":2'))
    yield Hostile("bad UTF-8", holding(b'"\xff\xfe"'))
    yield Hostile("overlong UTF-8", holding(b'"\xc0\xaf"'))
    yield Hostile("surrogates in UTF-8", holding(b'"\xed\xa0\x80"'))
    yield Hostile("a byte order mark", b"\xef\xbb\xbf" + holding(b"1"))
    yield Hostile("UTF-16", holding(b"1").decode().encode("utf-16"))
    yield Hostile("a text that never ends", b'{"objects":["' + b"a" * (CAP - 100))
    yield Hostile("backslashes", b'{"objects":["' + b"\\" * (CAP - 100))
    yield Hostile(
        "8 MB of empty objects", b'{"objects":[' + b"{}," * (CAP // 3 - 100) + b"{}]}", 413
    )
    yield Hostile("8 MB of empty arrays", holding(b"[" + b"[]," * (CAP // 3 - 1000) + b"[]]"), 413)
    yield Hostile("8 MB of ones", holding(b"[" + b"1," * (CAP // 2 - 1000) + b"1]"), 413)


def wrong_answers(peer: Peer, bodies: list[Hostile]) -> list[str]:
    """Which were not refused as they should, or left something behind."""
    mark = peer.mark("rw1")
    found = []
    for one in bodies:
        answer = peer.send("rw1", one.body, *one.headers)
        if answer.status != one.status:
            found.append(f"{one.name}: {answer.status} in place of {one.status}")
        elif answer.json["http_status"] != str(one.status):
            found.append(f"{one.name}: no error message of TAXII's")
    if b'"objects"' in peer.get(peer.objects("rw1"), [("added_after", mark)]).body:
        found.append("something was stored")
    return found


def test_hostile_bodies_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        peer = Peer(hub)
        assert wrong_answers(peer, list(hostile(64))) == []
        # The longest honest body there is room for is taken.
        objects = [indicator(description="x" * 7000) for _ in range(1000)]
        assert len(json.dumps(objects)) > 7 * 10**6
        assert peer.post("rw1", *objects).json["success_count"] == 1000


def test_a_lenient_reader_is_caught(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", launcher="tests.faults.lenient_hub") as hub:
        found = wrong_answers(Peer(hub), list(hostile(16)))
    for name in ("number NaN", "number 18446744073709551616", "duplicate keys:", "bad UTF-8"):
        assert any(one.startswith(name) for one in found), found
    assert "something was stored" in found


def costs(hub: HubProcess, bodies: list[Hostile], rounds: int) -> tuple[dict[str, float], int]:
    """Most seconds of computing that each body cost, and by how many KiB memory's peak grew."""
    peer, pid = Peer(hub), hub.process.pid
    # What the largest honest body takes is not growth.
    peer.stored("rw1", *(indicator(description="x" * 7000) for _ in range(1000)))
    wrong_answers(peer, bodies)
    before = memory(pid).peak
    most = {one.name: 0.0 for one in bodies}
    for _ in range(rounds):
        for one in bodies:
            began = cpu_seconds(pid)
            peer.send("rw1", one.body, *one.headers)
            most[one.name] = max(most[one.name], cpu_seconds(pid) - began)
    return most, memory(pid).peak - before


@pytest.mark.drill
def test_hostile_bodies_cost_little(tmp_path: Path) -> None:
    bodies = list(hostile(1024))
    with HubProcess(tmp_path / "hub") as hub:
        assert wrong_answers(Peer(hub), bodies) == []
        most, grown = costs(hub, bodies, ROUNDS)
    worst = max(most, key=lambda name: most[name])
    print(f"{len(bodies)} hostile bodies x {ROUNDS}: at most {most[worst] * 1000:.0f} ms ({worst})")
    print(f"memory's peak grew by {grown} KiB")
    assert most[worst] < CPU_SECONDS
    assert grown < GROWTH_KIB
    with HubProcess(tmp_path / "control", launcher="tests.faults.lenient_hub") as hub:
        bodies = [one for one in hostile(192) if "gzip bomb" in one.name]
        peer, before = Peer(hub), memory(hub.process.pid).peak
        assert wrong_answers(peer, bodies) != []
        assert memory(hub.process.pid).peak - before > GROWTH_KIB
