"""How errors of the command line reach the operator."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")


@pytest.mark.parametrize("words", [["--help"], ["completion", "bash"]])
def test_output_that_cannot_be_written_is_an_error_without_a_traceback(words: list[str]) -> None:
    with FULL.open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hub.cli", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 6
    assert done.stderr == "stillwatch: standard output: No space left on device\n"
