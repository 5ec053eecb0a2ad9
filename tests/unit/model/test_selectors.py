"""Values become the kind and pattern that describe them, or are refused with a reason."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.model.kinds import KINDS
from hub.model.pattern import ACCOUNT, NETWORK, USER_AGENT, check
from hub.model.selectors import account_pattern, network_pattern, prompt_pattern, token_pattern

HEX = "0f" * 32
HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(
    st.sampled_from("'\\\"[]%_ \n.:/AS-0123456789abcdef"), max_size=40
)


@dataclass(frozen=True)
class Features:
    """Stands for the features that the fingerprint package computes."""

    sha256_raw: str = HEX
    sha256_norm: str = "1f" * 32
    template_sha256: str = "2f" * 32
    lsh_bands: tuple[str, ...] = tuple(f"mh3w.64.16x4:{i:02d}:{'0f' * 8}" for i in range(16))


@pytest.mark.parametrize(
    ("value", "kind", "pattern"),
    [
        ("192.0.2.44", "network.ipv4", "[ipv4-addr:value = '192.0.2.44']"),
        (" 192.0.2.44/32 ", "network.ipv4", "[ipv4-addr:value = '192.0.2.44']"),
        ("::ffff:192.0.2.44", "network.ipv4", "[ipv4-addr:value = '192.0.2.44']"),
        ("198.51.100.0/24", "network.cidr4", "[ipv4-addr:value ISSUBSET '198.51.100.0/24']"),
        (
            "::ffff:198.51.100.0/120",
            "network.cidr4",
            "[ipv4-addr:value ISSUBSET '198.51.100.0/24']",
        ),
        ("2001:DB8:0::1", "network.cidr6", "[ipv6-addr:value = '2001:db8::1']"),
        ("2001:db8:dead::/48", "network.cidr6", "[ipv6-addr:value ISSUBSET '2001:db8:dead::/48']"),
        (
            "AS64496",
            "network.asn",
            "[network-traffic:src_ref.belongs_to_refs[*].number = 64496]",
        ),
        ("0f" * 16, "network.ja3", f"[{NETWORK}ja3 = '{'0f' * 16}']"),
        (
            "t13d1516h2_8daaf6152771_e5627efa2ab1",
            "network.ja4",
            f"[{NETWORK}ja4 = 't13d1516h2_8daaf6152771_e5627efa2ab1']",
        ),
        (
            "API.Resell-LLM.example.",
            "network.domain",
            "[domain-name:value = 'api.resell-llm.example']",
        ),
        ("bücher.example", "network.domain", "[domain-name:value = 'xn--bcher-kva.example']"),
    ],
)
def test_a_network_value_is_told_by_its_form(value: str, kind: str, pattern: str) -> None:
    assert network_pattern(value) == (kind, pattern)
    assert network_pattern(value, kind) == (kind, pattern)
    assert network_pattern(value, kind.partition(".")[2]) == (kind, pattern)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        "192.0.2.256",
        "192.0.2",
        "192.0.2.1/33",
        "192.0.2.1/24",
        "192.0.2.0/23",
        "0.0.0.0/0",
        "2001:db8::/47",
        "::/0",
        "10.1.2.3",
        "127.0.0.1",
        "100.64.3.4",
        "169.254.1.1",
        "172.16.9.0/24",
        "192.168.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "::ffff:10.0.0.1",
        "::ffff:0:0/96",
        "2001:db8::1%eth0",
        "AS0",
        "AS4294967295",
        "AS99999999999",
        "localhost",
        "no dots here",
        "a..example",
        "-a.example",
        "it's.example",
        "x" * 64 + ".example",
        "1.2.3.4.5",
        "8.8.8.8",
        "1.1.1.0/24",
        "2606:4700:4700::/48",
        "2606:4700:4700::1111",
        "GitHub.com",
        "www.google.com",
    ],
)
def test_a_network_value_that_describes_nobody_or_everybody_is_refused(value: str) -> None:
    with pytest.raises(InputError):
        network_pattern(value)


def test_a_user_agent_needs_its_kind() -> None:
    assert network_pattern("it's/1.0", "user-agent") == (
        "network.user-agent",
        f"[{USER_AGENT} = 'it\\'s/1.0']",
    )
    for value in ("", "x" * 513):
        with pytest.raises(InputError):
            network_pattern(value, "user-agent")


def test_a_value_of_another_form_than_its_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"form of network\.ipv4"):
        network_pattern("192.0.2.1", "domain")
    with pytest.raises(InputError, match="in the catalogue"):
        network_pattern("192.0.2.1", "nothing")


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
@settings(max_examples=100, derandomize=True)
def test_every_ipv4_prefix_is_published_canonically_or_refused(number: int, bits: int) -> None:
    value = f"{IPv4Address(number >> (32 - bits) << (32 - bits))}/{bits}"
    try:
        kind, pattern = network_pattern(value)
    except InputError:
        return
    assert bits >= 24
    assert kind == ("network.ipv4" if bits == 32 else "network.cidr4")
    assert f"'{value.removesuffix('/32')}'" in pattern


@given(st.integers(0, 2**128 - 1))
@settings(max_examples=60, derandomize=True)
def test_ipv6_addresses_are_written_one_way(number: int) -> None:
    address = IPv6Address(number)
    try:
        found = network_pattern(address.exploded.upper())
    except InputError:
        return
    assert found == network_pattern(str(address))


@given(HOSTILE)
@settings(max_examples=100, derandomize=True)
def test_whatever_is_accepted_parses(value: str) -> None:
    makers: list[tuple[Callable[[str, str], tuple[str, str]], str]] = [
        (lambda kind, text: network_pattern(text), ""),
        (lambda kind, text: network_pattern(text, kind), "user-agent"),
        (account_pattern, "email-domain"),
        (account_pattern, "name-shape"),
        (account_pattern, "api-key-prefix"),
        (prompt_pattern, "literal"),
        (prompt_pattern, "regex"),
        (prompt_pattern, "sha256-norm"),
    ]
    accepted = []
    for make, kind in makers:
        with contextlib.suppress(InputError):
            accepted.append(make(kind, value))
    for kind, pattern in accepted:
        check(pattern)
        assert kind in KINDS


@pytest.mark.parametrize(
    ("token_kind", "kind"),
    [
        ("email", "account.email-keyed"),
        ("phone", "account.phone-keyed"),
        ("payment-instrument", "account.payment-keyed"),
        ("device", "account.device-keyed"),
        ("api-key", "account.api-key-keyed"),
        ("org", "account.org-token"),
    ],
)
def test_tokens_have_the_kind_of_their_identifier(token_kind: str, kind: str) -> None:
    one, two = f"{token_kind}:k-1.2026q4:{HEX}", f"{token_kind}:k-1.2026q4:{HEX[::-1]}"
    assert token_pattern([one]) == (kind, f"[{ACCOUNT}fp_tokens[*] = '{one}']", "k-1.2026q4")
    assert token_pattern([two, one, two]) == token_pattern([one, two])
    rotated = token_pattern([one, one.replace("q4", "q3")])
    assert rotated[2] is None


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        ["mallory@mail.example"],
        [f"email:k-1.2026q4:{HEX}", "x"],
        [f"email:K:{HEX}"],
        [f"email:k-1.2026q4:{HEX.upper()}"],
        [f"email:k-1.2026q4:{HEX}'"],
        [f"email:k-1.2026q4:{HEX}\n"],
        [f"name:k-1.2026q4:{HEX}"],
        [f"email:k-1.2026q4:{HEX}", f"phone:k-1.2026q4:{HEX}"],
        [f"email:k-1.2026q4:{i:064x}" for i in range(257)],
    ],
)
def test_what_is_not_tokens_of_one_identifier_is_refused(tokens: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        token_pattern(tokens)
    assert "mallory" not in str(caught.value)


def test_prompt_features_give_each_hash_kind() -> None:
    features = Features()
    for kind, field in (
        ("sha256-raw", "sha256_raw"),
        ("sha256-norm", "sha256_norm"),
        ("prompt.template", "template_sha256"),
    ):
        value = getattr(features, field)
        expected = f"[llm-exchange:prompt.{field} = '{value}']"
        assert prompt_pattern(kind, features)[1] == expected
        assert prompt_pattern(kind, value)[1] == expected
    kind, pattern = prompt_pattern("minhash-lsh", features)
    assert kind == "prompt.minhash-lsh"
    assert all(band in pattern for band in features.lsh_bands)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("sha256-raw", HEX.upper()),
        ("sha256-raw", HEX[:-1]),
        ("sha256-norm", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("minhash-lsh", "mh3w.64.16x4:00:0f0f0f0f0f0f0f0f"),
        ("minhash-lsh", Features(lsh_bands=())),
        ("minhash-lsh", Features(lsh_bands=("mh3w.64.16x4:16:0f0f0f0f0f0f0f0f",))),
        ("minhash-lsh", Features(lsh_bands=("sh64.8x8:00:0f0f0f0f0f0f0f0f",))),
        ("literal", "step by step"[:11]),
        ("literal", "aaaaaaaaaaaaaaaaaaaa"),
        ("literal", "x y z " * 100),
        ("literal", Features()),
        ("regex", ""),
        ("regex", "("),
        ("regex", "a{99999999999}"),
        ("regex", ".*"),
        ("regex", "(?i)(rubric)?"),
        ("regex", "a" * 1001),
        ("tlsh", "T1" + "A0" * 35),
        ("nothing", "x"),
    ],
)
def test_a_prompt_value_out_of_form_is_refused(kind: str, value: str | Features) -> None:
    with pytest.raises(InputError):
        prompt_pattern(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "pattern"),
    [
        (
            "email-domain",
            "Mailbox-Farm.example",
            f"[{ACCOUNT}email_domain = 'mailbox-farm.example']",
        ),
        ("email-shape", "llll.dd", f"[{ACCOUNT}local_part_shape = 'llll.dd']"),
        ("account.name-shape", "Ull' d", f"[{ACCOUNT}display_name_shape = 'Ull\\' d']"),
        ("api-key-prefix", "sk-fic-7Q", f"[{ACCOUNT}api_key_prefix = 'sk-fic-7Q']"),
    ],
)
def test_account_attributes_have_their_field(kind: str, value: str, pattern: str) -> None:
    assert account_pattern(kind, value)[1] == pattern


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email-domain", "mallory@mail.example"),
        ("email-domain", ""),
        ("email-domain", "gmail.com"),
        ("email-shape", ""),
        ("name-shape", "l" * 129),
        ("api-key-prefix", "sk-0123456789"),
        ("email-keyed", "x"),
        ("nothing", "x"),
    ],
)
def test_account_attributes_out_of_form_are_refused(kind: str, value: str) -> None:
    with pytest.raises(InputError) as caught:
        account_pattern(kind, value)
    assert "mallory" not in str(caught.value)
