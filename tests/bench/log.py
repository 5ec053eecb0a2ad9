"""What a verified log costs: pulls that are held against it, its proofs, and how both grow.

A pull is the client's own, into a home on disk, over a hub in memory: every message is verified,
opened, stored and found in the log. Times are those of the processor, so that what else runs on the
machine does not count; those of single proofs are the best of several.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from hub.channel.carriage import to_artifact
from hub.channel.header import Audience
from hub.channel.log import tree
from hub.channel.primitives.hash import sha256
from hub.channel.primitives.sign import NotePrivate
from hub.channel.seal import seal_data
from hub.client.work import current_secrets
from hub.server.logbook import Logbook
from hub.settings import HubSettings
from hub.store import tree as grown
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore
from tests.bench.table import Row
from tests.unit.channel.cast import as_bundle
from tests.unit.client.circle import Circle, Clock
from tests.unit.client.memory_hub import C1, MemoryHub

T = TypeVar("T")

MESSAGES: Final = 1_000
LEAVES: Final = 1_000_000
_FIRST: Final = 654_321
_PULLS: Final = (100, 1_000, 3_000)
_SIZES: Final = (1_000, 30_000, 1_000_000)
_INDICATORS: Final = (1, 100)
_FLOOR_RATE: Final = 300
_FLOOR_MS: Final = 5.0
_REPEATS: Final = 20


def measure() -> list[Row]:
    """Rows: a pull of 1,000 messages, how pulls grow, proofs over a million leaves."""
    rates = {count: _pulled(count) for count in _PULLS}
    ours, bare = rates[MESSAGES], _pulled(MESSAGES, logged=False)
    full = _pulled(MESSAGES, indicators=_INDICATORS[-1])
    by_count = ", ".join(f"{count:,}: {rate:,.0f}/s" for count, rate in rates.items())
    rows = [
        Row(
            f"pull {MESSAGES:,} messages of {_INDICATORS[0]} indicator, verified with the log",
            f"{ours:,.0f} messages/s/core",
            f"{bare:,.0f} without a log",
            ours / bare,
            f">= {_FLOOR_RATE}",
        ),
        Row(
            f"the same with {_INDICATORS[-1]} indicators in each",
            f"{full:,.0f} messages/s/core, {full * _INDICATORS[-1]:,.0f} indicators/s",
            "",
            None,
            "",
        ),
        Row("messages/s/core by messages in a pull", by_count, "", None, ""),
    ]
    with tempfile.TemporaryDirectory() as folder:
        return rows + _proofs(Path(folder))


# -- pulls ---------------------------------------------------------------------------------------


def _pulled(count: int, *, logged: bool = True, indicators: int = 1) -> float:
    """Messages in a second of the processor, of one pull of so many."""
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        circle = Circle(Path(folder), MemoryHub(now=clock), clock)
        circle.hub.logged = logged
        circle.open_channel()
        circle.admit("provider", "read")
        circle.pull("lab")
        _publish(circle, count, indicators)
        began = time.process_time()
        result = circle.pull("provider")
        spent = time.process_time() - began
        assert result.alarms == []
        stored = circle.desks["provider"].home.state.objects(_channel(circle))
        assert sum(1 for _ in stored) >= min(count * indicators, 1)
        circle.close()
        return count / spent


def _channel(circle: Circle) -> str:
    return circle.desks["provider"].home.state.channel("circle").channel_id


def _publish(circle: Circle, count: int, indicators: int) -> None:
    """Messages of the lab, sealed and put on the hub without its home."""
    desk = circle.desks["lab"]
    row = desk.home.state.channel("circle")
    trusted = desk.home.trusted(row)
    secrets = current_secrets(desk.home, row, trusted)
    signing = desk.home.keyring.current.signing
    connection = circle.hub.connect(circle.account("lab"), desk.home.settings)
    collection = connection.collection(C1)
    for number in range(count):
        objects = [_indicator(desk.home.member_id, number, at) for at in range(indicators)]
        raw = seal_data(
            trusted, secrets, signing, Audience.DETAIL, as_bundle(objects), now=circle.clock()
        )
        trusted.accept(raw, now=circle.clock())
        collection.add([to_artifact(raw)])


def _indicator(member: str, message: int, at: int) -> dict[str, object]:
    address = f"198.18.{message % 256}.{at}"
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{message:08x}-0000-4000-8000-{at:012x}",
        "created_by_ref": member,
        "created": "2026-09-01T00:00:00.000Z",
        "modified": "2026-09-01T00:00:00.000Z",
        "pattern": f"[ipv4-addr:value = '{address}']",
        "pattern_type": "stix",
        "valid_from": "2026-09-01T00:00:00.000Z",
    }


# -- proofs --------------------------------------------------------------------------------------


def _proofs(folder: Path) -> list[Row]:
    digests = [sha256(b"%d" % number) for number in range(LEAVES)]
    leaves = [tree.leaf_hash(each) for each in digests]
    source = tree.LeafNodes(leaves)
    roots = {size: tree.root_at(source, size) for size in (_FIRST, *_SIZES)}
    proof = tree.consistency_proof(source, _FIRST, LEAVES)
    verifying, _ = _best(
        lambda: tree.verify_consistency(_FIRST, roots[_FIRST], LEAVES, roots[LEAVES], proof)
    )
    path = tree.inclusion_proof(source, _FIRST, LEAVES)
    including, _ = _best(
        lambda: tree.verify_inclusion(leaves[_FIRST], _FIRST, LEAVES, path, roots[LEAVES])
    )
    hashing, _ = _best(lambda: tree.root_of(leaves), 1)
    making, cells = _hub(folder, digests, proof)
    return [
        Row(
            f"verify that {LEAVES:,} leaves continue {_FIRST:,}",
            f"{verifying:.3f} ms ({len(proof)} hashes)",
            "",
            None,
            f"<= {_FLOOR_MS:g} ms",
        ),
        Row("verify that one of them is in the log", f"{including:.3f} ms", "", None, ""),
        Row("hash all of them anew", f"{hashing / 1000:.1f} s", "", None, ""),
        Row("the hub makes that consistency proof from its database", making, "", None, ""),
        Row("the hub's newest checkpoint and a proof, by size of the log", cells, "", None, ""),
    ]


def _hub(folder: Path, digests: list[bytes], wanted: list[bytes]) -> tuple[str, str]:
    """What the hub takes to answer, from its own store with so many rows."""
    store = SqliteStore.open(folder / "hub.db")
    owner = store.create_org("owner")
    collection = store.create_collection(Kind.CHANNEL, "circle", owner_org=owner.id)
    settings = HubSettings(public_url="https://hub.example/")
    cells, begun = [], 0
    edge = grown.Frontier()
    for size in _SIZES:
        _fill(folder / "hub.db", collection.id, digests[begun:size], edge)
        begun = size
        # A new one, which has signed nothing yet.
        book = Logbook(settings, store, NotePrivate(b"\x07" * 32))
        signing, _ = _best(partial(book.newest, collection.id), 1)
        proving, _ = _best(partial(book.consistency, collection.id, size * 2 // 3, size))
        cells.append(f"{size:,}: {signing:.2f} + {proving:.2f} ms")
    making, found = _best(lambda: book.consistency(collection.id, _FIRST, LEAVES))
    assert found == wanted
    store.close()
    size_mb = (folder / "hub.db").stat().st_size / 1e6
    return f"{making:.2f} ms; {size_mb:.0f} MB on disk", ", ".join(cells)


def _fill(path: Path, collection: str, digests: list[bytes], edge: grown.Frontier) -> None:
    """Rows as the store's appender writes them, without messages."""
    connection = sqlite3.connect(path)
    ((key,),) = connection.execute("SELECT key FROM collection WHERE id = ?", (collection,))
    first = edge.size
    nodes = _nodes(key, digests, edge)
    connection.executemany("INSERT INTO log_node VALUES (?, ?, ?, ?)", nodes)
    connection.executemany(
        "INSERT INTO log_leaf VALUES (?, ?, ?, ?)",
        ((key, first + at, first + at, digest) for at, digest in enumerate(digests)),
    )
    connection.execute(
        "INSERT OR REPLACE INTO log_head VALUES (?, ?, ?)", (key, edge.size, edge.to_bytes())
    )
    connection.commit()
    connection.close()


def _nodes(
    key: int, digests: list[bytes], edge: grown.Frontier
) -> Iterator[tuple[int, int, int, bytes]]:
    for digest in digests:
        yield from ((key, *node) for node in edge.append(digest))


def _best(action: Callable[[], T], repeats: int = _REPEATS) -> tuple[float, T]:
    """Milliseconds of the fastest run, and its result."""
    best, result = float("inf"), []
    for _ in range(repeats):
        start = time.perf_counter()
        result = [action()]
        best = min(best, time.perf_counter() - start)
    return best * 1000, result[0]
