"""A hub that lies is found out at the next pull, with a proof that anybody verifies.

Members' commands and the hub are processes of their own. Each test takes a copy of the provider's
home, lies to it, and verifies the proof file in an empty folder without any home.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.cli.exits import ALARM, ATTENTION, OK
from tests.faults.lying_stage import Stage, stage


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("liar")) as made:
        yield made


def pulled(scene: Stage, home: Path, code: int = OK) -> Any:
    """Pull `circle` in a process."""
    done, document = scene.command(home, "pull", "circle")
    assert done == code, document
    (channel,) = document["channels"]
    return channel


def verdict(scene: Stage, home: Path, empty: Path, code: int) -> Any:
    """Verify the proof files of a home elsewhere: the first one's finding."""
    files = sorted((home / "proofs").glob("*.json"))
    assert files
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        shutil.copy(file, empty)
    names = [file.name for file in files]
    done, document = scene.command(empty / "nobody", "channel", "audit", "--verify", *names)
    assert done == code, document
    return document["files"][0]


def test_a_dropped_message_is_missed(scene: Stage, tmp_path: Path) -> None:
    home = scene.victim()
    (lost,) = scene.publish()
    with scene.lying() as lies:
        lies.hidden = {lost.digest}
        found = pulled(scene, home, ALARM)
        assert any("withheld" in each and lost.digest[:16] in each for each in found["alarms"])
        finding = verdict(scene, home, tmp_path, ATTENTION)
        assert finding["kind"] == "withheld"
        assert any(lost.digest[:16] in said for said in finding["proven"])
        assert "did not deliver" in finding["claimed"][0]
    # What was withheld and comes after all is taken like any other.
    assert pulled(scene, home)["objects"]["indicator"] == 1
