"""Contract: the audit log is one chain, whoever writes, and its export verifies by itself."""

from __future__ import annotations

import json
import threading

import pytest

from hub.errors import InputError, StoreError, VerificationError
from hub.store.audit_export import head_line, row_line, verify_export
from hub.store.interface import Store
from hub.store.records import AuditNote


def _export(store: Store, after: int = 0) -> list[bytes]:
    before = store.audit_rows(after=after - 1, limit=1) if after else []
    rows = store.audit_rows(after=after)
    return [head_line(after, before[0].hash if before else None), *map(row_line, rows)]


@pytest.fixture
def written(store: Store, org: str) -> Store:
    for number in range(6):
        store.audit(f"event.{number}", org_id=org, detail={"text": f"Übung {number}"})
    return store


def test_several_lines_are_one_transaction(store: Store, org: str) -> None:
    notes = [AuditNote(f"event.{n}", org_id=org, concerns=frozenset({org})) for n in range(3)]
    made = store.audit_all(notes)
    assert [row.seq for row in made] == [1, 2, 3]
    assert store.audit_rows() == store.audit_concerning(org) == made
    assert store.audit_all([]) == []
    with pytest.raises(StoreError):
        store.audit_all([AuditNote("event"), AuditNote("event", concerns=frozenset({"nobody"}))])
    assert store.verify_audit() == 3


def test_writers_at_the_same_time_make_one_chain(store: Store, org: str) -> None:
    def write() -> None:
        for _ in range(10):
            store.audit("event", org_id=org, concerns=frozenset({org}))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.verify_audit() == 40
    assert [row.seq for row in store.audit_concerning(org)] == list(range(1, 41))


def test_an_export_verifies_without_the_store(written: Store) -> None:
    whole = _export(written)
    head = written.audit_rows()[-1].hash.hex()
    found = verify_export(whole, where="log", head=head)
    assert (found.first, found.last, found.rows, found.head) == (1, 6, 6, head)
    part = verify_export(_export(written, after=4), where="log", head=head)
    assert (part.first, part.last, part.rows) == (5, 6, 2)


def test_an_altered_export_is_found_out(written: Store) -> None:
    whole = _export(written)
    head = written.audit_rows()[-1].hash.hex()

    def changed(number: int, **fields: object) -> list[bytes]:
        row = {**json.loads(whole[number]), **fields}
        return [*whole[:number], json.dumps(row).encode(), *whole[number + 1 :]]

    later = json.loads(head_line(2, None))
    for forged in (
        changed(3, event="other"),
        changed(3, detail={"text": "other"}),
        changed(3, seq=4),
        changed(3, org_id=None),
        changed(3, hash="00" * 32),
        [*whole[:3], *whole[4:]],
        [*whole[:3], whole[3], *whole[3:]],
        [whole[0], *whole[2:]],
        whole[:-1],
        [json.dumps(later).encode(), *whole[3:]],
        [json.dumps({**later, "after": 0, "previous": "11" * 32}).encode(), *whole[1:]],
    ):
        with pytest.raises(VerificationError):
            verify_export(forged, where="log", head=head)
    for broken in (
        [],
        [b"{}\n"],
        [b"[]\n"],
        [b"\xff\n"],
        [whole[0], b"{}\n"],
        [whole[0], b"{" * 100_000],
        [head_line(-1, None)],
        changed(3, hash="zz"),
        changed(3, detail="text"),
        changed(3, more=1),
    ):
        with pytest.raises(InputError):
            verify_export(broken, where="log")


def test_without_the_head_a_shortened_log_passes(written: Store) -> None:
    """The control: why the head is kept apart."""
    assert verify_export(_export(written)[:-1], where="log").rows == 5
