"""Addresses and prefixes, beside Python's `ipaddress`."""

from __future__ import annotations

import ipaddress
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.match.index.addresses import write_addresses
from hub.match.index.cidr import PrefixIndex, block_of, parse_addresses, parse_blocks

FORMS = [
    *("1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", ".1.2.3", "1.2.3.", "1..2.3"),
    *("::", ":", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1::2::3", ":::", "1:::2", "::1.2.3.4"),
    *("::ffff:1.2.3.4", "::FFFF:102:304", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4"),
    *("12345::", "::12345", "1:", "1:2:3:4:5:6:7:", ":1", "2001:DB8::1", "fe80::1%eth0"),
    *("1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::", "", "::g", "1:2:3:4:5:6:7::8", "a" * 50),
]


def _expected(text: str) -> tuple[int, int]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return 0, 0
    if "%" in text:
        return 0, 0
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return 4, int(address.ipv4_mapped)
    return address.version, int(address)


def _parsed(texts: list[str | None], kind: pa.DataType) -> list[tuple[int, int]]:
    found = parse_addresses(pa.array(texts, kind))
    values = zip(found.family.tolist(), found.high.tolist(), found.low.tolist(), strict=True)
    return [(family, (high << 64 | low) if family else 0) for family, high, low in values]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_odd_forms_are_read_as_python_reads_them(kind: pa.DataType) -> None:
    assert _parsed([*FORMS, None], kind) == [*map(_expected, FORMS), (0, 0)]


_bits6 = st.one_of(st.integers(0, 2**128 - 1), st.sampled_from([0, 1, 0xFFFF << 32, 1 << 64]))
_texts = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda bits: str(ipaddress.IPv4Address(bits))),
    _bits6.map(lambda bits: str(ipaddress.IPv6Address(bits))),
    _bits6.map(lambda bits: ipaddress.IPv6Address(bits).exploded),
    st.text("0123456789abcdefF:.%", max_size=42),
)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(_texts, max_size=30))
def test_random_texts_are_read_as_python_reads_them(texts: list[str]) -> None:
    assert _parsed(list(texts), pa.string()) == list(map(_expected, texts))


def _blocks(draw: random.Random, count: int) -> list[str]:
    found: set[str] = set()
    for _ in range(count):
        four = draw.getrandbits(32) & 0x0FFFFFFF | 0xC0000000
        found.add(
            str(ipaddress.ip_network((four, draw.choice([0, 1, 8, 9, 24, 31, 32])), strict=False))
        )
        six = 0x20010DB8 << 96 | draw.getrandbits(96) & (2**96 - 2**70) | draw.getrandbits(2)
        length = draw.choice([0, 32, 33, 48, 64, 65, 127, 128])
        found.add(str(ipaddress.ip_network((six, length), strict=False)))
    return sorted(found)


@pytest.mark.parametrize("seed", range(4))
def test_nested_prefixes_are_all_found(seed: int) -> None:
    draw = random.Random(seed)
    networks = [ipaddress.ip_network(text) for text in _blocks(draw, 300)]
    blocks = [(one.version, int(one.network_address), one.prefixlen) for one in networks]
    texts = [str(one[draw.choice([0, -1])]) for one in draw.sample(networks, 80)]
    texts += ["0.0.0.0", "255.255.255.255", "::", "ffff:" * 7 + "ffff", "junk"]
    rows, keys = PrefixIndex(blocks).probe(parse_addresses(pa.array(texts)))
    assert np.all(np.diff(rows) >= 0)
    assert set(zip(rows.tolist(), keys.tolist(), strict=True)) == {
        (row, key)
        for row, text in enumerate(texts[:-1])
        for key, network in enumerate(networks)
        if ipaddress.ip_address(text) in network
    }


def test_an_index_of_one_family_ignores_the_other() -> None:
    found = parse_addresses(pa.array(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"]))
    rows, _ = PrefixIndex([(4, 0, 0)]).probe(found)
    assert rows.tolist() == [0, 2]
    rows, _ = PrefixIndex([(6, 0, 0)]).probe(found)
    assert rows.tolist() == [1]


def test_deep_nests_outgrow_the_first_guess_of_room() -> None:
    blocks = [(4, 0xC0000200 >> 32 - n << 32 - n, n) for n in range(33)]
    rows, _ = PrefixIndex(blocks).probe(parse_addresses(pa.array(["192.0.2.0"] * 500)))
    assert len(rows) == 500 * 33


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("192.0.2.77/24", (4, 0xC0000200, 24)),
        ("192.0.2.1", (4, 0xC0000201, 32)),
        ("::ffff:192.0.2.0/120", (4, 0xC0000200, 24)),
        ("2001:db8::/32", (6, 0x20010DB8 << 96, 32)),
        ("0.0.0.0/0", (4, 0, 0)),
        ("192.0.2.0/33", None),
        ("192.0.2.0/", None),
        ("192.0.2.0/\u0662", None),
        ("\x00", None),
        ("somewhere", None),
    ],
)
def test_blocks(text: str, block: tuple[int, int, int] | None) -> None:
    assert block_of(text) == block


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(_texts, max_size=10))
def test_addresses_are_written_as_python_writes_them(texts: list[str]) -> None:
    found = parse_addresses(pa.array(texts, pa.string()))
    expected = [
        "" if family == 0 else str(_ADDRESS[family](value))
        for family, value in map(_expected, texts)
    ]
    assert write_addresses(found).to_pylist() == expected


_ADDRESS = {4: ipaddress.IPv4Address, 6: ipaddress.IPv6Address}


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(_texts, max_size=10), st.lists(st.integers(0, 140), min_size=10, max_size=10))
def test_blocks_in_bulk_are_those_read_one_by_one(texts: list[str], lengths: list[int]) -> None:
    plain = [text for text in texts if "%" not in text]
    written = [
        f"{text}/{size}" if size < 130 else text for text, size in zip(plain, lengths, strict=False)
    ]
    found, sizes = parse_blocks(pa.array(written, pa.string()))
    columns = (found.family, found.high, found.low, sizes)
    read = [
        (family, high << 64 | low, size) if family else None
        for family, high, low, size in zip(*(one.tolist() for one in columns), strict=True)
    ]
    assert read == [block_of(text) for text in written]
