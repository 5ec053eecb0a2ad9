"""The custodian's commands, in one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hub.channel.custodians import parse_row_text
from hub.cli.custodian import command
from hub.errors import AccessError, ConflictError, InputError, StillwatchError, VerificationError
from tests.unit.channel.cast import Person

CHANNEL = "0123456789abcdef" * 4
KEY = "0123456789abcdef.2027q1"


class Operator:
    """Runs commands on one folder.

    Args:
        data: the folder.
    """

    def __init__(self, data: Path) -> None:
        self.data = data

    def run(self, *words: str) -> str:
        done = CliRunner().invoke(
            command, [*words, "--data", str(self.data)], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return done.output

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def refused(self, family: type[StillwatchError], *words: str) -> str:
        with pytest.raises(family) as caught:
            self.run(*words)
        return str(caught.value)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    made = Operator(tmp_path / "custodian")
    made.run("init", "--id", "custody-a.example", "--url", "https://a.example/", "--key-file")
    made.run("channel", "add", CHANNEL)
    return made


def test_a_key_from_its_making_to_its_end(operator: Operator, tmp_path: Path) -> None:
    row = parse_row_text(operator.run("key", "new", CHANNEL, KEY, "--out", str(tmp_path / "row")))
    assert (row.custodian_id, row.url, row.key_id) == (
        "custody-a.example",
        "https://a.example",
        KEY,
    )
    assert parse_row_text((tmp_path / "row").read_text()) == row
    assert operator.json("key", "row", CHANNEL[:8], KEY)["row"] == row.to_json()
    assert operator.json("channel", "list")["channels"][0]["live_keys"] == [KEY]
    assert "manifest not arrived" in operator.run("channel", "list")
    assert operator.json("key", "list")["keys"][0]["state"] == "live"
    assert "not confirmed" in operator.refused(AccessError, "key", "destroy", CHANNEL, KEY)
    assert "back-ups" in operator.run("key", "destroy", CHANNEL, KEY, "--yes", "--why", "a drill")
    assert operator.json("key", "list")["keys"][0]["state"] == "destroyed"
    assert "no live key" in operator.refused(InputError, "key", "row", CHANNEL, KEY)
    assert "there is, or was" in operator.refused(ConflictError, "key", "new", CHANNEL, KEY)
    assert "a drill" in operator.run("audit")


def test_quotas_are_shown_and_set(operator: Operator) -> None:
    member = Person("lab").id
    assert "200,000 a day, 100,000 at once" in operator.run("quota", CHANNEL)
    operator.run("quota", CHANNEL, "--day", "500")
    found = operator.json("quota", CHANNEL, "--member", member, "--burst", "7")
    assert (found["day"], found["burst"]) == (500, 7)
    assert operator.json("quota", CHANNEL)["burst"] == 100_000
    assert "STIX identity" in operator.refused(InputError, "quota", CHANNEL, "--member", "lab")


def test_the_audit_is_checked_against_a_noted_head(operator: Operator) -> None:
    head = operator.json("audit", "--verify")["head"]
    operator.run("quota", CHANNEL, "--day", "9")
    assert operator.json("audit", "--verify", "--follows", head)["rows"] == 2
    assert [row["event"] for row in operator.json("audit", "--last", "1")["rows"]] == ["quota-set"]
    for other in (f"2:{head[2:]}", f"9:{head[2:]}", "x", "9" * 40 + ":x"):
        words = ("audit", "--verify", "--follows", other)
        assert "does not follow" in operator.refused(VerificationError, *words)
    assert "--verify" in operator.refused(InputError, "audit", "--follows", head)


def test_what_does_not_fit_is_refused(operator: Operator, tmp_path: Path) -> None:
    assert "not served here" in operator.refused(InputError, "quota", "ab" * 32)
    assert "served already" in operator.refused(ConflictError, "channel", "add", CHANNEL)
    assert "hex digits" in operator.refused(InputError, "channel", "add", "abc")
    other = Operator(tmp_path / "other")
    init = ("init", "--id", "custody-a.example", "--url")
    assert "web address" in other.refused(InputError, *init, "a.example", "--key-file")
    assert "no terminal" in other.refused(AccessError, *init, "https://a.example")
    short = tmp_path / "passphrase"
    short.touch(mode=0o600)
    short.write_text("short\n")
    words = (*init, "https://a.example", "--passphrase-file", str(short))
    assert "fewer than 12" in other.refused(InputError, *words)
    assert "not both" in other.refused(InputError, *words, "--key-file")
    assert "no custodian here" in other.refused(InputError, "key", "list")
    short.write_bytes(b"correct horse battery staple\n")
    other.run(*words)
    other.run("channel", "add", CHANNEL, "--owner-root", "ab" * 32)
    assert "no terminal" in other.refused(AccessError, "key", "new", CHANNEL, KEY)
    made = other.run("key", "new", CHANNEL, KEY, "--passphrase-file", str(short))
    assert parse_row_text(made).key_id == KEY
