"""The parser accepts and refuses what the OASIS grammar does, and says where."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
import stix2patterns.test.v21
from hypothesis import given, settings
from hypothesis import strategies as st
from stix2patterns.exceptions import ParseException
from stix2patterns.v21.pattern import Pattern as OasisPattern

from hub.errors import PatternError
from hub.match.pattern import MAX_DEPTH, MAX_LENGTH, parse, parse_time
from hub.match.syntax import (
    AllOf,
    AnyOf,
    Comparison,
    EachOf,
    FollowedBy,
    Observation,
    OneOf,
    Operator,
    Repeats,
    StartStop,
    Within,
)

CORPUS = importlib.import_module("stix2patterns.test.v21.test_validator")
SPEC = (Path(stix2patterns.test.v21.__file__).parent / "spec_examples.txt").read_text().splitlines()


def _refusal(text: str) -> PatternError | None:
    try:
        parse(text)
    except PatternError as error:
        return error
    return None


def _accepts(text: str) -> bool:
    error = _refusal(text)
    return error is None


def _agree(text: str) -> bool:
    """Whether both accept or both refuse; what only the standard's prose forbids is left out."""
    error = _refusal(text)
    if error is None:
        return _oasis_accepts(text)
    in_prose = ("mixes types", "above zero", "in the calendar")
    inside = 0 <= error.position <= len(text)
    return inside and (any(one in error.message for one in in_prose) or not _oasis_accepts(text))


def _oasis_accepts(text: str) -> bool:
    try:
        OasisPattern(text)
    except ParseException:
        return False
    return True


@pytest.mark.parametrize("text", [*filter(None, SPEC), *CORPUS.PASS_CASES])
def test_the_published_examples_are_patterns(text: str) -> None:
    assert _accepts(text)


@pytest.mark.parametrize(
    "text", [pair[0] for pair in CORPUS.FAIL_CASES + CORPUS.TIMESTAMP_FAIL_CASES]
)
def test_the_published_faults_are_refused_as_the_grammar_refuses_them(text: str) -> None:
    # Hash lengths and repeated qualifiers are matters of the validator, not of the grammar.
    assert _accepts(text) is _oasis_accepts(text)


def test_dates_that_are_in_no_calendar_are_refused_though_the_grammar_takes_them() -> None:
    for text in CORPUS.TIMESTAMP_PASS_CASES:
        impossible = any(day in text for day in ("-02-30", "-04-31", "2023-02-29"))
        assert _accepts(text) is not impossible


PIECES = [
    *("[", "]", "(", ")", "[", "]", "a:b", "a:b.c", "a:b[0]", "a:b[*]", "a:b[-1]", "a:'b c'.d"),
    *(" = ", " != ", " <> ", "==", "<", ">=", " IN ", " LIKE ", " MATCHES ", " ISSUBSET ", " NOT "),
    *("'x'", "'it\\'s'", "'\\\\'", "'\\n'", "5", "-5", "+5", "05", ".5", "5.", "1.5", "-0", "true"),
    *("h'00ff'", "h'0'", "b'QQ=='", "b''", "t'2026-01-01T00:00:00Z'", "t'2026-01-01'", "(1,2)"),
    *("()", "('a', 'b')", " AND ", " OR ", " FOLLOWEDBY ", " WITHIN 5 SECONDS", " REPEATS 2 TIMES"),
    *(
        " WITHIN 0.5 SECONDS",
        " START t'2026-01-01T00:00:00Z' STOP t'2026-01-02T00:00:00Z'",
        "EXISTS ",
    ),
    *(
        " /* c */ ",
        " // c\n",
        "\u00a0",
        "a-b:c",
        "a:b-c",
        "AND",
        "LAST",
        "\u3000",
        "?",
        "a",
        ":",
        ".",
    ),
]
VALID = [
    "[a:b = 'x']",
    "[a:b NOT IN (1, 2.5)]",
    "[NOT EXISTS a:b[*].c AND (a:b LIKE 'x%' OR a:'y z' < h'00')]",
    "([a:b = 1] AND [a:b = 2]) WITHIN 5 SECONDS REPEATS 2 TIMES FOLLOWEDBY [a:b = 3]",
]


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=9), st.booleans())
def test_random_texts_are_judged_as_by_the_grammar(pieces: list[str], wrap: bool) -> None:
    text = f"[a:b {''.join(pieces)}]" if wrap else "".join(pieces)
    assert _agree(text)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_patterns_with_one_change_are_judged_as_by_the_grammar(
    text: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 2))
    changed = text[:at] + data.draw(st.sampled_from(["", *PIECES])) + text[at + cut :]
    assert _agree(changed)


def test_white_space_is_what_the_grammar_says() -> None:
    texts = [f"[a:b{chr(code)}= 1]" for code in range(0x3100) if code < 0x80 or chr(code).isspace()]
    assert [text for text in texts if not _agree(text)] == []
    assert not any(_accepts(f"[a:b{chr(code)}= 1]") for code in (0xE9, 0x200B, 0x2060, 0xFEFF))


def test_the_tree_of_a_pattern() -> None:
    read = parse("[a:b = 1 OR a:c.'d e'[0][*] NOT LIKE 'x' AND EXISTS a:f]")
    assert isinstance(read, Observation)
    assert isinstance(read.expression, AnyOf)
    first, both = read.expression.operands
    assert isinstance(first, Comparison)
    assert (first.operator, first.values, first.position) == (Operator.EQ, (1,), 1)
    assert isinstance(both, AllOf)
    like, exists = both.operands
    assert isinstance(like, Comparison)
    assert isinstance(exists, Comparison)
    assert (like.path.text, like.negated, like.values) == ("a:c.'d e'[0][*]", True, ("x",))
    assert (exists.operator, exists.values) == (Operator.EXISTS, ())


def test_observation_operators_bind_as_the_standard_says() -> None:
    read = parse("[a:b = 1] AND [a:b = 2] WITHIN 5 SECONDS OR [a:b = 3] FOLLOWEDBY [a:b = 4]")
    assert isinstance(read, FollowedBy)
    assert isinstance(read.left, OneOf)
    each = read.left.operands[0]
    assert isinstance(each, EachOf)
    assert isinstance(each.operands[1], Within)
    stacked = parse(
        "[a:b = 1] REPEATS 2 TIMES START t'2026-01-01T00:00:00Z' STOP t'2026-01-02T00:00:00Z'"
    )
    assert isinstance(stacked, StartStop)
    assert stacked.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert isinstance(stacked.inner, Repeats)


def test_every_type_of_literal() -> None:
    text = r"[a:b IN ('it\'s \\', '') OR a:b IN (-1, +2, .5) OR a:b IN (true, false)"
    text += " OR a:b IN (h'00fF', b'AP8=') OR a:b = t'2016-12-31T23:59:60.1234567Z']"
    read = parse(text)
    assert isinstance(read, Observation)
    assert isinstance(read.expression, AnyOf)
    values = [one.values for one in read.expression.operands if isinstance(one, Comparison)]
    assert values == [
        ("it's \\", ""),
        (-1, 2, 0.5),
        (True, False),
        (b"\x00\xff", b"\x00\xff"),
        (datetime(2017, 1, 1, 0, 0, 0, 123456, tzinfo=UTC),),
    ]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("[a:b = ]", 7),
        ("[a:b = 'x'", 10),
        ("[a:b = 'x", 7),
        ("[a:b-c = 1]", 3),
        ("[a:b = 1] WITHIN 0 SECONDS", 17),
        ("[a:b = 1] REPEATS 0 TIMES", 18),
        ("[a:b = 1] REPEATS -1 TIMES", 18),
        ("[a:b IN (1, 'x')]", 8),
        ("[a:b = t'2026-02-30T00:00:00Z']", 7),
        ("[a:b < true]", 7),
        ("[a:b = 1] x", 10),
    ],
)
def test_a_refusal_names_the_offset(text: str, position: int) -> None:
    with pytest.raises(PatternError) as caught:
        parse(text)
    assert caught.value.position == position
    assert "'x'" not in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "[" + "(" * 100_000,
        "[a:b = 1]" + " REPEATS 2 TIMES" * (MAX_DEPTH + 1),
        " FOLLOWEDBY ".join(["[a:b = 1]"] * (MAX_DEPTH + 1)),
        f"[a:b = {'9' * 100_000}]",
        f"[a:b = '{'x' * MAX_LENGTH}']",
        "[a:b = " + "'\\",
        "/*" * 10_000,
    ],
    ids=range(8),
)
def test_hostile_patterns_are_refused_quickly(text: str) -> None:
    with pytest.raises(PatternError):
        parse(text)


def test_long_but_flat_patterns_are_read() -> None:
    members = ", ".join(f"'{number}'" for number in range(100_000))
    read = parse(f"[a:b IN ({members})]")
    assert isinstance(read, Observation)
    assert isinstance(read.expression, Comparison)
    assert len(read.expression.values) == 100_000
    chain = parse("[" + " OR ".join(["a:b = 1"] * 5_000) + "]")
    assert isinstance(chain, Observation)
    assert isinstance(chain.expression, AnyOf)
    assert len(chain.expression.operands) == 5_000


@pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01T00:00:00", "2026-1-1T00:00:00Z", "x"])
def test_what_is_no_timestamp(text: str) -> None:
    assert parse_time(text) is None
