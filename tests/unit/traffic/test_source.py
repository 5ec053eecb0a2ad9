"""Bytes from disk: packings, damage, caps; memory stays bounded whatever the file holds."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.traffic.problems import Problems
from hub.traffic.source import Line, Source
from tests.unit.traffic.exchanges import PACKERS, written


def _lines(source: Source, problems: Problems | None = None) -> list[Line]:
    return [line for group in source.lines(problems or Problems()) for line in group]


def test_line_ends_mark_and_last_line(tmp_path: Path) -> None:
    source = Source(written(tmp_path, "log", b"\xef\xbb\xbfone\r\ntwo\n\n\0four\nfive"))
    assert _lines(source) == [
        Line(1, b"one"),
        Line(2, b"two"),
        Line(3, b""),
        Line(4, b"\0four"),
        Line(5, b"five"),
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=12).filter(lambda b: b"\n" not in b), min_size=1, max_size=12),
    st.integers(1, 9),
)
def test_lines_do_not_depend_on_blocks(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], block: int
) -> None:
    data = b"x" + b"\n".join(parts) + b"\n"
    path = written(tmp_path_factory.mktemp("lines"), "log", data)
    got = [line.data for line in _lines(Source(path, block_bytes=block))]
    assert got == [line.removesuffix(b"\r") for line in data.split(b"\n")[:-1]]


@pytest.mark.parametrize("block", [3, 64, 1 << 20])
def test_long_lines_are_dropped_and_numbered(tmp_path: Path, block: int) -> None:
    path = written(tmp_path, "log", b"a\n" + b"x" * 50 + b"\nb\n" + b"y" * 50)
    source = Source(path, block_bytes=block, line_bytes=10)
    assert _lines(source) == [Line(1, b"a"), Line(2, None), Line(3, b"b"), Line(4, None)]


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_members_follow_each_other(tmp_path: Path, packing: str) -> None:
    pack = PACKERS[packing]
    source = Source(written(tmp_path, "log", pack(b"one\ntw") + pack(b"o\nthree\n")))
    problems = Problems()
    assert [line.data for line in _lines(source, problems)] == [b"one", b"two", b"three"]
    assert problems.count == 0


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_truncation_is_told_after_what_could_be_read(tmp_path: Path, packing: str) -> None:
    plain = b"".join(
        zlib.crc32(b"%d" % i).to_bytes(4, "big").hex().encode() + b"\n" for i in range(90_000)
    )
    whole = PACKERS[packing](plain)
    source = Source(written(tmp_path, "log", whole[: len(whole) // 2]))
    problems = Problems()
    lines = _lines(source, problems)
    assert len(lines) > 1_000
    assert (
        b"\n".join(line.data or b"" for line in lines)
        == plain[:-1][: sum(len(line.data or b"") + 1 for line in lines) - 1]
    )
    assert problems.damage == f"the {packing} data ends early"
    assert [p.reason for p in problems.examples] == [
        f"the {packing} data ends early; what came before was read"
    ]


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_damage_is_told(tmp_path: Path, packing: str) -> None:
    good = PACKERS[packing](b"good\n" * 9_000)
    broken = good + good[:10] + b"\xff" * 90
    problems = Problems()
    lines = _lines(Source(written(tmp_path, "log", broken)), problems)
    assert sum(line.data == b"good" for line in lines) == 9_000
    assert problems.count == 1
    assert problems.examples[0].reason == (
        f"the {packing} data is damaged; what came before was read"
    )


def test_zeros_after_gzip_are_padding(tmp_path: Path) -> None:
    source = Source(written(tmp_path, "log", gzip.compress(b"one\n") + bytes(512)))
    problems = Problems()
    assert [line.data for line in _lines(source, problems)] == [b"one"]
    assert problems.count == 0


def test_wide_zstd_window_is_refused(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    out = io.BytesIO()
    with zstandard.ZstdCompressor(compression_params=parameters).stream_writer(
        out, closefd=False
    ) as writer:
        writer.write(b"x\n" * 100)
        writer.flush()
    problems = Problems()
    assert _lines(Source(written(tmp_path, "log", out.getvalue())), problems) == []
    assert problems.damage == "the zstd window is above 128 MiB"


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_bomb_is_read_in_bounded_blocks(tmp_path: Path, packing: str) -> None:
    """256 MiB of zeros without a line end, out of a few kilobytes."""
    if packing == "gzip":
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    else:
        zstd = zstandard.ZstdCompressor(level=9).compressobj()
        data = b"".join(zstd.compress(bytes(1 << 20)) for _ in range(256)) + zstd.flush()
    source = Source(written(tmp_path, "log", data))
    assert len(data) < 1 << 20
    assert max(len(block) for block in source.blocks(Problems())) <= 2 << 20
    assert _lines(source) == [Line(1, None)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=12).filter(lambda b: b"\n" not in b), max_size=12),
    st.integers(1, 9),
    st.integers(1, 40),
)
def test_cutting_loses_no_line_and_numbers_each_block(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], block: int, size: int
) -> None:
    data = b"x" + b"\n".join(parts)
    source = Source(
        written(tmp_path_factory.mktemp("cut"), "log", data), block_bytes=block, line_bytes=14
    )
    seen = b""
    for cut in source.cut(Problems(), size):
        assert cut.data is not None
        assert cut.line == seen.count(b"\n") + 1
        seen += cut.data
        assert cut.data.endswith(b"\n") or seen == data
    assert seen == data
