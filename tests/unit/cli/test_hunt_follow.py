"""`stillwatch hunt run --follow`: when it hunts, what it tells, and what it survives."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hub.cli import hunt_follow
from hub.cli.hunt_follow import Hunting
from hub.cli.main import cli
from hub.client.follow import Round, Waking
from hub.client.pulled import Pulled
from hub.client.subscriber import pull
from hub.client.work import Desk
from hub.errors import ConflictError, InputError, StoreError
from hub.hunt.store import EventStore
from tests.unit.cli.shell import Shell

QUIET, NEWS = [Pulled("circle")], [Pulled("circle", messages=1)]
Hunt = Callable[[], None]
EARLIER = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def events(tmp_path: Path) -> EventStore:
    return EventStore.create(tmp_path / "events")


class Counted:
    """A hunt that counts, and fails when told to."""

    def __init__(self) -> None:
        self.number = 0
        self.error: Exception | None = None

    def __call__(self) -> None:
        self.number += 1
        if self.error is not None:
            raise self.error


def test_it_hunts_at_first_and_for_what_is_new(events: EventStore) -> None:
    hunt = Counted()
    hunting = Hunting(events, hunt)
    seen = []
    for results in (QUIET, QUIET, NEWS, QUIET):
        hunting.after(results)
        seen.append(hunt.number)
    assert seen == [1, 1, 2, 2]


def test_it_hunts_in_exchanges_that_were_added(events: EventStore, tmp_path: Path) -> None:
    hunt = Counted()
    hunting = Hunting(events, hunt)
    hunting.after(QUIET)
    add(tmp_path, events.path, "198.51.100.7")
    hunting.after(QUIET)
    hunting.after(QUIET)
    assert hunt.number == 2


def test_a_hunt_that_failed_is_made_up_for(
    events: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    hunt = Counted()
    hunting = Hunting(events, hunt)
    hunting.after(QUIET)
    hunt.error = ConflictError("another process holds the store", hint="wait")
    hunting.after(NEWS)
    assert "put off: another process holds the store (wait)" in capsys.readouterr().err
    hunt.error = None
    hunting.after(QUIET)
    hunting.after(QUIET)
    assert hunt.number == 3


def test_what_cannot_go_on_ends_it(events: EventStore) -> None:
    hunt = Counted()
    hunting = Hunting(events, hunt)
    hunt.error = InputError("no such table")
    with pytest.raises(InputError):
        hunting.after(QUIET)
    hunt.error = None
    hunting.after(QUIET)
    hunt.error = StoreError("the disk is full")
    with pytest.raises(StoreError):
        hunting.after(NEWS)


@pytest.mark.parametrize(
    "words",
    [("--out", "m.jsonl"), ("--since", "2026-01-01"), ("--fail-on-match",), ("--dry-run",)],
)
def test_options_of_a_single_hunt_are_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, ["hunt", "run", "--follow", *words, "--home", str(tmp_path)])
    assert done.exit_code == 2
    assert f"{words[0]} does not go with --follow" in done.stderr


def add(folder: Path, store: Path, address: str) -> None:
    exchange = {
        "timestamp": datetime.now(UTC).isoformat(),
        "request_id": f"r-{address}",
        "account_id": "acct-1",
        "client_ip": address,
        "model": "example-frontier-4",
    }
    log = folder / "log.jsonl"
    log.write_text(json.dumps(exchange) + "\n")
    words = ["hunt", "add", "--store", str(store), str(log)]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output


def test_matches_are_told_as_they_come(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.admit()
    store = tmp_path / "events"
    add(tmp_path, store, "198.51.100.7")

    def publish(address: str) -> None:
        path = tmp_path / "lead.csv"
        # Valid when the exchange was observed, however long all this takes.
        path.write_text(f"address,campaign,first_seen\n{address},LANTERN,{EARLIER}\n")
        shell.run("lab", "publish", str(path), "--channel", "circle")

    def follow(
        desk: Desk, names: Any, interval: float, waking: Waking, take: Callable[[Round], None]
    ) -> None:
        assert interval == 5
        take(Round(pull(desk), frozenset()))
        publish("192.0.2.1")
        take(Round(pull(desk), frozenset({"circle"})))
        publish("198.51.100.7")
        take(Round(pull(desk), frozenset({"circle"})))
        take(Round(pull(desk), frozenset()))

    monkeypatch.setattr(hunt_follow, "follow", follow)
    monkeypatch.setattr(hunt_follow, "ended_by_signals", Waking)
    words = ("hunt", "run", "--follow", "--interval", "5", "--store", str(store))
    lines = shell.run("provider", *words, "--json").stdout.splitlines()
    (found,) = map(json.loads, lines)
    assert found["matched_exchanges"] == 1
    assert found["campaigns"]
    # What a following hunt has looked for, a single one need not.
    again = shell.json("provider", "hunt", "run", "--store", str(store))
    assert again["passes"] == []
