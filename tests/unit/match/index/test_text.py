"""Text search with Hyperscan, without it, and where the two engines would differ."""

from __future__ import annotations

import re
import sys
import time

import hyperscan
import pyarrow as pa
import pytest

from hub.errors import PatternError
from hub.match.index import bounded, proposer, scanner
from hub.match.index.backtracking import explodes, is_compiled_soon, longest
from hub.match.index.bounded import safe_test
from hub.match.index.text import TextIndex
from hub.match.pattern import parse
from hub.match.syntax import Comparison, Observation


def comparison(operator: str, literal: str) -> Comparison:
    """A test of a text, as the parser reads it."""
    escaped = literal.replace("\\", "\\\\").replace("'", "\\'")
    read = parse(f"[a:b {operator} '{escaped}']")
    assert isinstance(read, Observation)
    assert isinstance(read.expression, Comparison)
    return read.expression


TESTS = [
    comparison("LIKE", "%needle%"),
    comparison("LIKE", "needle%end"),
    comparison("LIKE", "a_c"),
    comparison("LIKE", "%caf\u00e9"),
    comparison("MATCHES", r"(?i)needle\s+\d{2}$"),
    comparison("MATCHES", r"(n)\1|\bword\b"),
    comparison("MATCHES", r"^$"),
    comparison("MATCHES", r"x{,2}y"),
]
TEXTS = [
    "a needle in hay",
    "needle\nend",
    "needle end\n",
    "abc",
    "a\nc",
    "le cafe\u0301",
    "NEEDLE \u0661\u0662",
    "needle 12\n",
    "needle\x1c12",
    "nn",
    "a word.",
    "",
    "xxxy",
    None,
    "\u2c2f needle 12",
]


@pytest.fixture(params=["hyperscan", "re"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "re":
        monkeypatch.setitem(sys.modules, "hyperscan", None)
    return str(request.param)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_both_engines_find_what_the_exact_tests_say(engine: str, kind: pa.DataType) -> None:
    index = TextIndex(TESTS)
    values = pa.array([*TEXTS, *TEXTS], kind).slice(3)
    rows, keys = index.probe(values)
    tests = [safe_test(one) for one in TESTS]
    expected = [
        (row, key)
        for row, value in enumerate(values.to_pylist())
        for key, test in enumerate(tests)
        if value is not None and test(value)
    ]
    assert list(zip(rows.tolist(), keys.tolist(), strict=True)) == expected
    assert len({key for _, key in expected}) == len(TESTS)
    assert [index.find(value) for value in TEXTS if value is not None] == [
        [key for key, test in enumerate(tests) if test(value)]
        for value in TEXTS
        if value is not None
    ]
    assert bool(index._rest.keys) is (engine == "hyperscan")


def test_databases_that_do_not_compile_leave_the_work_to_re(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = TextIndex(TESTS)
    expected = [part.tolist() for part in index.probe(pa.array(TEXTS))]

    def refuse(*_: object, **__: object) -> None:
        raise hyperscan.error("too large")

    monkeypatch.setattr(proposer, "Scanner", refuse)
    monkeypatch.setattr(bounded, "Scanner", refuse)
    without = TextIndex(TESTS)
    assert [part.tolist() for part in without.probe(pa.array(TEXTS))] == expected
    with pytest.raises(PatternError, match="exponential"):
        safe_test(comparison("MATCHES", "(a+)+$"))


@pytest.mark.parametrize(
    "literal", [r"a.{2,300}z", r"a.{300}z", r"a\\.{2}z", r"a[.{2}]z", r"a\.{2}z"]
)
def test_bounded_runs_keep_their_bounds(engine: str, literal: str) -> None:
    test = comparison("MATCHES", literal)
    texts = ["az", "abcz", "a..z", "a" + "b" * 300 + "z", "a" + "é" * 301 + "z", "a\bbz", "a{z"]
    rows, _ = TextIndex([test]).probe(pa.array(texts))
    assert rows.tolist() == [n for n, text in enumerate(texts) if re.search(literal, text)]
    assert engine in {"hyperscan", "re"}


def test_bytes_that_are_not_utf8_do_no_harm(engine: str) -> None:
    raw = pa.array([b"needle \xff\xfe", b"a needle \xc3"], pa.large_binary())
    values = pa.LargeStringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])
    rows, keys = TextIndex(TESTS[:1]).probe(values)
    assert (rows.tolist(), keys.tolist()) == ([0, 1], [0, 0])
    assert engine in {"hyperscan", "re"}


@pytest.mark.parametrize(
    "regex",
    [
        r"(a+)+$",
        r"(?:a|aa)*(?:b*)*c",
        r"((x*)y)*z",
        r"(a*|b)*c",
        r"(a|aa)+ step by step$",
        r"(a{1,9}){1,9} step by step$",
        r"(?:x?a){60}(?:a?){60} step by step$",
        "a.*" * 9 + "b.* step by step$",
        "a?" * 40 + "a" * 40 + "b",
    ],
)
def test_an_expression_that_explodes_is_bounded(regex: str) -> None:
    test = comparison("MATCHES", regex)
    assert explodes(test)
    begun = time.process_time()
    texts = ["a" * 50_000 + " step by step!", "a" * 100 + " step by step!"]
    assert len(TextIndex([test]).probe(pa.array(texts))[0]) == 0
    assert [safe_test(comparison("MATCHES", regex))(text) for text in texts] == [False, False]
    assert time.process_time() - begun < 30


@pytest.mark.parametrize(
    ("regex", "least", "most"),
    [
        ("needle", 10**8, 2**27),
        ("a.*b", 16_384, 16_384),
        (r"(?:\d{1,3}\.){3}\d{1,3}", 100_000, 110_000),
        ("(?:foo|bar)+ x", 16_384, 16_384),
        (r"a.*b.*c.*d", 200, 300),
        (r"\bone\W+(?:\w+\W+){0,3}two\b", 5_000, 10_000),
        (r"\d+-\d+-\d+", 16_384, 16_384),
        (r"\d+\d+-", 900, 1_000),
        (r"(?:\w+\W+)*x", 900, 1_000),
        (r"(?:\w+\W*)*x", 0, 0),
        (r"(?i:k+\u212a+)x", 900, 1_000),
        (r"(?a:\W+)\u00e9+x", 900, 1_000),
        (r"\W+[^\w]+x", 900, 1_000),
    ],
)
def test_how_much_re_may_search_follows_from_the_expression(
    regex: str, least: int, most: int
) -> None:
    assert least <= longest(comparison("MATCHES", regex)) <= most


@pytest.mark.parametrize(
    "regex",
    [
        "(" * 30 + "a" + "b)*" * 30,
        "(.{1,100}x){20}y",
        r"(?:\w{1,40}\s){1,12}b",
        "a.*" * 4000 + "b",
    ],
)
def test_what_hyperscan_would_compile_for_minutes_is_refused(regex: str) -> None:
    begun = time.process_time()
    with pytest.raises(PatternError, match="exponential"):
        TextIndex([comparison("MATCHES", regex)])
    assert time.process_time() - begun < 30


@pytest.mark.parametrize(
    "regex", [r"\w{1,200}@x", r"a.{0,300}b.{0,300}c", r"(?:\d{1,3}\.){3}\d", r"((a+b)+c)+", "x{9}"]
)
def test_what_hyperscan_compiles_soon_is_left_to_it(regex: str) -> None:
    assert is_compiled_soon(regex)


def test_an_expression_too_long_to_compile_is_refused() -> None:
    with pytest.raises(PatternError, match=r"longer than 32,768 characters"):
        safe_test(comparison("MATCHES", "ab" * 20_000))


def test_an_expression_that_explodes_is_refused_without_hyperscan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    with pytest.raises(PatternError, match="exponential"):
        safe_test(comparison("MATCHES", "(a+)+$"))
    with pytest.raises(PatternError, match="exponential"):
        safe_test(comparison("MATCHES", r"(a+)+\1$"))


@pytest.mark.parametrize("regex", ["a+b+", "(?:ab){2,5}", "[a-z]+@[a-z]+", r"\d+(\.\d)?"])
def test_plain_expressions_do_not_explode(regex: str) -> None:
    assert not explodes(comparison("MATCHES", regex))


@pytest.mark.parametrize("regex", ["(.*){3}b", ".*.*.*b", "a.*b"])
def test_a_search_without_hyperscan_is_bounded(regex: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    monkeypatch.setattr(bounded, "_UNHELPED", 2**20)
    test = safe_test(comparison("MATCHES", regex))
    begun = time.process_time()
    assert not test("a" * 1_000_000)
    assert test("ab" + "a" * 1_000_000)
    assert time.process_time() - begun < 30


def test_like_with_many_wildcards_is_bounded() -> None:
    test = safe_test(comparison("LIKE", "%a" * 30 + "%b"))
    begun = time.process_time()
    assert not test("a" * 20_000)
    assert test("a" * 30 + "b")
    assert time.process_time() - begun < 30


def test_the_module_is_found_by_name() -> None:
    assert scanner.hyperscan() is hyperscan


def test_word_boundaries_are_left_to_hyperscan_where_re_might_take_too_long() -> None:
    regex = r"\bgrade .{0,40}(rubric|criteria).{0,200}(score|integer).{0,40}1\s*(-|to)\s*(5|10)"
    found = "Please grade it by this rubric: " + "x" * 150 + " a score of 1 to 5"
    texts = [found, "up" + found[7:], "é " * 200 + found, "grade rubric score " * 5_000]
    rows, _ = TextIndex([comparison("MATCHES", regex)]).probe(pa.array(texts))
    assert rows.tolist() == [0, 2]
