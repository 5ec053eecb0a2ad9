"""The checked-in catalogue is what its script writes, and an independent matcher agrees with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stix2matcher.matcher import MatcherException, match

from hub.model.codec import loads
from hub.model.kinds import KINDS

ROOT = Path(__file__).resolve().parent.parent.parent.parent
VECTORS = sorted((ROOT / "tests" / "vectors" / "patterns").glob("*.json"))
# stix2-matcher 3.0.0 reads every operand of ISSUBSET as IPv4.
NOT_FOR_THE_ORACLE = {"network.cidr6"}


def test_the_script_writes_the_checked_in_files_again(tmp_path: Path) -> None:
    script = ROOT / "samples" / "catalogue.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, str(script), str(tmp_path)], check=True, cwd=ROOT, env=environment
    )
    written = sorted(path for path in tmp_path.rglob("*.json"))
    assert len(written) == 44 + 44 + 6
    for path in written:
        name = path.relative_to(tmp_path)
        assert path.read_bytes() == (ROOT / name).read_bytes(), name
    for folder in ("samples/indicators", "tests/vectors/patterns", "schemas/extensions"):
        expected = {path.name for path in (ROOT / folder).iterdir()}
        assert {path.name for path in (tmp_path / folder).iterdir()} == expected


def test_every_kind_has_a_vector() -> None:
    assert [path.stem for path in VECTORS] == sorted(KINDS)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_oracle_agrees(path: Path) -> None:
    vector = loads(path.read_bytes())
    if path.stem in NOT_FOR_THE_ORACLE:
        with pytest.raises(MatcherException, match="Invalid IPv4 address"):
            match(vector["pattern"], [vector["positive"][0]], stix_version="2.1")
        return
    for expected in ("positive", "negative"):
        for number, bundle in enumerate(vector[expected]):
            found = bool(match(vector["pattern"], [bundle], stix_version="2.1"))
            assert found == (expected == "positive"), f"{expected}[{number}]"
