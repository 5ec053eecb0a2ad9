"""The index beside every comparison tested one by one, with Hyperscan and without."""

from __future__ import annotations

import re
import sys
import threading
import time
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.match.index import utf8
from hub.match.index.bounded import safe_test
from hub.match.index.expressions import CASE_FRIENDS
from hub.match.index.literals import Literal, LiteralTable
from hub.match.index.required import required
from hub.match.index.text import TextIndex
from hub.match.syntax import Comparison, ObjectPath, Operator

PATH = ObjectPath("a", ("b",))


def like(literal: str) -> Comparison:
    return Comparison(PATH, Operator.LIKE, False, (literal,), 1)


def matches(regex: str) -> Comparison:
    return Comparison(PATH, Operator.MATCHES, False, (regex,), 1)


@pytest.fixture(params=["hyperscan", "re"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "re":
        monkeypatch.setitem(sys.modules, "hyperscan", None)
    return str(request.param)


def one_by_one(comparisons: list[Comparison], texts: list[str | None]) -> list[tuple[int, int]]:
    tests = [safe_test(comparison) for comparison in comparisons]
    return [
        (row, key)
        for row, text in enumerate(texts)
        for key, test in enumerate(tests)
        if text is not None and test(text)
    ]


def found(index: TextIndex, texts: list[str | None]) -> list[tuple[int, int]]:
    rows, keys = index.probe(pa.array(texts, pa.large_string()))
    return list(zip(rows.tolist(), keys.tolist(), strict=True))


WORDS = st.sampled_from(
    ["step", "STEP", "reasoning", "Reasoning", "chain", "\u017ftep", "st\u0131ck", "caf\u00e9",
     "cafe\u0301", "a", "ab", "\u4e2d\u6587", "12", "-", ".", " ", "\n", "\x00", "\x1c",
     "\U0001f600", "\u2126", "k", "\u05d0\u05b7"]
)  # fmt: skip
TEXTS = st.lists(WORDS, max_size=12).map("".join)
REGEXES = st.sampled_from(
    [
        "step", "(?i)step by", "(?i)STICK", r"reasoning\s+chain", r"\bstep\b", "step|chain|ab",
        "(?:reason|chain)(?:ing)?step", "(?i:rea)soning", "ste+p", "(?:step){2}", "step(?=a)",
        r"(a)\1", "^$", "[ab]{2}", r"\d+-\d+", ".", "(?i)caf\u00e9", "chain.*step",
        "(?s)chain.step", r"\w\s", "(?:abstep)*k", "(?:abstep)+k", r"re(?!b)asoning", r"(?x) st ep",
        "\u4e2d\u6587", "\x00", r"(?m)^step$", r"step\Z", r"\Astep", r"k\s", r"ab\s+step",
        r"[a-c]bstep", r"\d\d-\d", "(?:ab|ste|)pchain", r"\bab\b", "chain$", "^chain",
    ]
)  # fmt: skip
LIKES = st.lists(st.one_of(WORDS, st.just("%"), st.just("_")), max_size=6).map("".join)
COMPARISONS = st.lists(
    st.one_of(REGEXES.map(matches), LIKES.map(like), TEXTS.map(lambda text: like(f"%{text}%"))),
    max_size=12,
)


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(COMPARISONS, st.lists(st.one_of(TEXTS, st.none()), max_size=8))
def test_the_index_finds_what_each_test_does(
    engine: str, comparisons: list[Comparison], texts: list[str | None]
) -> None:
    assert engine in {"hyperscan", "re"}
    expected = one_by_one(comparisons, texts)
    index = TextIndex(comparisons)
    assert found(index, texts) == expected
    for row, text in enumerate(texts):
        if text is not None:
            assert list(index.find(text)) == [key for at, key in expected if at == row]


def test_many_tests_of_one_text_are_thinned_out_and_none_is_lost(engine: str) -> None:
    words = ["reasoning", "chain of", "(?i:Explain it)"]
    comparisons = [
        matches(rf"{word}\W+(?:w{n} )?{other}")
        for n in range(9)
        for word in words
        for other in words
    ]
    comparisons.append(matches(r"(chain of)\W+\1"))
    text = "reasoning, chain of chain of: explain IT reasoning w3 chain of."
    index = TextIndex(comparisons)
    expected = one_by_one(comparisons, [text])
    assert found(index, [text]) == expected
    assert 8 < len(expected) < len(comparisons)
    assert list(index.find(text)) == [key for _, key in expected]
    assert engine in {"hyperscan", "re"}


@pytest.mark.parametrize(
    ("regex", "parts"),
    [
        ("reasoning", [[("reasoning", False)]]),
        ("(?i)reasoning", [[("reasoning", True)]]),
        ("rea(?i:on)ing-mode", [[("ing-mode", False)]]),
        ("(?:alpha1|beta22) gamma", [[("alpha1 gamma", False), ("beta22 gamma", False)]]),
        ("(?:alpha1|b.) gamma", [[(" gamma", False)]]),
        ("(?:alpha|betas.) gamma", [[("alpha", False), ("betas", False)], [(" gamma", False)]]),
        ("[ab]a text long enough", [[("a text long enough", False)]]),
        ("[ab]cde", [[("acde", False), ("bcde", False)]]),
        ("(?i)[aA]cde", [[("acde", True)]]),
        ("[^a]bcd", [[("bcd", False)]]),
        ("[0-9a-z]bcd", [[("bcd", False)]]),
        (r"a{2}bcd", [[("abcd", False)]]),
        (r"\dab", [[("ab", False)]]),
        ("(?:alpha1)? gamma", [[(" gamma", False)]]),
        ("(?:alpha1){2,} gamma", [[("alpha1", False)], [(" gamma", False)]]),
        (r"\bexactly\b this", [[("exactly this", False)]]),
        ("(?=secret)ab", [[("ab", False)]]),
        ("(?i)na\u00efve-mode", [[("ve-mode", True)]]),
        ("[0-9]a|b", None),
    ],
)
def test_required_literals(regex: str, parts: list[list[tuple[str, bool]]] | None) -> None:
    need = required(matches(regex))
    read = need and [[(one.decode(), caseless) for one, caseless in part] for part in need.parts]
    assert (read and sorted(read)) == (parts and sorted(parts))


def test_a_short_word_reaches_to_the_space_beside_it_in_plain_texts() -> None:
    need = required(matches(r"abc\s+"), plain=True)
    assert need is not None
    assert {one for one, _ in need.parts[0]} == {f"abc{one}".encode() for one in " \t\n\r\f\v"}
    digits = required(matches(r"-\d\d-"), plain=True)
    assert digits is not None
    assert sorted(one for one, _ in digits.parts[0]) == [b"-%d" % n for n in range(10)]


def test_no_other_character_is_a_letter_to_a_caseless_expression() -> None:
    letters = re.compile("(?i)[a-z]")
    friends = {
        code
        for code in range(0x80, 0x110000)
        if not 0xD800 <= code < 0xE000
        and letters.search(unicodedata.normalize("NFC", chr(code)))
        and not unicodedata.normalize("NFC", chr(code)).isascii()
        and unicodedata.normalize("NFC", chr(code)) == chr(code)
    }
    assert friends == set(CASE_FRIENDS)


def test_texts_that_are_searched_where_they_lie_are_in_normal_form() -> None:
    points = utf8.code_points()
    stable = [chr(code) for code in range(0x80, len(points)) if points[code] != utf8.OTHER]
    assert len(stable) > 50_000
    for before in ("a", "\u1100", "\uac00", "\u0915"):
        text = before.join(["", *stable])
        assert unicodedata.normalize("NFC", text) == text
    text = "".join(stable)
    assert unicodedata.normalize("NFC", text) == text


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=12), min_size=1, max_size=6))
def test_bytes_that_are_not_utf8_are_never_taken_for_it(raw: list[bytes]) -> None:
    data = pa.array(raw, pa.large_binary())
    texts = pa.LargeStringArray.from_buffers(len(raw), data.buffers()[1], data.buffers()[2])
    sound = pa.array([one.decode("utf-8", "replace") for one in raw], pa.large_string())
    index = TextIndex([like("%_%"), like("__"), like("%\ufffd%"), matches(r"[\x80-\xff]")])
    got, expected = index.probe(texts), index.probe(sound)
    assert [part.tolist() for part in got] == [part.tolist() for part in expected]


def test_two_threads_search_at_once() -> None:
    index = TextIndex([like("%needle in the hay%"), matches(r"(?i)\bpins?\b"), like("%x")])
    texts: list[str | None] = [
        f"{'a needle in the hay ' * (n % 3)} PIN {n % 7}x" for n in range(400)
    ]
    expected = found(index, texts)
    results: list[list[tuple[int, int]]] = []

    def work() -> None:
        results.extend(found(index, texts) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 20


@pytest.mark.parametrize("size", [2_000_000])
def test_hostile_literals_and_texts_are_bounded(engine: str, size: int) -> None:
    """Ten thousand literals that share every window, and a text made of nothing else."""
    literals = ["a" * (20 + n) + "b" for n in range(300)]
    comparisons = [like(f"%{literal}%") for literal in literals]
    index = TextIndex(comparisons)
    begun = time.process_time()
    hits = found(index, ["a" * size, "a" * 25 + "b", None])
    assert hits == [(1, key) for key in range(6)]
    assert time.process_time() - begun < 20
    assert engine in {"hyperscan", "re"}


def test_thousands_of_hits_in_one_text_are_each_told_once() -> None:
    literals = [f"entry {n:05d};" for n in range(5_000)]
    index = TextIndex([like(f"%{literal}%") for literal in literals])
    text = "".join(literals)
    assert found(index, [text + text, None, text]) == [
        (row, key) for row in (0, 2) for key in range(5_000)
    ]
    assert list(index.find(text + text)) == list(range(5_000))


def test_quadratic_expressions_are_bounded_on_long_texts() -> None:
    index = TextIndex([matches(r"x.*y.*z"), matches(r"\s+$")])
    begun = time.process_time()
    assert found(index, ["x" * 200_000 + "y", " " * 200_000 + "x"]) == []
    assert time.process_time() - begun < 10


def test_a_table_finds_a_key_where_all_its_parts_are() -> None:
    table = LiteralTable(
        [
            Literal(b"alpha", False, 0, 0),
            Literal(b"BETA", True, 0, 1),
            Literal(b"gamma", False, 0, 1),
        ],
        1,
    )

    def keys(text: bytes) -> list[int] | None:
        return table.find(np.frombuffer(text, dtype=np.uint8))

    assert keys(b"alpha") == keys(b"gamma beta") == keys(b"Alpha beta") == []
    assert keys(b"a beta, alpha") == keys(b"gammalpha gamma alpha") == [0]
