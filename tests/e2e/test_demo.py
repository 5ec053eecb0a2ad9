"""The demo end to end: its matches are the planted truth, and its script does the same by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest

from hub import resources

_LAB: Final = ("accounts.csv", "proxies.csv", "prompts.jsonl")


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    """What the samples' generator planted."""
    loaded: dict[str, Any] = json.loads((resources.samples() / "truth.json").read_bytes())
    return loaded


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo's folder, and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "played"
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", "demo", "--dir", str(folder)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return folder, done.stdout


def verdicts(folder: Path) -> dict[str, str]:
    """Indicator id -> the first row that it came from, as publishing again decides."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "hub.cli", "publish", "--home", "lab", "--dry-run", "--json"),
            *(f"samples/lab/{name}" for name in _LAB),
        ],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=True,
    )
    rows: dict[str, str] = {}
    for row in json.loads(done.stdout)["rows"]:
        for indicator in row["indicators"]:
            rows.setdefault(indicator, row["where"])
    return rows


def matched(folder: Path, file: str, rows: dict[str, str]) -> set[tuple[str, str, str]]:
    """(source, event, row) of each match."""
    table = pq.read_table(folder / file, columns=["source", "event_id", "indicator_id"])
    return {
        (Path(each["source"]).name, each["event_id"], rows[each["indicator_id"]])
        for each in table.to_pylist()
    }


def planted(truth: dict[str, Any], *, without: str | None = None) -> set[tuple[str, str, str]]:
    """(source, event, row) that must match, and nothing else may."""
    return {
        (each["source"], each["event_id"], row)
        for each in truth["expected"]
        for row in each["rows"]
        if row != without
    }


def test_the_matches_are_the_planted_truth(played: tuple[Path, str], truth: dict[str, Any]) -> None:
    folder, _ = played
    found = matched(folder, "matches.parquet", verdicts(folder))
    assert found == planted(truth)
    near = {(each["source"], each["event_id"], each["row"]) for each in truth["near_misses"]}
    assert len(near) > 100
    assert not near & found


def test_the_retracted_indicator_matches_nothing_afterwards(
    played: tuple[Path, str], truth: dict[str, Any]
) -> None:
    folder, _ = played
    found = matched(folder, "matches-after.parquet", verdicts(folder))
    assert found == planted(truth, without=truth["mistake"])


def test_the_story_is_told(played: tuple[Path, str]) -> None:
    printed = " ".join(played[1].split())
    for title in ("1. A hub starts", "7. The provider matches", "11. What the hub knows"):
        assert title in printed
    assert "Missed: 0; matched in excess: 0." in printed
    assert "0 of 54 values found." in printed
    assert "sealed for other members, as is usual" in printed


def test_the_script_does_the_same_by_hand(
    played: tuple[Path, str], truth: dict[str, Any], tmp_path: Path
) -> None:
    folder, _ = played
    (tmp_path / "samples").symlink_to(folder / "samples")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    command = bin_folder / "stillwatch"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hub.cli "$@"\n')
    command.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(folder / "by-hand.sh")],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert matched(tmp_path, "matches.parquet", verdicts(tmp_path)) == planted(truth)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", "demo", "--dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "no earlier demo made it" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
