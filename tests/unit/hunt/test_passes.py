"""What is due: each indicator in each file once, and again where it spans several exchanges."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hub.hunt.catalogue import Part
from hub.hunt.hunted import Hunted, Versions
from hub.hunt.passes import passes


def _part(generation: int, number: int = 0) -> Part:
    return Part(f"events/{generation}-{number}.parquet", "log", 10, 1, 0, 9, generation, ())


def _indicator(identifier: str, modified: str = "2026-11-01T00:00:00Z") -> dict[str, object]:
    return {"type": "indicator", "id": identifier, "modified": modified}


_IDS = st.sampled_from(["a", "b", "c", "d"])


@given(
    done=st.dictionaries(_IDS, st.integers(0, 4), min_size=1),
    stateful=st.frozensets(_IDS),
    generations=st.lists(st.integers(1, 5), min_size=1, max_size=8),
)
def test_everything_due_is_looked_for_once(
    done: dict[str, int], stateful: frozenset[str], generations: list[int]
) -> None:
    newest = max(generations)
    due = [
        (level, frozenset(name for name, at in done.items() if at == level))
        for level in sorted({at for at in done.values() if at < newest})
    ]
    named = {name for _, ids in due for name in ids}
    parts = [_part(generation, number) for number, generation in enumerate(generations)]
    found = passes(due, stateful & named, parts)
    looked = [(name, part.file) for one in found for name in one.indicators for part in one.parts]
    assert len(looked) == len(set(looked))
    assert set(looked) == {
        (name, part.file)
        for name in named
        for part in parts
        if name in stateful or done[name] < part.generation
    }


def test_what_was_hunted_is_due_no_more(tmp_path: Path) -> None:
    hunted = Hunted.load(tmp_path)
    first = Versions.of([_indicator("a"), _indicator("b")])
    assert list(hunted.due(first, 3)) == [(0, frozenset({"a", "b"}))]
    hunted.note(first, 3)
    hunted.save(tmp_path)
    again = Hunted.load(tmp_path)
    assert list(again.due(first, 3)) == []
    newer = Versions.of([_indicator("a", "2026-11-02T00:00:00Z"), _indicator("b"), _indicator("c")])
    assert list(again.due(newer, 3)) == [(0, frozenset({"a", "c"}))]
    assert list(again.due(newer, 4)) == [(0, frozenset({"a", "c"})), (3, frozenset({"b"}))]


def test_the_newest_version_counts_however_times_are_written() -> None:
    versions = Versions.of(
        [_indicator("a", "2026-11-01T00:00:00.5Z"), _indicator("a", "2026-11-01T00:00:00Z")]
    )
    assert versions == Versions.of([_indicator("a", "2026-11-01T00:00:00.5Z")])


def test_a_damaged_note_hunts_everything_again(tmp_path: Path) -> None:
    hunted = Hunted.load(tmp_path)
    versions = Versions.of([_indicator("a")])
    hunted.note(versions, 3)
    hunted.save(tmp_path)
    file = next(tmp_path.iterdir())
    data = file.read_bytes()
    for damaged in (b"", data[: len(data) // 2], b"x" * 100):
        file.write_bytes(damaged)
        assert list(Hunted.load(tmp_path).due(versions, 3)) == [(0, frozenset({"a"}))]
