"""URL filters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import InputError
from hub.taxii.filters import (
    ALL_FILTERS,
    DELETE_FILTERS,
    EVERY,
    LAST,
    MAX_ELEMENTS,
    MAX_LIMIT,
    OBJECT_FILTERS,
    VERSIONS_FILTERS,
    Filters,
    VersionFilter,
    parse,
)
from hub.taxii.times import to_text


def test_no_parameters_ask_for_the_latest_versions() -> None:
    assert parse([]) == Filters()
    assert Filters().versions == LAST


def test_everything_at_once() -> None:
    found = parse(
        [
            ("added_after", "1970-01-01T00:00:01Z"),
            ("limit", "0050"),
            ("next", "abc"),
            ("match[id]", "indicator--1, indicator--2"),
            ("match[type]", "indicator"),
            ("match[type]", "campaign,indicator"),
            ("match[version]", "first,1970-01-01T00:00:02.000Z"),
            ("match[spec_version]", "2.0,2.1"),
            ("utm_source", "a proxy's own"),
        ]
    )
    assert found == Filters(
        added_after=1_000_000,
        limit=50,
        next="abc",
        ids=frozenset({"indicator--1", "indicator--2"}),
        types=frozenset({"indicator", "campaign"}),
        versions=VersionFilter(first=True, last=False, times=frozenset({2_000_000})),
        spec_versions=frozenset({"2.0", "2.1"}),
    )
    assert found.for_object("x").ids == {"x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("last", VersionFilter()),
        ("all", EVERY),
        ("first", VersionFilter(first=True, last=False)),
        ("first, last", VersionFilter(first=True, last=True)),
        ("all,last", VersionFilter(every=True)),
    ],
)
def test_version_keywords(text: str, expected: VersionFilter) -> None:
    assert parse([("match[version]", text)]).versions == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("added_after", "yesterday"),
        ("added_after", ""),
        ("limit", "0"),
        ("limit", "000"),
        ("limit", "-1"),
        ("limit", "1.5"),
        ("limit", ""),
        ("limit", "٣"),
        ("limit", "1" * 600),
        ("next", ""),
        ("next", "x" * 513),
        ("match[id]", ""),
        ("match[id]", "a,,b"),
        ("match[id]", "x" * 513),
        ("match[type]", ",".join(map(str, range(MAX_ELEMENTS + 1)))),
        ("match[version]", "newest"),
        ("match[version]", "last,2026-13-01T00:00:00Z"),
        ("match[spec_version]", "two"),
    ],
)
def test_bad_values_name_their_parameter(name: str, value: str) -> None:
    with pytest.raises(InputError) as caught:
        parse([(name, value)])
    assert caught.value.where == name


def test_a_scalar_twice_is_refused_unless_it_says_the_same() -> None:
    assert parse([("limit", "5"), ("limit", "5")]).limit == 5
    with pytest.raises(InputError) as caught:
        parse([("limit", "5"), ("limit", "6")])
    assert caught.value.where == "limit"


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("match[id]", OBJECT_FILTERS),
        ("match[type]", VERSIONS_FILTERS),
        ("match[version]", VERSIONS_FILTERS),
        ("added_after", DELETE_FILTERS),
        ("match[confidence]", ALL_FILTERS),
    ],
)
def test_what_an_endpoint_cannot_honour_is_refused(name: str, allowed: frozenset[str]) -> None:
    with pytest.raises(InputError):
        parse([(name, "last")], allowed=allowed)


def test_deletion_means_every_version_unless_one_is_named() -> None:
    assert parse([], allowed=DELETE_FILTERS, default_versions=EVERY).versions == EVERY
    named = parse([("match[version]", "last")], allowed=DELETE_FILTERS, default_versions=EVERY)
    assert named.versions == LAST


def test_an_unknown_match_field_is_not_repeated_in_the_error() -> None:
    with pytest.raises(InputError) as caught:
        parse([("match[\x1b[31mpwned]", "x")])
    assert "pwned" not in str(caught.value)


@given(st.integers(min_value=1, max_value=10**30))
def test_limits_are_read_and_capped(number: int) -> None:
    assert parse([("limit", str(number))]).limit == min(number, MAX_LIMIT)


@given(st.frozensets(st.integers(min_value=0, max_value=2**50), min_size=1, max_size=8))
def test_version_times_are_read(times: frozenset[int]) -> None:
    text = ",".join(to_text(time) for time in times)
    assert parse([("match[version]", text)]).versions.times == times


@given(st.lists(st.tuples(st.sampled_from(sorted(ALL_FILTERS)), st.text(max_size=30)), max_size=5))
def test_any_query_is_read_or_refused_naming_the_parameter(query: list[tuple[str, str]]) -> None:
    refused: str | None = None
    try:
        parse(query)
    except InputError as error:
        refused = error.where or "nothing"
    assert refused is None or refused in {name for name, _ in query}
