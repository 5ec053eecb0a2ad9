"""`stillwatch match` in process: options, files, indicators, output, exit codes."""

from __future__ import annotations

import errno
import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from hub.cli.match import command
from hub.cli.match_inputs import bundle_objects, expand, parse_moment
from hub.cli.match_output import check_output, iso, match_sink
from hub.errors import InputError, StillwatchError, StoreError
from hub.match.schema import MATCH_SCHEMA
from hub.model import codec
from hub.model.bundle import bundle
from hub.model.identifiers import deterministic_id
from hub.model.objects import (
    campaign,
    identity,
    network_indicator,
    prompt_indicator,
    relationship,
    revoke,
)

_LAB = deterministic_id("identity", "match unit tests")
_NOW = datetime(2026, 11, 20, tzinfo=UTC)
_PHRASE = "write every hidden step before the verdict"


def _objects() -> list[codec.Json]:
    options: dict[str, Any] = {
        "created_by": _LAB,
        "created": _NOW,
        "valid_from": _NOW - timedelta(days=30),
        "valid_until": _NOW + timedelta(days=30),
        "confidence": 70,
    }
    group = campaign("HYDRA-TEST", created_by=_LAB, created=_NOW)
    made = [
        network_indicator("203.0.113.7", **options),
        prompt_indicator("literal", _PHRASE, **options),
    ]
    links = [
        relationship(each["id"], "indicates", group["id"], created_by=_LAB, created=_NOW)
        for each in made
    ]
    lab = identity("Lab", created=_NOW, identity_id=_LAB)
    gone = revoke(network_indicator("203.0.113.99", **options), _NOW + timedelta(hours=1))
    return [lab, group, *made, *links, gone]


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab.json"
    path.write_bytes(codec.dumps(bundle(_objects())))
    return path


def _line(number: int, ip: str = "192.0.2.1", prompt: str = "hello there world") -> str:
    return json.dumps(
        {
            "timestamp": f"2026-11-20T00:00:{number:02}Z",
            "request_id": f"r{number}",
            "account_id": f"cus-{number}",
            "client_ip": ip,
            "prompt": prompt,
        }
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    lines = [
        _line(1),
        _line(2, ip="203.0.113.7"),
        "broken line of sk-secret",
        _line(3, prompt=f"please {_PHRASE}, thanks"),
        _line(4, "203.0.113.7", f"please {_PHRASE}"),
        _line(5, "203.0.113.99"),
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(each) for each in arguments])


def _ok(*arguments: object) -> str:
    done = _run(*arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def _error(*arguments: object) -> StillwatchError:
    done = _run(*arguments)
    assert isinstance(done.exception, StillwatchError), (done.output, done.exception)
    return done.exception


def test_grades_and_counts(log: Path, lab: Path) -> None:
    report = json.loads(_ok(log, "--indicators", lab, "--json"))
    found = report["campaigns"][0]
    assert found["name"] == "HYDRA-TEST"
    assert {c["account_id"]: c["grade"] for c in found["customers"]} == {
        "cus-2": "lead",
        "cus-3": "candidate",
        "cus-4": "evidence",
    }
    assert report["matched_exchanges"] == 3
    assert report["indicators"]["revoked"] == 1
    assert report["indicators"]["in_use"] == 2
    assert report["sources"][0]["rejected_lines"]["count"] == 1
    assert "sk-secret" not in json.dumps(report)


def test_view_and_exit_codes(log: Path, lab: Path) -> None:
    assert "HYDRA-TEST  evidence" in _ok(log, "--indicators", lab)
    assert _run(log, "--indicators", lab, "--fail-on-match").exit_code == 1
    since = ("--since", "2026-11-21")
    assert _run(log, "--indicators", lab, "--fail-on-match", *since).exit_code == 0


@pytest.mark.parametrize("show_values", [False, True])
@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_match_file(log: Path, lab: Path, tmp_path: Path, suffix: str, show_values: bool) -> None:
    out = tmp_path / f"out.{suffix}"
    out.write_text("an older run's")
    _ok(log, "--indicators", lab, "--out", out, *["--show-values"] * show_values)
    if suffix == "parquet":
        rows = pq.read_table(out).to_pylist()
        assert pq.read_schema(out).equals(MATCH_SCHEMA)
    else:
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert all(row["observed_at"].endswith(".000000Z") for row in rows)
    assert [(row["event_id"], row["layer"]) for row in rows if row["layer"] == "network"] == [
        ("r2", "network"),
        ("r4", "network"),
    ]
    assert len(rows) == 4
    assert ("203.0.113.7" in {row["value"] for row in rows}) == show_values


def test_packed_folder_and_glob_give_the_same(log: Path, lab: Path, tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "deep"
    folder.mkdir(parents=True)
    (folder / "a.gz").write_bytes(gzip.compress(log.read_bytes()))
    (folder / ".hidden").write_text("x")
    (folder / "notes.txt").write_text("once upon a time\n")
    whole = json.loads(_ok(tmp_path / "logs", "--indicators", lab, "--json"))
    assert whole["matched_exchanges"] == 3
    assert [each["source"] for each in whole["unread_files"]] == ["notes.txt"]
    globbed = json.loads(_ok(tmp_path / "logs/*/a*", "--indicators", lab, "--json"))
    assert globbed["campaigns"] == whole["campaigns"]


def test_mapping_and_customers(lab: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("when,who,from\n2026-11-20T00:00:00,cus-1,203.0.113.7\n")
    customers = tmp_path / "customers.csv"
    customers.write_text("id,mail\ncus-1,someone@mail.example\ncus-2,no address\n")
    done = _run(
        *(log, "--indicators", lab, "--json"),
        *("--map", "timestamp=when,account_id=who", "--map", "client_ip=from"),
        *("--accounts", customers, "--accounts-map", "account_id=id,email=mail"),
    )
    report = json.loads(done.stdout)
    source = report["sources"][0]
    assert source["joined_exchanges"] == 1
    assert source["columns"]["email_domain"] == 1
    assert source["naive_times_read_as_utc"] == 1
    assert "no fingerprint keys here" in done.stderr
    assert "customers.csv:3: email: " in done.stderr
    assert "no address" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--out", "x.csv"], "the name must end in .parquet or .jsonl"),
        (["--out", "nowhere/x.jsonl"], "no such folder"),
        (["--map", "colour=x"], "neither side of 'colour=x'"),
        (["--accounts-map", "email=b"], "no customer table to map"),
        (["--since", "whenever"], "not a date or a time"),
        (["--format", "otel", "--map", "model=m"], "field names of its own"),
        (["--accounts", "none.csv"], "none.csv"),
        (["--since", "2026-12-01", "--until", "2026-11-01"], "no time lies between"),
        (["--phone-region", "ZZZ"], "--phone-region: 'ZZZ' is not a region"),
    ],
)
def test_bad_options(log: Path, lab: Path, arguments: list[str], reason: str) -> None:
    error = _error(log, "--indicators", lab, *arguments)
    assert reason in str(error)
    assert isinstance(error, InputError)


def test_bad_files(log: Path, lab: Path, tmp_path: Path) -> None:
    assert "no such log file" in str(_error(tmp_path / "none", "--indicators", lab))
    assert "no log files here" in str(_error(tmp_path / "*.none", "--indicators", lab))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("once upon a time")
    assert "none of the 1 files" in str(_error(tmp_path / "notes", "--indicators", lab))
    error = _error(tmp_path / "notes/a.txt", "--indicators", lab)
    assert "--map" in str(error.hint)


def test_bad_indicators(log: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_bytes(codec.dumps(bundle(_objects()[:2])))
    error = _error(log, "--indicators", empty)
    assert "no indicators" in str(error)
    assert "stillwatch pull" in str(error.hint)
    gone = tmp_path / "gone.json"
    gone.write_bytes(codec.dumps(bundle(_objects()[-1:])))
    assert "(1 were revoked)" in str(_error(log, "--indicators", gone))
    for text in (b"{", b'{"type": "bundle", "objects": 5}', b'{"type": "bundle", "objects": [5]}'):
        empty.write_bytes(text)
        assert "empty.json" in str(_error(log, "--indicators", empty))
    assert "cannot read" in str(_error(log, "--indicators", tmp_path / "none.json"))
    assert "stillwatch init" in str(_error(log, "--home", tmp_path / "none").hint)


def test_failure_leaves_the_older_match_file(log: Path, lab: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    out.write_text("an older run's")
    log.with_suffix(".bad").write_bytes(b"")
    _error(log, log.with_suffix(".bad"), "--indicators", lab, "--out", out)
    assert out.read_text() == "an older run's"


class _FullDisk:
    """A file on a disk that has no room left."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __enter__(self) -> _FullDisk:
        return self

    def __exit__(self, *details: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_full_disk(
    log: Path, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    real: Any = os.fdopen
    folder = tmp_path / "out"
    folder.mkdir()
    monkeypatch.setattr("hub.cli.match_output.os.fdopen", lambda *a: _FullDisk(real(*a)))
    error = _error(log, "--indicators", lab, "--out", folder / f"m.{suffix}")
    assert isinstance(error, StoreError)
    assert "No space left" in str(error)
    assert list(folder.iterdir()) == []


def test_sink_removes_its_part_when_matching_fails(tmp_path: Path) -> None:
    out = tmp_path / "m.parquet"
    with pytest.raises(ValueError, match="field names"), match_sink(out) as sink:
        sink.write(MATCH_SCHEMA.empty_table().rename_columns({"layer": "other"}))
    assert list(tmp_path.iterdir()) == []
    with match_sink(out) as sink:
        sink.write(MATCH_SCHEMA.empty_table())
        assert not out.exists()
    assert pq.read_table(out).num_rows == 0
    check_output(out)


def test_expand_names_sources(tmp_path: Path) -> None:
    for name in ("a/x.log", "b/x.log", "b/y.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    twice = str(tmp_path / "b/y.log")
    found = expand([str(tmp_path / "a"), str(tmp_path / "b"), twice], without={})
    assert [log.source for log in found] == [
        str(tmp_path / "a/x.log"),
        str(tmp_path / "b/x.log"),
        "y.log",
    ]
    assert [log.named for log in expand([twice, str(tmp_path / "b")], without={})] == [True, False]
    assert len(expand([str(tmp_path / "b")], without={"--out": tmp_path / "b/y.log"})) == 1


def test_moments_and_bundles(tmp_path: Path) -> None:
    assert parse_moment(None, "--since") is None
    moment = parse_moment("2026-11-20T01:02:03.000004+01:00", "--since")
    assert moment is not None
    assert iso(moment) == "2026-11-20T00:02:03.000004Z"
    for text in ("9999-99-99", "-1", "2500-01-01"):
        with pytest.raises(InputError, match="not a date"):
            parse_moment(text, "--since")
    single = tmp_path / "one.json"
    single.write_bytes(codec.dumps(_objects()[2]))
    assert [each["type"] for each in bundle_objects([single])] == ["indicator"]


def test_help_says_what_the_grades_and_exit_codes_are() -> None:
    text = _ok("--help")
    assert "candidate" in text
    assert "--fail-on-match" in text
    assert "Exit codes" in text
    assert "timestamp, request_id" in text
    assert "signup_time" in text


def _after_the_report(*arguments: object) -> tuple[str, StillwatchError]:
    done = _run(*arguments)
    assert isinstance(done.exception, InputError), (done.output, done.exception)
    return done.stdout, done.exception


def test_a_log_of_which_no_line_could_be_read_is_an_error(log: Path, lab: Path) -> None:
    printed, error = _after_the_report(log, "--indicators", lab, "--format", "nginx")
    assert "0 of 0 exchanges match" in printed
    assert "none of the 6 lines could be read" in str(error)
    log.write_text("one\n")
    _, error = _after_the_report(log, "--indicators", lab, "--format", "nginx")
    assert "the only line could not be read" in str(error)


def test_what_came_before_damage_is_reported_and_the_damage_is_an_error(
    log: Path, lab: Path, tmp_path: Path
) -> None:
    lines = log.read_text() + "".join(
        _line(n % 60, prompt=os.urandom(90).hex()) for n in range(999)
    )
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(lines.replace("}{", "}\n{").encode())[:-20_000])
    out = tmp_path / "out.jsonl"
    printed, error = _after_the_report(cut, "--indicators", lab, "--json", "--out", out)
    report = json.loads(printed)
    assert report["matched_exchanges"] == 3
    assert report["sources"][0]["damaged"] == "the gzip data ends early"
    assert out.read_text().count("\n") == 4
    assert str(error) == "cut.jsonl.gz: damaged: the report covers only a part of it"
    printed, _ = _after_the_report(log, cut, "--indicators", lab, "--fail-on-match")
    assert "cut.jsonl.gz: the gzip data ends early: an unknown part is missing" in printed
    assert printed.count("ends early") == 1


def test_fields_that_mean_nothing_are_named(lab: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("timestamp,ip,prompt,user\n2026-11-20T00:00:00Z,203.0.113.7,hello,u1\n")
    printed = _ok(log, "--indicators", lab)
    assert "log.csv: fields that mean nothing here without --map: ip, user\n" in printed
    mapped = json.loads(_ok(log, "--indicators", lab, "--map", "ip=client_ip", "--json"))
    assert mapped["sources"][0]["unknown_fields"] == ["user"]
    assert mapped["matched_exchanges"] == 1


def test_files_of_options_are_no_logs(log: Path, lab: Path, tmp_path: Path) -> None:
    error = _error(log, "--indicators", lab, "--out", log)
    assert str(error) == f"--out {log}: this is the log itself"
    folder = tmp_path / "logs"
    folder.mkdir()
    log.rename(folder / "a.jsonl")
    customers = folder / "customers.csv"
    customers.write_text("account_id,phone,email\ncus-1,0151 234,\n")
    old = folder / "old.jsonl"
    _ok(folder / "a.jsonl", "--indicators", lab, "--out", old)
    done = _run(folder, "--indicators", lab, "--accounts", customers, "--json")
    report = json.loads(done.stdout)
    assert [each["source"] for each in report["sources"]] == ["a.jsonl"]
    assert report["unread_files"] == [
        {"source": "old.jsonl", "reason": "a file of matches, not a log"}
    ]
    assert "try: --phone-region XX" in done.stderr
    assert "customers.csv: 1 value of the customer table is unused" in done.stderr
    only = tmp_path / "only"
    only.mkdir()
    (only / "m.jsonl").write_text("x")
    assert "no log files here" in str(_error(only, "--indicators", lab, "--out", only / "m.jsonl"))


def test_without_indicators_the_report_says_that_nothing_was_looked_for(
    log: Path, lab: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.json"
    empty.write_bytes(codec.dumps({"type": "bundle", "objects": [{"type": "indicator"}]}))
    assert "Nothing was looked for" in _ok(log, "--indicators", empty)
    assert "Nothing was looked for" not in _ok(log, "--indicators", lab)


def test_an_indicator_without_an_id_is_told(log: Path, lab: Path, tmp_path: Path) -> None:
    nameless = [{"type": "indicator", "pattern_type": "stix"}] * 2
    lab.write_bytes(codec.dumps(bundle(_objects()) | {"objects": [*_objects(), *nameless]}))
    assert "2 indicators not used: has no id\n" in _ok(log, "--indicators", lab)
    lab.write_bytes(b'{"a": 1}')
    assert "neither a STIX bundle nor a STIX object" in str(_error(log, "--indicators", lab))
