"""Normal forms of identifiers, beyond the vectors: classes of equal and of different spellings."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.fingerprint import normalise


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", "a.b@one.example", "ab@one.example"),
        ("email", "a-b@one.example", "a@one.example"),
        ("email", "a@one.example", "a@eu.one.example"),
        ("phone", "+12025550143", "+12025550144"),
        ("phone", "+12025550143", "+442025550143"),
        ("device", "AbCdEfGh-x", "abcdefgh-x"),
        ("payment-instrument", "pmfp_AbCdEf", "pmfp_aBcDeF"),
        ("payment-instrument", "fp:4111111111111111", "4111111111111111"),
        ("api-key", "sk-fic-AAAA", "sk-fic-aaaa"),
        ("name", "Lina Marsh", "LinaMarsh"),
    ],
)
def test_different_identifiers_stay_different(kind: str, one: str, other: str) -> None:
    assert normalise.of_kind(kind, one) != normalise.of_kind(kind, other)


def test_a_region_completes_a_national_number() -> None:
    assert normalise.phone("202-555-0143", "US") == "+12025550143"
    assert normalise.of_kind("phone", "07700 900123", region="GB") == "+447700900123"


def test_shapes() -> None:
    assert normalise.shape("Maria-Lopez-2041") == "Ullll-Ullll-dddd"
    assert normalise.local_part_shape("Lina.Marsh+x7@One.example") == "llll.lllll+ld"
    assert normalise.email_domain("A.B@GoogleMail.com") == "gmail.com"


@pytest.mark.parametrize(
    "value",
    [
        "\ud800x@one.example",
        "a\u0378b@one.example",
        "a\x00b@one.example",
        "a@" + "x" * 300 + ".example",
    ],
)
def test_hostile_addresses_are_refused(value: str) -> None:
    with pytest.raises(InputError):
        normalise.email(value)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.sampled_from(normalise.TOKEN_KINDS), st.text(max_size=40))
def test_any_text_is_refused_or_has_a_stable_normal_form(kind: str, value: str) -> None:
    normal = None
    with contextlib.suppress(InputError):
        normal = normalise.of_kind(kind, value)
    assert normal is None or normalise.of_kind(kind, normal) in {normal, f"fp:{normal}"}


@pytest.mark.parametrize("kind", [k for k in normalise.TOKEN_KINDS if k not in {"org", "name"}])
@pytest.mark.parametrize("value", ["Zq7 Secret", "Zq7Secret\u0378", "Zq7 Secret@(x)", "Zq7\u00e9"])
def test_a_refused_value_is_never_shown(kind: str, value: str) -> None:
    with pytest.raises(InputError) as caught:
        normalise.of_kind(kind, value)
    assert "Zq7" not in f"{caught.value!r} {caught.value} {caught.value.hint}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8})?", fullmatch=True),
    st.from_regex(r"[a-z0-9]{0,6}", fullmatch=True),
)
def test_case_tags_and_a_trailing_dot_do_not_matter(local: str, tag: str) -> None:
    plain = normalise.email(f"{local}@one.example")
    assert normalise.email(f" {local.upper()}+{tag}@ONE.Example. ") == plain


@given(st.ip_addresses(v=4))
@settings(max_examples=50, derandomize=True)
def test_a_mapped_address_is_the_address(address: object) -> None:
    assert normalise.ip(f"::ffff:{address}") == str(address)


@pytest.mark.parametrize("kind", ["", "passport"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    with pytest.raises(InputError):
        normalise.of_kind(kind, "value")
