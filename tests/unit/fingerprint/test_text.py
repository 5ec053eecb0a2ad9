"""Folding, masking and templates."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.fingerprint import text
from hub.fingerprint.unicode14 import unassigned


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Task 7: go", "task 88,5:   GO"),
        ("say “hello” now", 'say "good bye, you" now'),
        ("see http://a.example/x. Then", "see www.b.example. Then"),
        ("zero\u200bwidth", "zerowidth"),
        ("ﬁne", "FINE"),
        ("a \u0378 b", "a b"),
    ],
)
def test_spellings_of_one_template_are_one_text(one: str, other: str) -> None:
    assert text.prompt(one) == text.prompt(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("don't stop", "dont stop"),
        ("say hello", 'say "hello"'),
        ("go to a.example", "go to https://a.example"),
        ("naïve", "naive"),
    ],
)
def test_other_texts_stay_apart(one: str, other: str) -> None:
    assert text.prompt(one) != text.prompt(other)


def test_templates_ignore_punctuation_and_the_length_of_lists() -> None:
    assert text.template("Sum 1, 2 and 3: 'x' 'y'!") == "sum num and num str"
    assert text.template("sum 4, 5, 6 and 7 'z'") == text.template("Sum 1, 2 and 3: 'x' 'y'!")


def test_a_slot_is_masked_once_from_the_raw_text() -> None:
    # Masking the masked text again could pair quotation marks that a long URL kept apart.
    far = f'"{"http://a.example/" + "x" * 600}" end'
    assert text.prompt(far) == '"<url>" end'


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(max_size=80))
def test_folded_text_is_trimmed_single_spaced_and_stable(value: str) -> None:
    folded = text.fold(value)
    assert folded == b" ".join(folded.split())
    assert text.fold(folded.decode()) == folded


def test_the_table_is_unicode_14() -> None:
    assert unassigned(0x0378)
    assert unassigned(0xD800)
    assert unassigned(0x10FFFF)
    assert unassigned(0x1FAE8)  # assigned in Unicode 15.0
    assert not unassigned(0x41)
    assert not unassigned(0xE000)
    if unicodedata.unidata_version == "14.0.0":
        wrong = [
            code
            for code in range(0x110000)
            if unassigned(code) != (unicodedata.category(chr(code)) in {"Cn", "Cs"})
        ]
        assert wrong == []


def test_memory_of_characters_is_bounded() -> None:
    text.fold("".join(map(chr, range(0x4E00, 0x9FFF))) + "".join(map(chr, range(0xAC00, 0xD7A0))))
    assert len(text._before) <= 20_000
    assert len(text._after) <= 20_000


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.text(
        st.sampled_from("ab \u200b\u0378\u2014\u201c\u4e2d\u6587\u3042\u00e9\u00a0"), max_size=30
    )
)
def test_replacing_a_few_characters_is_translating_them(value: str) -> None:
    for table in (text._before, text._after):
        assert table.apply(value) == value.translate(table)
