"""Properties: opening undoes sealing, and no history of events confuses two readers."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.channel.compression import compress, decompress
from hub.channel.epoch import unwrap
from hub.channel.header import Audience
from hub.channel.manifest import Policy
from hub.channel.open import open_data
from hub.channel.padding import pad, padme, unpad
from hub.channel.seal import seal_data
from hub.channel.verify import TrustedChannel
from hub.errors import InputError, VerificationError
from hub.resources import schemas
from tests.unit.channel.cast import (
    NOW,
    READER,
    Person,
    Scene,
    as_bundle,
    indicator,
    opening_scene,
    stix,
)
from tests.vectors.channel.generate import deterministic

QUIET = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


@cache
def scene(compression: str) -> Scene:
    made = Scene(Person("lab"), Policy(compression=compression))
    made.rotate()
    made.admit((Person("provider"), READER))
    return made


@QUIET
@given(
    fields=st.dictionaries(st.from_regex(r"x_[a-z]{1,20}", fullmatch=True), VALUES, max_size=5),
    compression=st.sampled_from(["zlib", "zstd"]),
)
def test_opening_undoes_sealing(fields: dict[str, Any], compression: str) -> None:
    made = scene(compression)
    obj = stix("indicator", made.owner, "any") | fields
    reader = TrustedChannel.restore(made.trusted.state())
    raw = made.seal(made.owner, [obj])
    opened = made.open(reader, raw, Person("provider"))
    assert opened.bundle == json.loads(as_bundle([obj]))
    assert opened.objects == [obj]


@QUIET
@given(bit=st.integers(0, 2**16), compression=st.sampled_from(["zlib", "zstd"]))
def test_no_flipped_bit_opens(bit: int, compression: str) -> None:
    made = scene(compression)
    reader = TrustedChannel.restore(made.trusted.state())
    raw = bytearray(made.seal(made.owner, [indicator(made.owner)]))
    raw[bit % len(raw)] ^= 1 << bit % 8
    with pytest.raises((InputError, VerificationError)):
        made.open(reader, bytes(raw), Person("provider"))


@QUIET
@given(data=st.binary(max_size=5_000))
def test_padding_and_compression_are_undone(data: bytes) -> None:
    padded = pad(data)
    assert unpad(padded) == data
    assert len(padded) == padme(8 + len(data))
    assert len(padded) <= 1.12 * (8 + len(data)) + 1
    for form in ("zlib", "zstd"):
        assert decompress(compress(data, form), form) == data


@QUIET
@given(size=st.integers(2, 2**40))
def test_padme_leaks_few_sizes(size: int) -> None:
    padded = padme(size)
    assert size <= padded <= size * 1.12
    assert padme(padded) == padded
    exponent = size.bit_length() - 1
    grain = 1 << max(0, exponent - exponent.bit_length())
    assert padded % grain == 0


@QUIET
@given(data=st.binary(max_size=2_000))
def test_arbitrary_bytes_raise_only_the_two_families(data: bytes) -> None:
    reader = TrustedChannel.restore(scene("zstd").trusted.state())
    for raw in (data, b"\x00\x00\x00\x14stillwatch/1 message" + data):
        with pytest.raises((InputError, VerificationError)):
            reader.accept(raw, now=NOW)


def test_an_aggregate_opens_for_both_readers_and_liaisons() -> None:
    made, lab, provider, liaison = opening_scene()
    campaign = stix("campaign", lab, "copper", name="Copper Kettle")
    raw = seal_data(
        made.trusted,
        made.current,
        lab.signing,
        Audience.AGGREGATE,
        as_bundle([campaign]),
        now=NOW,
    )
    accepted = made.post(raw)
    for person in (provider, liaison):
        secrets = unwrap(made.trusted, made.epochs[-1], person.kem)
        assert open_data(made.trusted, accepted, secrets).objects == [campaign]


def test_the_worked_example_is_that_of_the_vectors() -> None:
    text = (schemas() / "channel-v1.md").read_text(encoding="utf-8")
    example = text.partition("## Worked example")[2].partition("## Security")[0]
    known = json.dumps(deterministic(), ensure_ascii=False).replace('\\"', '"')
    known += (VECTORS / "oprf" / "tokens.json").read_text(encoding="utf-8")
    numbers = re.findall(r"\b[0-9a-f]{44,}\b", example)
    assert len(numbers) >= 12
    for number in numbers:
        assert number in known
    words = re.search(r"^words +(.*)$", example, re.MULTILINE)
    assert words is not None
    assert words[1] in known
