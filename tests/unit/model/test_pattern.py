"""Assembled patterns parse, and mean the value that they were assembled from."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from stix2matcher.matcher import match
from stix2patterns.v21.pattern import Pattern

from hub.errors import InputError, PatternError
from hub.model.codec import Json
from hub.model.pattern import (
    ACCOUNT,
    MAX_PATTERN_CHARS,
    any_of,
    check,
    contains,
    equals,
    matches,
    pattern_string,
    read_string,
)

PATH = "user-account:display_name"
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=24)
NASTY = st.text(st.sampled_from("'\\\"[]()=%_ \n\t\0é中\U0001f600\u202e ANDORa1:*"), max_size=24)
HOSTILE = ANY | NASTY


def seen(*names: str) -> list[Json]:
    """An observation of accounts with these display names."""
    accounts = [
        {
            "type": "user-account",
            "id": f"user-account--00000000-0000-4000-8000-{index:012}",
            "display_name": name,
        }
        for index, name in enumerate(names)
    ]
    observed = {
        "type": "observed-data",
        "id": "observed-data--00000000-0000-4000-8000-000000000000",
        "first_observed": "2026-11-21T00:00:00Z",
        "last_observed": "2026-11-21T00:00:00Z",
        "number_observed": 1,
        "object_refs": [account["id"] for account in accounts],
    }
    return [{"type": "bundle", "objects": [observed, *accounts]}]


def literals(pattern: str) -> list[str]:
    """The string literals of a pattern, as the grammar of stix2-patterns delimits them."""
    comparisons = Pattern(pattern).inspect().comparisons
    ((_, _, value),) = next(iter(comparisons.values()))
    return sorted(value.values) if hasattr(value, "values") else [value]


@given(HOSTILE)
@example("it's \\' OR [x:y = 'z'")
@example("\\")
@settings(max_examples=100, derandomize=True)
def test_any_string_makes_a_pattern_that_parses_and_reads_back(value: str) -> None:
    pattern = equals(PATH, value)
    check(pattern)
    assert [read_string(literal) for literal in literals(pattern)] == [value]


@given(HOSTILE, HOSTILE)
@settings(max_examples=60, derandomize=True)
def test_an_independent_matcher_reads_the_same_value(value: str, other: str) -> None:
    assume(value != other)
    pattern = equals(PATH, value)
    assert match(pattern, seen(value), stix_version="2.1")
    assert not match(pattern, seen(value + "x"), stix_version="2.1")
    either = any_of(PATH, [value, other])
    assert match(either, seen(value), stix_version="2.1")
    assert match(either, seen(other), stix_version="2.1")
    assert not match(either, seen(value + other + "x"), stix_version="2.1")


@given(st.text(st.sampled_from("'\\\"[](){}^$.*+?|%_ -#&~é中aB1"), min_size=1, max_size=16))
@settings(max_examples=60, derandomize=True)
def test_contains_means_the_text_itself_whatever_wildcards_it_holds(text: str) -> None:
    pattern = contains(PATH, text)
    check(pattern)
    assert match(pattern, seen(f"before {text} after"), stix_version="2.1")
    assert match(pattern, seen(text), stix_version="2.1")
    assert not match(pattern, seen("0" * len(text)), stix_version="2.1")


@pytest.mark.parametrize(
    ("value", "literal"),
    [("it's", "'it\\'s'"), ("a\\b", "'a\\\\b'"), ("", "''"), ("\\'", "'\\\\\\''")],
)
def test_quotes_and_backslashes_are_escaped(value: str, literal: str) -> None:
    assert pattern_string(value) == literal
    assert read_string(literal) == value


@pytest.mark.parametrize("literal", ["", "'", "a", "'a'b'", "'a\\'", "'\\n'", "'a' 'b'", "''a"])
def test_what_is_not_one_literal_is_refused(literal: str) -> None:
    with pytest.raises(PatternError):
        read_string(literal)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(InputError):
        pattern_string("\udc80")


def test_sets_are_sorted_and_free_of_repeats() -> None:
    assert any_of("a:b", ["y", "x", "y"]) == "[a:b IN ('x','y')]"
    assert any_of("a:b", ["x", "x"]) == "[a:b = 'x']"
    with pytest.raises(InputError):
        any_of("a:b", [])


def test_a_text_without_wildcards_is_a_like() -> None:
    assert contains("a:b", "step by step") == "[a:b LIKE '%step by step%']"
    assert contains("a:b", "100%.") == r"[a:b MATCHES '100%\\.']"
    assert matches("a:b", r"\d") == r"[a:b MATCHES '\\d']"


@pytest.mark.parametrize(
    ("pattern", "position"),
    [
        ("", 0),
        (" \n", 0),
        ("ipv4-addr:value = '192.0.2.1'", 0),
        ("[ipv4-addr:value = '192.0.2.1'", 30),
        ("[ipv4-addr:value == '192.0.2.1'] AND", 36),
        ("[ipv4-addr:value =\n 192.0.2.1]", 25),
        (f"[{ACCOUNT}email_domain = 'a] OR [x:y = 'z']", 116),
    ],
)
def test_a_bad_pattern_is_refused_with_its_position(pattern: str, position: int) -> None:
    with pytest.raises(PatternError) as caught:
        check(pattern)
    assert abs(caught.value.position - position) <= 1
    assert "192" not in str(caught.value)


@given(HOSTILE | st.text(st.sampled_from("[]() ab:=.'\\*_-19AND<>!t"), max_size=40))
@settings(max_examples=100, derandomize=True)
@example("[a:b = '\ud800']")
def test_hostile_text_raises_nothing_but_pattern_errors(text: str) -> None:
    try:
        check(text)
    except InputError:
        return
    assert Pattern(text)


def test_pattern_bombs_are_refused() -> None:
    with pytest.raises(PatternError, match="too long"):
        check("[" * (MAX_PATTERN_CHARS + 1))
    with pytest.raises(PatternError):
        check("(" * 20_000 + "[a:b = 1]" + ")" * 20_000)
