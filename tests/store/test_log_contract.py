"""Contract: the log of a channel collection, held to the definitions of RFC 6962."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hub.channel.log import tree
from hub.errors import InputError
from hub.store.interface import Store
from hub.store.records import CheckpointRow, Kind, NewObject
from hub.taxii.filters import EVERY
from tests.store.conftest import Clocks, Make, Opener, make_object

LEAVES = 21


class Stored:
    """A stored log as the proofs' source of nodes."""

    def __init__(self, store: Store, collection_id: str) -> None:
        self._store = store
        self._collection_id = collection_id

    def nodes(self, wanted: Sequence[tree.Node]) -> Sequence[bytes]:
        """See `tree.NodeSource`."""
        return self._store.log_nodes(self._collection_id, wanted)


def message(number: int) -> NewObject:
    """An object that carries something, as a sealed message does."""
    payload = base64.b64encode(b"message %d" % number).decode()
    return make_object(number, modified=None, type="artifact", payload_bin=payload)


def digest(number: int) -> bytes:
    return hashlib.sha256(b"message %d" % number).digest()


def mth(digests: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not digests:
        return hashlib.sha256(b"").digest()
    if len(digests) == 1:
        return hashlib.sha256(b"\x00" + digests[0]).digest()
    k = largest_power_below(len(digests))
    return hashlib.sha256(b"\x01" + mth(digests[:k]) + mth(digests[k:])).digest()


def path(m: int, digests: list[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1."""
    if len(digests) == 1:
        return []
    k = largest_power_below(len(digests))
    if m < k:
        return [*path(m, digests[:k]), mth(digests[k:])]
    return [*path(m - k, digests[k:]), mth(digests[:k])]


def subproof(m: int, digests: list[bytes], *, whole: bool) -> list[bytes]:
    """RFC 6962, section 2.1.2."""
    if m == len(digests):
        return [] if whole else [mth(digests)]
    k = largest_power_below(len(digests))
    if m <= k:
        return [*subproof(m, digests[:k], whole=whole), mth(digests[k:])]
    return [*subproof(m - k, digests[k:], whole=False), mth(digests[:k])]


def largest_power_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


@pytest.fixture
def channel(store: Store, org: str) -> str:
    """Id of a channel collection."""
    return store.create_collection(Kind.CHANNEL, "Channel", owner_org=org).id


def test_roots_and_proofs_are_those_of_the_rfc(store: Store, channel: str) -> None:
    digests = [digest(number) for number in range(LEAVES)]
    for first, end in ((0, 1), (1, 2), (2, 9), (9, 16), (16, LEAVES)):
        store.append(channel, [message(number) for number in range(first, end)])
        assert store.log_size(channel) == end
        assert tree.root_at(Stored(store, channel), end) == mth(digests[:end])
    assert store.log_digests(channel, 0, LEAVES) == digests
    assert store.log_digests(channel, 5, 7) == digests[5:7]
    stored = Stored(store, channel)
    for size in range(1, LEAVES + 1):
        leaves = digests[:size]
        assert tree.root_at(stored, size) == mth(leaves)
        for index in range(size):
            assert tree.inclusion_proof(stored, index, size) == path(index, leaves)
        for old in range(1, size + 1):
            wanted = subproof(old, leaves, whole=True)
            assert tree.consistency_proof(stored, old, size) == wanted
    assert store.verify_log(channel) == LEAVES


def test_what_the_log_has_not_reached_is_refused(store: Store, channel: str) -> None:
    store.append(channel, [message(1), message(2)])
    asks: list[Callable[[], object]] = [
        lambda: store.log_nodes(channel, [(0, 1), (0, 2)]),
        lambda: store.log_nodes(channel, [(0, -1)]),
        lambda: store.log_nodes(channel, [(-1, 0)]),
        lambda: store.log_nodes(channel, [(1, 1)]),
        lambda: store.log_nodes(channel, [(2, 0)]),
        lambda: store.log_nodes(channel, [(99, 0)]),
        lambda: store.log_digests(channel, 1, 3),
        lambda: store.log_digests(channel, 2, 1),
    ]
    for ask in asks:
        with pytest.raises(InputError):
            ask()


def test_other_collections_have_no_log(store: Store, collection: str, make: Make) -> None:
    store.append(collection, [make(1)])
    for asked in (collection, "0" * 36):
        with pytest.raises(InputError):
            store.log_size(asked)
        with pytest.raises(InputError):
            store.verify_log(asked)


def test_only_what_is_stored_is_logged(store: Store, channel: str) -> None:
    store.append(channel, [message(1), message(1), message(2)])
    other = NewObject(message(1).id, "artifact", "2.1", None, b'{"payload_bin":"AAAA"}')
    store.append(channel, [message(2), other, message(3)])
    assert store.log_digests(channel, 0, store.log_size(channel)) == [digest(n) for n in (1, 2, 3)]
    assert store.verify_log(channel) == 3


def test_a_leaf_stays_when_its_object_is_deleted(store: Store, channel: str) -> None:
    store.append(channel, [message(number) for number in range(4)])
    root = store.log_nodes(channel, [(2, 0)])
    assert store.delete(channel, message(1).id, EVERY) == 1
    assert store.delete(channel, message(3).id, EVERY) == 1
    assert store.log_size(channel) == 4
    assert store.log_nodes(channel, [(2, 0)]) == root
    store.append(channel, [message(4)])
    assert store.log_digests(channel, 0, 5) == [digest(number) for number in range(5)]
    assert store.verify_log(channel) == 5


def test_logs_of_two_collections_are_apart(store: Store, org: str, channel: str) -> None:
    other = store.create_collection(Kind.CHANNEL, "Other", owner_org=org).id
    store.append(channel, [message(1)])
    store.append(other, [message(2), message(3)])
    assert store.log_digests(channel, 0, 1) == [digest(1)]
    assert store.log_digests(other, 0, 2) == [digest(2), digest(3)]


def test_the_spelling_of_an_artifact_does_not_matter(store: Store, channel: str) -> None:
    plain = message(1)
    spelled = plain.raw.replace(b"payload_bin", b"payload\\u005fbin")
    assert spelled != plain.raw
    store.append(channel, [NewObject(plain.id, "artifact", "2.1", None, spelled)])
    assert store.log_digests(channel, 0, 1) == [digest(1)]


def test_times_of_checkpoints_never_go_back(opener: Opener, tmp_path: Path) -> None:
    clocks = Clocks()
    store = opener(tmp_path, clocks)
    given = [store.log_time()]
    for step in (0.2, 1, 50, 600):
        clocks.move(step)
        given.append(store.log_time())
        assert given[-1] == clocks.wall // 1_000_000
    clocks.wall -= 30_000_000
    given.append(store.log_time())
    store.close()
    # Somebody sets the clock back while the hub is down.
    late = Clocks(wall=clocks.wall - 3_600_000_000)
    store = opener(tmp_path, late)
    given += [store.log_time(), store.log_time()]
    late.move(7_200)
    given.append(store.log_time())
    assert given == sorted(given)
    assert given[-1] == late.wall // 1_000_000
    store.close()


def test_marks_of_two_stores_rise_together(opener: Opener, tmp_path: Path) -> None:
    """As two processes of one database: the later time never comes with the smaller size."""
    clocks = Clocks()
    one, two = opener(tmp_path, clocks), opener(tmp_path, Clocks(wall=clocks.wall - 5_000_000))
    org = one.create_org("Lab").id
    collection = one.create_collection(Kind.CHANNEL, "c", owner_org=org).id
    marks = []
    for number in range(12):
        (one, two)[number % 2].append(collection, [message(number)])
        marks += [store.log_mark(collection) for store in (two, one)]
        clocks.move(0.4)
    assert marks == sorted(marks, key=lambda mark: mark.time)
    assert [mark.size for mark in marks] == sorted(mark.size for mark in marks)
    assert marks[-1] == (12, (clocks.wall - 400_000) // 1_000_000)
    with pytest.raises(InputError):
        one.log_mark("0" * 36)
    one.close()
    two.close()


def test_the_best_checkpoint_is_kept(store: Store, channel: str) -> None:
    assert store.checkpoint(channel) is None
    rising = [
        CheckpointRow(1, 50, quorum=False, raw="a"),
        CheckpointRow(1, 60, quorum=False, raw="b"),
        CheckpointRow(1, 55, quorum=True, raw="c"),
        CheckpointRow(2, 10, quorum=False, raw="d"),
    ]
    for row in rising:
        store.put_checkpoint(channel, row)
        assert store.checkpoint(channel) == row
    for row in rising:
        store.put_checkpoint(channel, row)
        assert store.checkpoint(channel) == rising[-1]
