"""The import contracts hold, and bite: a planted import breaks the one that it should."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "hub", tmp_path / "hub", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_keeps_its_contracts(copied_tree: Path) -> None:
    result = lint(copied_tree)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("hub/server/service.py", "import hub.channel.open", "The hub cannot decrypt"),
        ("hub/channel/header.py", "import hub.channel.primitives.aead", "The hub cannot decrypt"),
        ("hub/client/home.py", "import hub.server.app", "Members do not import the server"),
        ("hub/model/codec.py", "import hub.settings", "The model stands on errors alone"),
        ("hub/match/plan.py", "import sqlite3", "The core does no I/O"),
        (
            "hub/client/home.py",
            "import cryptography",
            "Only the primitives touch the cryptography library",
        ),
    ],
)
def test_a_planted_import_is_caught(
    copied_tree: Path, module: str, planted: str, contract: str
) -> None:
    with (copied_tree / module).open("a") as source:
        source.write(f"\n{planted}\n")
    result = lint(copied_tree)
    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout
