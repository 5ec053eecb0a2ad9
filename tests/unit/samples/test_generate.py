"""The committed samples are what the generator writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
FORMATS = SAMPLES / "provider" / "formats"
_FILES = (
    "lab/accounts.csv",
    "lab/proxies.csv",
    "lab/prompts.jsonl",
    "provider/customers.csv",
    "provider/gateway-litellm.jsonl",
    "provider/gateway-otel.jsonl",
    "provider/edge-nginx.log",
    "truth.json",
)


def test_running_the_generator_again_changes_nothing(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, SAMPLES / "generate.py", "--out", tmp_path],
        check=True,
        capture_output=True,
        timeout=120,
    )
    written = sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    )
    formats = [path.relative_to(SAMPLES).as_posix() for path in FORMATS.iterdir()]
    assert written == sorted([*_FILES, *formats])
    for name in written:
        assert (tmp_path / name).read_bytes() == (SAMPLES / name).read_bytes(), name


def test_samples_stay_small() -> None:
    assert sum((SAMPLES / name).stat().st_size for name in _FILES) < 2_500_000
    assert all(path.stat().st_size < 20_000 for path in FORMATS.iterdir())
