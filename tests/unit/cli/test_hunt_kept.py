"""What `stillwatch hunt run --follow` keeps between arrivals changes no answer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.cli import hunt_follow, hunt_kept
from hub.cli.hunt_kept import Decode, Kept
from hub.client.follow import Round, Waking
from hub.client.subscriber import pull
from hub.client.work import Desk
from hub.hunt.hunted import Versions
from hub.match.engine import IndicatorIndex
from hub.model.codec import Json, loads
from tests.unit.cli.shell import Shell
from tests.unit.cli.test_hunt_follow import EARLIER, add


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    seen: list[bytes] = []

    def counting(data: bytes) -> Json:
        seen.append(data)
        return loads(data)

    monkeypatch.setattr(hunt_kept, "loads", counting)
    return seen


def reading(stored: list[bytes]) -> Callable[[Decode], Iterator[Json]]:
    return lambda decode: map(decode, stored)


def test_only_what_changed_is_parsed(parsed: list[bytes]) -> None:
    kept, stored = Kept(), [b'{"id":"a"}', b'{"id":"b"}']
    assert [one["id"] for one in kept.objects(reading(stored))()] == ["a", "b"]
    stored[1] = b'{"id":"c"}'
    objects = kept.objects(reading(stored))
    assert [one["id"] for one in objects()] == [one["id"] for one in objects()] == ["a", "c"]
    assert parsed == [b'{"id":"a"}', b'{"id":"b"}', b'{"id":"c"}']
    # What went is forgotten, and parsed when it comes back.
    stored[1] = b'{"id":"b"}'
    assert [one["id"] for one in kept.objects(reading(stored))()] == ["a", "b"]
    assert parsed[3:] == [b'{"id":"b"}']


def test_of_too_many_nothing_is_kept(parsed: list[bytes]) -> None:
    kept, stored = Kept(most=2), [b'{"id":"a"}', b'{"id":"b"}', b'{"id":"c"}']
    for _ in range(2):
        objects = kept.objects(reading(stored))
        parsed.clear()
        assert [one["id"] for one in objects()] == [one["id"] for one in objects()]
        assert parsed == stored * 2


def test_what_the_store_cannot_answer_is_asked_anew_of_other_columns() -> None:
    kept, filled = Kept(), frozenset({"client_ip"})
    versions = Versions({"x": b"1", "y": b"2"})
    kept.blind(versions, ["x", "y"], filled)
    kept.note_blind(versions, {"x": ["domain-name:value"]})
    assert kept.blind(versions, ["x", "y"], filled) == {"x": ["domain-name:value"]}
    # Another version may ask about something else.
    assert kept.blind(Versions({"x": b"3"}), ["x"], filled) == {}
    assert kept.blind(versions, ["x", "y"], filled | {"output_domains"}) == {}
    assert kept.blind(versions, ["x", "y"], filled) == {}


def told(document: Any) -> Any:
    """Without the order of ids, which depends on when each was found."""
    del document["store"]
    for one in document["not_answerable"]:
        one["examples"].sort()
    return document


def test_each_arrival_is_answered_as_by_a_fresh_hunt(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.admit()
    store, copy = tmp_path / "events", tmp_path / "copy"
    add(tmp_path, store, "198.51.100.7")
    add(tmp_path, store, "198.51.100.8")
    compiled: list[int] = []
    fresh: list[Any] = []
    build = IndicatorIndex.build

    def building(objects: Iterator[Json]) -> IndicatorIndex:
        index = build(objects)
        compiled.append(len(index))
        return index

    def arrive(desk: Desk, take: Callable[[Round], None], kind: str, *values: str) -> list[int]:
        path = tmp_path / "lead.csv"
        rows = "".join(f"{each},{EARLIER}\n" for each in values)
        path.write_text(f"{kind},first_seen\n{rows}")
        shell.run("lab", "publish", str(path), "--channel", "circle", "--campaign", "LANTERN")
        results = pull(desk)
        shutil.copytree(store, copy)
        fresh.append(told(shell.json("provider", "hunt", "run", "--store", str(copy))))
        shutil.rmtree(copy)
        compiled.clear()
        take(Round(results, frozenset({"circle"})))
        return list(compiled)

    def follow(
        desk: Desk, names: Any, interval: float, waking: Waking, take: Callable[[Round], None]
    ) -> None:
        domains = [f"domain{number}.example" for number in range(3)]
        assert arrive(desk, take, "domain", *domains) == [3]
        # Known to be beyond what the store has: not compiled again, and still told.
        assert arrive(desk, take, "address", "198.51.100.7") == [1]
        assert arrive(desk, take, "domain", "sixth.example") == [1]
        assert arrive(desk, take, "address", "198.51.100.8") == [1]
        lead = fresh[-1]["campaigns"][0]["layers"][0]["indicators"][0]["indicator_id"]
        shell.run("lab", "retract", lead, "--channel", "circle")
        compiled.clear()
        take(Round(pull(desk), frozenset({"circle"})))
        assert compiled == []

    monkeypatch.setattr(IndicatorIndex, "build", building)
    monkeypatch.setattr(hunt_follow, "follow", follow)
    monkeypatch.setattr(hunt_follow, "ended_by_signals", Waking)
    done = shell.run("provider", "hunt", "run", "--follow", "--store", str(store), "--json")
    assert "put off" not in done.stderr
    lines = [told(json.loads(line)) for line in done.stdout.splitlines()]
    assert [one["matched_exchanges"] for one in fresh] == [0, 1, 0, 1]
    assert lines == [one for one in fresh if one["matched_exchanges"]]
    assert lines[1]["not_answerable"][0]["count"] == 4
    # What the store cannot answer stays due.
    left = shell.json("provider", "hunt", "run", "--store", str(store))
    assert [one["count"] for one in left["not_answerable"]] == [4]
    assert left["passes"] == []
