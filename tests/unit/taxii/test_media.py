"""Content negotiation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.taxii.media import TAXII, acceptable, is_taxii_content, object_media_type


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "  ",
        "*/*",
        "application/*",
        "application/taxii+json",
        TAXII,
        "application/taxii+json; version=2.1",
        "application/taxii+json ; version = 2.1",
        'application/taxii+json;version="2.1"',
        "APPLICATION/TAXII+JSON;VERSION=2.1",
        "application/taxii+json;version=2.1;charset=utf-8",
        "application/vnd.oasis.taxii+json; version=2.0, application/taxii+json;version=2.1",
        "text/html, application/xhtml+xml;q=0.9, */*;q=0.8",
        "application/taxii+json;version=2.0, application/taxii+json;version=2.1;q=0.001",
        'text/plain;note="a, b; q=0", application/taxii+json',
        "garbage, */*",
        "application/taxii+json;version=2.1;q=1.000",
        "application/json, application/taxii+json",
    ],
)
def test_what_admits_a_taxii_answer(accept: str | None) -> None:
    assert acceptable(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/xml, text/*",
        "application/json",
        "application/taxii+json;version=2.0",
        "application/taxii+json;version=2.2",
        "application/taxii+json;version=2.1;q=0",
        "application/taxii+json;version=2.1;q=0.0, text/html",
        "application/taxii+json;version=2.1;q=0, */*;q=1",
        "application/vnd.oasis.taxii+json; version=2.0",
        "application/stix+json;version=2.1",
        "*/*;q=0",
        "garbage",
        "application/",
        ",,,",
        "application/taxii+json;version",
        "application/taxii+json;q=high",
        '"application/taxii+json"',
        "*/json",
    ],
)
def test_what_does_not(accept: str) -> None:
    assert not acceptable(accept)


@given(st.text(max_size=200))
def test_any_header_is_read(accept: str) -> None:
    assert acceptable(accept) in (True, False)
    assert is_taxii_content(accept) in (True, False)


@given(st.lists(st.sampled_from(["text/html", "a/b;q=0.3", 'x/y;z="1,2"', "broken"]), max_size=6))
def test_our_type_in_a_list_is_found_wherever_it_stands(others: list[str]) -> None:
    for place in range(len(others) + 1):
        listed = [*others[:place], TAXII, *others[place:]]
        assert acceptable(" , ".join(listed))
    assert not others or not acceptable(",".join(others))


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (TAXII, True),
        ("application/taxii+json", True),
        ('Application/TAXII+json; Version="2.1"; charset=utf-8', True),
        ("application/taxii+json;version=2.0", False),
        ("application/taxii+json;charset=latin-1", False),
        ("application/taxii+json;charset=utf-16", False),
        ('application/taxii+json;charset="UTF8"', True),
        ("application/json", False),
        ("text/plain", False),
        ("", False),
        (None, False),
    ],
)
def test_content_types(content_type: str | None, expected: bool) -> None:
    assert is_taxii_content(content_type) is expected


@pytest.mark.parametrize(
    "part", ['"', '"\\', "\\", '"\\"', 'a"', '"a,', ";", 'a/b;x="', '\\"', "*/*,", "*/*;a=b;"]
)
def test_a_hostile_header_is_read_in_linear_time(part: str) -> None:
    """A pattern that tries twice takes minutes for these."""
    hostile = (part * 8192)[:8192]
    for _ in range(100):
        assert acceptable(hostile) is (part == "*/*,")
        assert not is_taxii_content(hostile)


def test_headers_have_an_end() -> None:
    assert acceptable(" " * 8189 + "*/*")
    assert not acceptable(" " * 8190 + "*/*")
    assert not is_taxii_content(TAXII + " " * 8192)


def test_an_open_quote_takes_the_rest() -> None:
    assert not acceptable(f'text/html;x="a, {TAXII}')
    assert not acceptable(f'text/html;x="a, {TAXII}\\')
    assert acceptable(f'text/html;x="a\\", b", {TAXII}')


def test_media_type_of_an_object() -> None:
    assert object_media_type("2.0") == "application/stix+json;version=2.0"
