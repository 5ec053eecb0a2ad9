"""The checked-in vectors are what the code makes, and every kind of refusal is among them."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

from hub.fingerprint import reference, text

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "fingerprint"


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text().splitlines()]


def test_running_the_generator_again_changes_nothing() -> None:
    files: dict[str, str] = runpy.run_path(str(FOLDER / "generate.py"))["files"]()
    assert len(files) == 3
    for name, content in files.items():
        assert (FOLDER / name).read_text() == content, name


def test_every_kind_is_shown_accepted_and_refused() -> None:
    lines = _lines("identifiers.jsonl")
    kinds = {line["kind"] for line in lines}
    assert kinds == {"email", "phone", "device", "payment-instrument", "api-key", "org", "name"}
    for kind in kinds:
        outcomes = {"normal" in line for line in lines if line["kind"] == kind}
        assert outcomes == {True, False}, kind


def test_prompts_agree_with_the_plain_reference() -> None:
    for line in _lines("prompts.jsonl"):
        bands = reference.bands(line["normal"]) or []
        assert [int(band[-16:], 16) for band in line["bands"]] == bands
        assert text.prompt(line["prompt"]) == line["normal"]
