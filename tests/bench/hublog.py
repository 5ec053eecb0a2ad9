"""The hub's log of a million messages: proofs, checkpoints, and what logging adds to storing."""

from __future__ import annotations

import base64
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hub.channel.log import tree
from hub.channel.primitives.sign import NotePrivate
from hub.server.logbook import Logbook, StoredTree
from hub.settings import HubSettings
from hub.store.logs import extend_log
from hub.store.records import Kind, NewObject
from hub.store.sqlite import SqliteStore
from tests.bench.table import Row

LEAVES: Final = 1_000_000
_PORTION: Final = 10_000
_ROUNDS: Final = 500
_STORED: Final = 20_000


def measure() -> list[Row]:
    """Measure everything; takes about half a minute, most of it to grow the log."""
    with tempfile.TemporaryDirectory() as name:
        store = SqliteStore.open(Path(name) / "hub.db")
        try:
            org = store.create_org("Lab").id
            return [*_proofs(store, org), _storing(store, org)]
        finally:
            store.close()


def _proofs(store: SqliteStore, org: str) -> list[Row]:
    channel = store.create_collection(Kind.CHANNEL, "c", owner_org=org).id
    key = store._known_key(channel)
    for first in range(0, LEAVES, _PORTION):
        leaves = [(number, b"%032d" % number) for number in range(first, first + _PORTION)]
        with store._database.write() as connection:
            extend_log(connection, key, leaves)
    book = Logbook(HubSettings(public_url="https://hub.example"), store, NotePrivate.generate())
    chance = random.Random(1)
    stored = StoredTree(store, channel)
    root = tree.root_at(stored, LEAVES)
    old = LEAVES * 2 // 3
    old_root, proof = tree.root_at(stored, old), book.consistency(channel, old, LEAVES)
    timed: list[tuple[str, Callable[[], object], str]] = [
        (
            "inclusion proof made",
            lambda: book.inclusion(channel, chance.randrange(LEAVES), LEAVES),
            "",
        ),
        (
            "consistency proof made",
            lambda: book.consistency(channel, chance.randrange(1, LEAVES), LEAVES),
            "",
        ),
        (
            "consistency proof verified",
            lambda: tree.verify_consistency(old, old_root, LEAVES, root, proof),
            "<= 5 ms",
        ),
        ("10,000 entries read", lambda: book.entries(channel, old, old + 10_000), ""),
    ]
    return [
        Row(f"{what}, {LEAVES:,} leaves", f"{_median(work):.2f} ms", "", None, floor)
        for what, work, floor in timed
    ]


def _median(work: Callable[[], object]) -> float:
    """Milliseconds of the middle one of many runs."""
    taken = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def _storing(store: SqliteStore, org: str) -> Row:
    """Small objects, of which the log's share is largest."""
    items = [
        NewObject(
            f"artifact--{uuid.UUID(int=number)}",
            "artifact",
            "2.1",
            None,
            b'{"payload_bin":"%s"}' % base64.b64encode(b"%0600d" % number),
        )
        for number in range(_STORED)
    ]
    rates = {}
    for kind in (Kind.PLAIN, Kind.CHANNEL):
        collection = store.create_collection(kind, kind.value, owner_org=org).id
        began = time.perf_counter()
        for first in range(0, _STORED, 2_000):
            store.append(collection, items[first : first + 2_000])
        rates[kind] = _STORED / (time.perf_counter() - began)
    logged, plain = rates[Kind.CHANNEL], rates[Kind.PLAIN]
    return Row(
        "objects stored, with their leaves",
        f"{logged:,.0f}/s",
        f"without a log {plain:,.0f}/s",
        logged / plain,
        "",
    )
