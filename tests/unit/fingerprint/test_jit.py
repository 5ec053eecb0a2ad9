"""Kernels on machines where compiled code can and cannot be kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import numba.core.caching as caching
class Nowhere:
    @classmethod
    def from_function(cls, function, path):
        return None
caching.CacheImpl._locator_classes = [Nowhere]
from hub.fingerprint.prompts import features
print(features("one two three").lsh_bands[0])
"""


def test_an_unwritable_cache_is_no_failure() -> None:
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", _SCRIPT],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )
    assert found.stdout.startswith("mh3w.64.16x4:00:")
