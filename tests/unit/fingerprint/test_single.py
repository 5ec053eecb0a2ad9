"""One prompt by one call shows what the features of prompts are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.fingerprint.prompts import band_text, features
from hub.fingerprint.single import single

PROMPTS = [
    "",
    "one two",
    'Rate 7 answers of "model x" at https://api.example/v1, word by word, 1 to 10',
    "Naïve ＦＵＬＬ width, e\u0301 and \u00e9, \x00 and \x1c",
    "word " * 40_000,
]


def _told(prompt: str) -> tuple[str, str, tuple[str, ...]]:
    found = single(prompt)
    bands = tuple(band_text(band, int(value)) for band, value in enumerate(found.bands) if value)
    return found.sha256_norm, found.template_sha256, bands


def _wanted(prompt: str) -> tuple[str, str, tuple[str, ...]]:
    found = features(prompt)
    return found.sha256_norm, found.template_sha256, found.lsh_bands


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_single_prompt_shows_its_features(prompt: str) -> None:
    assert _told(prompt) == _wanted(prompt)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.one_of(st.text(), st.text("abz 019.\"'`h:/tpw", max_size=200)))
def test_any_prompt_shows_its_features(prompt: str) -> None:
    assert _told(prompt) == _wanted(prompt)


def test_threads_do_not_share_their_room() -> None:
    prompts = [f"write {n} lines of text number {n * n} and no more" for n in range(200)] * 5
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(_told, prompts)) == [_wanted(prompt) for prompt in prompts]
