"""`stillwatch hunt` as its user types it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from hub.cli.main import cli
from hub.errors import ConflictError, InputError
from hub.match.schema import MATCH_SCHEMA, PATHS

_TODAY = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    for name, first in (("a.jsonl", 0), ("b.jsonl", 100)):
        (folder / name).write_text(
            "".join(json.dumps(_exchange(n)) + "\n" for n in range(first, first + 100))
        )
    return folder


def _exchange(number: int) -> dict[str, Any]:
    return {
        "timestamp": (_TODAY - timedelta(hours=number, minutes=30)).isoformat(),
        "request_id": f"r{number}",
        "account_id": f"acct-{number % 10}",
        "client_ip": f"192.0.2.{number % 50}",
        "model": "example-frontier-4",
        "prompt": f"Explain step by step the answer to task {number} of the long series",
    }


def _bundle(path: Path, **patterns: str) -> Path:
    objects = [
        {
            "type": "indicator",
            "id": f"indicator--00000000-0000-4000-8000-{int(name[1:]):012d}",
            "modified": "2026-11-01T00:00:00Z",
            "name": name,
            "pattern_type": "stix",
            "pattern": pattern,
            "valid_from": "2020-01-01T00:00:00Z",
        }
        for name, pattern in patterns.items()
    ]
    path.write_text(json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects}))
    return path


def _hunt(store: Path, *arguments: object) -> Result:
    verb, *rest = map(str, arguments)
    command = ["hunt", verb, *rest, "--store", str(store)]
    return CliRunner().invoke(cli, command, catch_exceptions=True)


def _document(result: Result) -> dict[str, Any]:
    assert result.exit_code in {0, 1}, (result.output, result.exception)
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_new_indicators_are_hunted_in_old_exchanges(tmp_path: Path, logs: Path) -> None:
    store = tmp_path / "store"
    added = _document(_hunt(store, "add", logs, "--json"))
    assert [one["added"] for one in added["logs"]] == [100, 100]
    bundle = _bundle(tmp_path / "i.json", n1="[ipv4-addr:value = '192.0.2.7']")
    out = tmp_path / "matches.parquet"
    first = _document(
        _hunt(store, "run", "--indicators", bundle, "--json", "--out", out, "--fail-on-match")
    )
    assert first["passes"] == [{"indicators": 1, "exchanges": 200}]
    assert first["matched_exchanges"] == 4
    table = pq.read_table(out)
    assert table.schema.equals(MATCH_SCHEMA)
    assert sorted(table["event_id"].to_pylist()) == ["r107", "r157", "r57", "r7"]
    again = _hunt(store, "run", "--indicators", bundle)
    assert "Nothing new to hunt for in 200 exchanges." in again.output
    assert "--all looks for all indicators again" in again.output
    _bundle(
        bundle,
        n1="[ipv4-addr:value = '192.0.2.7']",
        n2="[user-account:user_id = 'acct-3']",
    )
    second = _document(_hunt(store, "run", "--indicators", bundle, "--json"))
    assert second["passes"] == [{"indicators": 1, "exchanges": 200}]
    assert second["matched_exchanges"] == 20
    every = _document(_hunt(store, "run", "--indicators", bundle, "--json", "--all"))
    assert every["passes"] == [{"indicators": 2, "exchanges": 200}]


def test_old_indicators_are_hunted_in_new_exchanges(tmp_path: Path, logs: Path) -> None:
    store = tmp_path / "store"
    bundle = _bundle(tmp_path / "i.json", n1="[user-account:user_id = 'acct-3']")
    _hunt(store, "add", logs / "a.jsonl")
    assert _document(_hunt(store, "run", "--indicators", bundle, "--json"))["matched_exchanges"]
    _hunt(store, "add", logs)
    found = _document(_hunt(store, "run", "--indicators", bundle, "--json"))
    assert found["passes"] == [{"indicators": 1, "exchanges": 100}]
    assert found["matched_exchanges"] == 10
    assert list(found["campaigns"][0]["sources"]) == ["b.jsonl"]


def test_a_question_about_a_window_leaves_what_is_new(tmp_path: Path, logs: Path) -> None:
    store = tmp_path / "store"
    bundle = _bundle(tmp_path / "i.json", n1="[user-account:user_id = 'acct-3']")
    _hunt(store, "add", logs)
    since = (_TODAY - timedelta(hours=20)).isoformat()
    asked = _document(_hunt(store, "run", "--indicators", bundle, "--json", "--since", since))
    assert asked["matched_exchanges"] == 2
    full = _document(_hunt(store, "run", "--indicators", bundle, "--json"))
    assert full["matched_exchanges"] == 20


def test_what_cannot_be_answered_is_told(tmp_path: Path, logs: Path) -> None:
    store = tmp_path / "store"
    bundle = _bundle(tmp_path / "i.json", n1="[llm-exchange:prompt.text LIKE '%step by step%']")
    _hunt(store, "add", logs)
    result = _hunt(store, "run", "--indicators", bundle)
    assert result.exit_code == 0, result.exception
    assert "0 exchanges matched" in result.output
    assert "not answerable: " in result.output
    assert "once you give --accounts FILE" not in result.output
    table = _bundle(tmp_path / "t.json", n2=f"[{PATHS['fp_tokens'][0]} = 'email:k:a']")
    asked = _hunt(store, "run", "--indicators", table)
    assert "once you give --accounts FILE" in asked.output
    kept = tmp_path / "texts"
    _hunt(kept, "add", logs, "--keep-prompts")
    found = _document(_hunt(kept, "run", "--indicators", bundle, "--json"))
    assert found["matched_exchanges"] == 200
    refused = _hunt(store, "add", logs, "--keep-prompts")
    assert isinstance(refused.exception, ConflictError)


def test_what_the_store_cannot_answer_stays_due(tmp_path: Path, logs: Path) -> None:
    store = tmp_path / "store"
    path = "user-account:extensions.'extension-definition--509b69b0-5e74-5443-a941-a12fce0f875a'"
    bundle = _bundle(tmp_path / "i.json", n1=f"[{path}.email_domain = 'mail.example']")
    _hunt(store, "add", logs)
    blind = _document(_hunt(store, "run", "--indicators", bundle, "--json"))
    assert (blind["passes"], blind["not_answerable"][0]["count"]) == ([], 1)
    table = tmp_path / "customers.csv"
    table.write_text("account_id,email\nacct-3,someone@mail.example\n")
    seen = _document(_hunt(store, "run", "--indicators", bundle, "--json", "--accounts", table))
    assert seen["matched_exchanges"] == 20


def test_status_and_forgetting(tmp_path: Path, logs: Path) -> None:
    store = tmp_path / "store"
    assert isinstance(_hunt(store, "status").exception, InputError)
    _hunt(store, "add", logs, "--days", 3)
    status = _document(_hunt(store, "status", "--json"))
    assert (status["exchanges"], status["days"], status["prompts"]) == (72, 3, False)
    assert "72 exchanges" in _hunt(store, "status").output
    assert isinstance(_hunt(store, "forget").exception, InputError)
    names = tmp_path / "gone.txt"
    names.write_text("acct-1\n\nacct-2\n")
    gone = _hunt(store, "forget", "--account", "acct-3", "--accounts-from", names)
    assert gone.output == "22 exchanges dropped\n"
    assert _document(_hunt(store, "status", "--json"))["exchanges"] == 50
    assert "dropped" in _hunt(store, "forget", "--before", _TODAY.isoformat()).output


def test_bad_input_is_told(tmp_path: Path, logs: Path) -> None:
    store = tmp_path / "store"
    _hunt(store, "add", logs)
    (logs / "c.jsonl").write_bytes(b"\x00\x01 not a log\n")
    assert isinstance(_hunt(store, "add", logs / "c.jsonl").exception, InputError)
    folder = _document(_hunt(store, "add", logs, "--json"))
    assert [one["source"] for one in folder["unread_files"]] == ["c.jsonl"]
    missing = _hunt(store, "forget", "--accounts-from", tmp_path / "none.txt")
    assert "No such file" in str(missing.exception)
    bundle = _bundle(tmp_path / "i.json", n1="[ipv4-addr:value = ")
    result = _hunt(store, "run", "--indicators", bundle)
    assert "not used: indicator--" in result.output


def test_what_is_left_over_is_told(tmp_path: Path, logs: Path) -> None:
    store = tmp_path / "store"
    _document(_hunt(store, "add", logs, "--json"))
    pattern = "[ipv4-addr:value = '192.0.2.7'] REPEATS 3 TIMES WITHIN 900000 SECONDS"
    bundle = _bundle(tmp_path / "i.json", n1=pattern, n2="[llm-exchange:request_model != 'x']")
    asked = ("run", "--all", "--indicators", bundle)
    said = _document(_hunt(store, *asked, "--json"))
    assert (said["several_exchanges"]["completions"], said["several_exchanges"]["held"]) == (1, 1)
    assert said["tests_of_every_exchange"] == 1
    text = " ".join(_hunt(store, *asked).output.split())
    assert "1 exchange left over" in text
    assert "1 test is made of every exchange" in text
