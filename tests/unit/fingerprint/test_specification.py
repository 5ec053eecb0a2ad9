"""The worked example and the ranges of the specification are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from hub.fingerprint import prompts, reference, text

SPECIFICATION = (Path(__file__).resolve().parents[3] / "schemas" / "fingerprint-v1.md").read_text()
RAW = "Task 1842: “forecast churn”. Go!"


def _row(step: str) -> str:
    found = re.search(rf"^\| {re.escape(step)} \| (.*) \|$", SPECIFICATION, re.MULTILINE)
    assert found is not None, step
    return found[1]


def test_the_worked_example() -> None:
    made = prompts.features(RAW)
    assert _row("folded") == f"`{text.fold(RAW).decode()}`"
    assert _row("normalised") == f"`{text.prompt(RAW)}`"
    assert _row("template") == f"`{text.template(RAW)}`"
    for name in ("sha256_raw", "sha256_norm", "template_sha256"):
        assert _row(f"`{name}`") == f"`{getattr(made, name)}`"
    for index in (0, 1, 15):
        assert _row(f"band {index}") == f"`{made.lsh_bands[index]}`"
    for j in (0, 63):
        a, c = reference.coefficients(j)
        assert _row(f"a({j}), c({j})") == f"`{a:08x}`, `{c:08x}`"


def test_the_splitmix_and_fnv_constants_are_the_published_ones() -> None:
    # First output of SplitMix64 with seed 0, and FNV-1a of "a" (published test values).
    assert reference.mix64(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF
    assert reference.fnv1a64(b"a") == 0xAF63DC4C8601EC8C


def _ranges(*tables: tuple[tuple[int, int], ...]) -> set[str]:
    return {
        f"{first:04X}" if first == last else f"{first:04X}–{last:04X}"
        for table in tables
        for first, last in table
    }


def test_the_ranges_are_all_written_down() -> None:
    section = SPECIFICATION.partition("### 4.1")[2].partition("### 4.2")[0]
    written = set(re.findall(r"(?:U\+)?\b([0-9A-F]{4,6}(?:–[0-9A-F]{4,6})?)\b", section))
    assert _ranges(text._IGNORABLE, text._SPACES, text._UNSPACED) <= written
