"""After `stillwatch warm` nothing is left to compile for matching, in a cache that began empty."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from tests.unit.match.cluster.crowd import Pool, batch, people, pool

ROOT: Final = Path(__file__).resolve().parents[2]
_NOWHERE: Final = """
import numba.core.caching as caching
class Nowhere:
    @classmethod
    def from_function(cls, function, path):
        return None
caching.CacheImpl._locator_classes = [Nowhere]
from hub.cli.main import main
main()
"""


def _python(cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _kept(cache: Path) -> set[Path]:
    # Index files name the code files of all signatures: a new signature is a new code file.
    return set(cache.rglob("*.nbc"))


def test_a_match_after_it_compiles_nothing(tmp_path: Path) -> None:
    done = _python(tmp_path, "-m", "hub.cli", "warm")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ready to match, after ")
    compiled = _kept(tmp_path)
    assert len(compiled) > 10
    bundles = sorted((ROOT / "samples/indicators").glob("*.json"))
    done = _python(
        tmp_path,
        *("-m", "hub.cli", "match", "samples/provider", "--limit-examples", "0"),
        *(word for bundle in bundles for word in ("--indicators", str(bundle))),
        *("--accounts", "samples/provider/customers.csv"),
    )
    assert done.returncode == 0, done.stderr
    assert "exchanges match" in done.stdout
    assert _kept(tmp_path) == compiled


def test_finding_a_cluster_after_it_compiles_nothing(tmp_path: Path) -> None:
    cache, log = tmp_path / "cache", tmp_path / "log.parquet"
    rows = people(1) + pool(2, Pool())
    pq.write_table(pa.Table.from_batches([batch(rows)]), log)
    # The step alone: the test above runs them all, which takes minutes.
    done = _python(cache, "-c", "from hub.cli import warm; warm._cluster()")
    assert done.returncode == 0, done.stderr
    compiled = _kept(cache)
    assert any(one.parent.name.startswith("cluster_") for one in compiled)
    done = _python(cache, "-m", "hub.cli", "cluster", str(log))
    assert "20 accounts" in done.stdout, done.stderr
    new = _kept(cache) - compiled
    assert not [one for one in new if one.parent.name.startswith("cluster_")]


def test_code_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    done = _python(tmp_path, "-c", _NOWHERE, "warm")
    assert done.returncode == 6, done.stderr
    assert "cannot be kept" in done.stderr
    assert "NUMBA_CACHE_DIR" in done.stderr
    assert not _kept(tmp_path)
