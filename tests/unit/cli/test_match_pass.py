"""`stillwatch match`: several cores, explanations, and passes that are killed and go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from hub.cli import match_run
from hub.cli.match import command
from hub.cli.match_inputs import LogFile
from hub.cli.match_journal import Done, Journal
from hub.cli.match_work import Outcome
from hub.errors import InputError
from hub.model import codec
from hub.model.bundle import bundle
from hub.traffic import source
from hub.traffic.reader import LogReader
from tests.unit.cli.test_match import _objects

_PHRASE = "write every hidden step before the verdict"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab.json"
    path.write_bytes(codec.dumps(bundle(_objects())))
    return path


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Three logs of which some lines match, and some are broken."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for name in "abc":
        lines = [_line(f"{name}{number}", number) for number in range(120)]
        lines[7] = "{broken"
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    return folder


def _line(event: str, number: int) -> str:
    return json.dumps(
        {
            "timestamp": f"2026-11-20T10:{number // 60:02d}:{number % 60:02d}Z",
            "request_id": event,
            "account_id": f"cus-{number % 5}",
            "client_ip": "203.0.113.7" if number % 10 == 0 else "192.0.2.1",
            "prompt": _PHRASE if number % 15 == 0 else "hello",
        }
    )


def _match(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [*map(str, arguments)], catch_exceptions=False)


def _report(*arguments: str | Path) -> Any:
    result = _match(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_answer_does_not_depend_on_jobs(
    logs: Path, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "CUT_BYTES", 1500)
    told = []
    for jobs in ("1", "2", "5"):
        out = tmp_path / f"{jobs}.jsonl"
        report = _report(logs, "--indicators", lab, "--jobs", jobs, "--out", out)
        told.append((report, out.read_bytes()))
    assert told[0] == told[1] == told[2]
    assert told[0][0]["matched_exchanges"] == 3 * 16
    assert [one["rejected_lines"]["count"] for one in told[0][0]["sources"]] == [1, 1, 1]


def test_explain_tells_clause_publisher_and_campaign(logs: Path, lab: Path) -> None:
    report = _report(logs, "--indicators", lab, "--explain", "b30")
    told = report["explanations"]
    assert [one["event_id"] for one in told] == ["b30", "b30"]
    paths = {clause["path"] for one in told for clause in one["clauses"]}
    assert paths == {"ipv4-addr:value", "llm-exchange:prompt.text"}
    assert all(one["clauses"][0]["verdict"] == "holds" for one in told)
    assert all(one["confidence"] == 70 and one["campaign_ids"] for one in told)
    text = _match(logs, "--indicators", lab, "--explain", "2").output
    assert "ipv4-addr:value" in text
    assert "HYDRA-TEST" in text
    assert "more matches are not explained" in text


def test_explain_of_an_exchange_without_match_says_so(logs: Path, lab: Path) -> None:
    text = _match(logs, "--indicators", lab, "--explain", "b31").output
    assert "no match of exchange b31 to explain" in text


@pytest.mark.parametrize("wanted", ["0", "-3"])
def test_less_than_one_match_cannot_be_explained(logs: Path, lab: Path, wanted: str) -> None:
    done = CliRunner().invoke(command, [str(logs), "--indicators", str(lab), f"--explain={wanted}"])
    assert isinstance(done.exception, InputError)
    assert "no number of matches" in str(done.exception)


def test_explanations_tell_that_values_are_masked(logs: Path, lab: Path) -> None:
    told = "values of exchanges are masked"
    asked = (logs, "--indicators", lab, "--explain", "1")
    assert told in _match(*asked).output
    assert told not in _match(*asked, "--show-values").output


def test_a_finished_log_is_taken_from_the_journal(
    logs: Path, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _report(logs, "--indicators", lab, "--out", tmp_path / "whole.parquet")
    _cut_short(monkeypatch, logs, lab, tmp_path)
    read: list[str] = []
    real = LogReader.tasks

    def watched(reader: Any, **given: Any) -> Any:
        read.append(reader.path.name)
        return real(reader, **given)

    monkeypatch.setattr(LogReader, "tasks", watched)
    out = tmp_path / "resumed.parquet"
    resumed = _report(logs, "--indicators", lab, "--resume", tmp_path / "journal", "--out", out)
    assert read == ["c.jsonl"]
    assert resumed == whole
    assert pq.read_table(out).equals(pq.read_table(tmp_path / "whole.parquet"))
    assert not (tmp_path / "journal").exists()


class _StoppedError(Exception):
    """The pass was ended."""


def _cut_short(monkeypatch: pytest.MonkeyPatch, logs: Path, lab: Path, tmp_path: Path) -> None:
    """End a pass in its third log."""
    real = match_run.Pass._end
    ended: list[Any] = []

    def end(self: Any, one: Any) -> None:
        real(self, one)
        ended.append(one)
        if len(ended) == 2:
            raise _StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(match_run.Pass, "_end", end)
        with pytest.raises(_StoppedError):
            _match(logs, "--indicators", lab, "--resume", tmp_path / "journal")
    assert len(list((tmp_path / "journal").glob("*.json"))) == 2


@pytest.mark.parametrize(
    "change", ["log", "indicators", "options", "entry", "table", "counts", "foreign"]
)
def test_a_journal_that_does_not_fit_is_not_used(
    logs: Path, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    _cut_short(monkeypatch, logs, lab, tmp_path)
    journal = tmp_path / "journal"
    options: list[str | Path] = ["--indicators", lab]
    if change == "log":
        for log in logs.iterdir():
            os.utime(log, ns=(1, 1))
    elif change == "indicators":
        lab.write_bytes(codec.dumps(bundle(_objects()[:3])))
    elif change == "options":
        options += ["--show-values"]
    else:
        for entry in journal.glob("*.parquet" if change == "table" else "*.json"):
            if change == "counts":
                kept = json.loads(entry.read_text())
                kept["counts"] = {"rows": "many"}
                entry.write_text(json.dumps(kept))
            else:
                entry.write_bytes(entry.read_bytes()[:-20])
    if change == "foreign":
        (journal / "mine.parquet").write_bytes(b"")
        with pytest.raises(InputError, match="other files"):
            _match(logs, "--resume", journal, *options)
        assert (journal / "mine.parquet").exists()
        return
    read: list[str] = []
    real = LogReader.tasks

    def watched(reader: Any, **given: Any) -> Any:
        read.append(reader.path.name)
        return real(reader, **given)

    monkeypatch.setattr(LogReader, "tasks", watched)
    resumed = _report(logs, *options, "--resume", journal)
    assert read == ["a.jsonl", "b.jsonl", "c.jsonl"]
    monkeypatch.setattr(LogReader, "tasks", real)
    assert resumed == _report(logs, *options)


def test_a_killed_process_goes_on_and_tells_the_same(logs: Path, lab: Path, tmp_path: Path) -> None:
    """A real kill, as soon as the journal holds a log; the last log is long."""
    lines = [_line(f"d{number}", number % 3000) for number in range(60_000)]
    (logs / "d.jsonl").write_text("\n".join(lines))
    journal, out = tmp_path / "journal", tmp_path / "out.jsonl"
    arguments = [sys.executable, "-m", "hub.cli", "match", str(logs), "--indicators", str(lab)]
    arguments += ["--json", "--jobs", "2", "--out", str(out)]
    with subprocess.Popen(
        [*arguments, "--resume", str(journal)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and running.poll() is None:
            if journal.exists() and len(list(journal.glob("*.json"))) > 0:
                running.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        running.wait()
    assert running.returncode == -signal.SIGKILL
    assert not out.exists()
    assert len(list(journal.glob("*.json"))) > 0
    again = subprocess.run(
        [*arguments, "--resume", str(journal)], capture_output=True, check=True, text=True
    )
    resumed = (json.loads(again.stdout), out.read_bytes())
    shutil.rmtree(journal, ignore_errors=True)
    whole = subprocess.run(arguments, capture_output=True, check=True, text=True)
    assert resumed == (json.loads(whole.stdout), out.read_bytes())


def test_the_journal_is_the_owners_alone(logs: Path, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", b"terms")
    log = LogFile(logs / "a.jsonl", "a.jsonl", named=True)
    journal.finish(log, Done(Outcome(rows=1), {}))
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "journal").iterdir()} == {0o600}
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
