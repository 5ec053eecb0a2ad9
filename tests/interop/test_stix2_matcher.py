"""The reference matcher beside the OASIS matcher, on that matcher's own tests and on ours."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import stix2matcher.matcher
import stix2matcher.test.v20
import stix2matcher.test.v21
from hypothesis import given, settings
from hypothesis import strategies as st
from stix2matcher.matcher import MatcherException
from stix2patterns.pattern import ParseException

from hub.errors import InputError
from hub.match import evaluate

_Refused: Any = type("_Refused", (MatcherException, ParseException), {})
"""Our refusals stand for both of the matcher's families."""


def _match(
    pattern: str, bundles: Sequence[dict[str, Any]], verbose: bool = False, stix_version: str = ""
) -> Any:
    """Judge with ours, and insist that the OASIS matcher judges alike."""
    given, world = pattern, list(bundles)
    if stix_version != "2.1":
        pattern, bundles = re.sub(r"(START|STOP) '", r"\1 t'", pattern), [_as_21(bundles)]
    try:
        ours = evaluate(pattern, bundles)
    except InputError as error:
        with pytest.raises((MatcherException, ParseException)):
            stix2matcher.matcher.match(pattern, bundles, stix_version="2.1")
        raise _Refused(str(error)) from error
    theirs = stix2matcher.matcher.match(pattern, bundles, stix_version="2.1")
    assert ours is bool(theirs)
    # Tests of STIX 2.0 may ask which of their observations were taken. The present parser refuses
    # some of their patterns; those only ask whether any were.
    if ours and stix_version == "2.0":
        with contextlib.suppress(ParseException):
            return stix2matcher.matcher.match(given, world, stix_version="2.0")
    return theirs


def _as_21(observed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """STIX 2.0 observed-data, whose objects are inside of it, as a bundle of STIX 2.1."""
    objects: list[dict[str, Any]] = []
    for number, old in enumerate(observed):
        inner = [
            {**{name: _renamed(name, value, number) for name, value in one.items()}, "id": key}
            for key, one in ((f"{number}-{key}", one) for key, one in old["objects"].items())
        ]
        objects += [
            {
                "id": f"observed-data--{number}",
                **{name: value for name, value in old.items() if name != "objects"},
                "type": "observed-data",
                "object_refs": [one["id"] for one in inner],
            },
            *inner,
        ]
    return {"type": "bundle", "objects": objects}


def _renamed(name: str, value: Any, number: int) -> Any:
    """A reference of STIX 2.0 is a key of the same observed-data."""
    if name.endswith("_refs"):
        return [f"{number}-{one}" for one in value]
    return f"{number}-{value}" if name.endswith("_ref") else value


def _cases(package: Any) -> Iterator[tuple[str, Callable[..., None], Mapping[str, Any]]]:
    """Each parametrised test of the published package that judges a pattern."""
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for name, function in sorted(vars(module).items()):
            marks = list(getattr(function, "pytestmark", ()))
            if not name.startswith("test_") or not marks:
                continue
            if "match" not in function.__code__.co_names:
                continue
            axes = [_rows(mark.args[0], mark.args[1]) for mark in marks]
            for number, rows in enumerate(itertools.product(*axes)):
                arguments = {key: value for row in rows for key, value in row.items()}
                yield f"{found.name}.{name}[{number}]", function, arguments


def _rows(names: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    keys = [key.strip() for key in names.split(",")]
    if len(keys) == 1:
        return [{keys[0]: value} for value in values]
    return [dict(zip(keys, row, strict=True)) for row in values]


CASES = {
    package: list(_cases(package)) for package in (stix2matcher.test.v20, stix2matcher.test.v21)
}


@pytest.mark.parametrize(
    ("package", "cases"), [(stix2matcher.test.v20, 419), (stix2matcher.test.v21, 423)]
)
def test_every_pair_of_the_published_matcher_is_judged_as_there(
    package: Any, cases: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = []
    for name, function, arguments in CASES[package]:
        monkeypatch.setitem(function.__globals__, "match", _match)
        try:
            function(**arguments)
        except (AssertionError, pytest.fail.Exception):
            failed.append(name)
    assert failed == []
    assert len(CASES[package]) == cases


VECTORS = sorted((Path(__file__).parents[1] / "vectors" / "patterns").glob("*.json"))


def test_there_is_a_vector_for_each_of_the_44_kinds() -> None:
    assert len(VECTORS) == 44


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: str(path.stem))
def test_every_catalogue_pattern_is_judged_as_by_the_matcher(path: Path) -> None:
    vector = json.loads(path.read_bytes())
    judged = 0
    for expected, bundles in ((True, vector["positive"]), (False, vector["negative"])):
        assert bundles
        for bundle in bundles:
            assert evaluate(vector["pattern"], [bundle]) is expected
            judged += 1
            if path.stem == "network.cidr6":
                # Divergence: the matcher reads IPv4 only and refuses to judge IPv6.
                with pytest.raises(MatcherException, match="Invalid IPv4"):
                    stix2matcher.matcher.match(vector["pattern"], [bundle], stix_version="2.1")
            else:
                assert _theirs(vector["pattern"], [bundle]) is expected
    assert judged >= 2


def _theirs(pattern: str, bundles: Sequence[dict[str, Any]]) -> bool:
    return bool(stix2matcher.matcher.match(pattern, bundles, stix_version="2.1"))


def _one(**properties: Any) -> list[dict[str, Any]]:
    """One observation of one object."""
    return [
        {
            "type": "bundle",
            "id": "bundle--1",
            "objects": [
                {
                    "type": "observed-data",
                    "id": "observed-data--1",
                    "number_observed": 1,
                    "first_observed": "2026-01-01T00:00:00Z",
                    "last_observed": "2026-01-01T00:00:00Z",
                    "object_refs": ["x--1"],
                },
                {"type": "x", "id": "x--1", **properties},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("pattern", "properties", "ours"),
    [
        # EXISTS is in the grammar; the matcher walks past it and takes mere values for a result.
        ("[NOT EXISTS x:absent]", {"here": 1}, True),
        # `_` and `%` stand for any character; the matcher lets neither be a line end.
        ("[x:text LIKE '%end']", {"text": "a\nend"}, True),
        ("[x:text LIKE 'a_b']", {"text": "a\nb"}, True),
        # LIKE compares the whole value; the matcher forgives a line end after it.
        ("[x:text LIKE 'a']", {"text": "a\n"}, False),
        # Membership is equality with a member: true is not 1, and a byte string equals its text.
        ("[x:flag IN (1, 2)]", {"flag": True}, False),
        ("[x:text IN (h'6162')]", {"text": "ab"}, True),
    ],
)
def test_where_the_matcher_departs_from_the_standard(
    pattern: str, properties: dict[str, Any], ours: bool
) -> None:
    assert evaluate(pattern, _one(**properties)) is ours
    assert _theirs(pattern, _one(**properties)) is not ours


@pytest.mark.parametrize(
    ("pattern", "properties", "ours"),
    [
        # ISSUBSET of a block in itself holds, also the block of everything.
        ("[x:ip ISSUBSET '0.0.0.0/0']", {"ip": "192.0.2.1"}, True),
        ("[x:ip ISSUBSET '2001:db8::/32']", {"ip": "2001:db8::1"}, True),
        ("[x:ip ISSUBSET '192.0.2.0/24']", {"ip": "::ffff:192.0.2.1"}, True),
        ("[x:ip ISSUBSET '192.0.2.1']", {"ip": "192.0.2.1"}, True),
        # A value that is no address is in no block.
        ("[x:ip ISSUBSET '192.0.2.0/24']", {"ip": "somewhere"}, False),
    ],
)
def test_where_the_matcher_refuses_to_judge(
    pattern: str, properties: dict[str, Any], ours: bool
) -> None:
    assert evaluate(pattern, _one(**properties)) is ours
    with pytest.raises(MatcherException):
        _theirs(pattern, _one(**properties))


# Random patterns over a small world, so that many of them match.
_STRINGS = ["", "a", "ab", "abc", "Ab", "e\u0301", "\u00e9", "a'b", "a\\b", "\u0101"]
_TIMES = [f"2026-01-01T00:00:{second:02d}{part}Z" for second in range(4) for part in ("", ".5")]
_ADDRESSES = ["192.0.2.1", "192.0.2.128", "198.51.100.7"]
_BLOCKS = ["192.0.2.0/24", "192.0.2.0/25", "192.0.2.1/32", "192.0.2.99/25"]


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_literals: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(_STRINGS).map(_quote),
    st.integers(-2, 3).map(str),
    st.sampled_from(["0.5", "1.0", "-2.0"]),
    st.sampled_from(["true", "false", "h'6162'", "b'YWI='", "h''"]),
)
_orderable = _literals.filter(lambda text: text not in {"true", "false"})
_sets = st.one_of(
    st.lists(st.sampled_from(_STRINGS).map(_quote), max_size=3),
    st.lists(st.sampled_from(["-1", "2", "3", "0.5"]), max_size=3),
).map(lambda members: f"({', '.join(members)})")
_paths = st.sampled_from(
    [
        "n",
        "s",
        "l[*]",
        "l[0]",
        "d.k",
        "d.'k'",
        "data_hex",
        "x_ref.s",
        "x_refs[*].n",
        "absent",
        "f",
        "raw_bin",
        "l[1]",
    ]
)
_nots = st.sampled_from(["", "NOT "])
_tests = st.one_of(
    st.tuples(_paths, _nots, st.sampled_from(["=", "!=", "==", "<>"]), _literals),
    st.tuples(_paths, _nots, st.sampled_from(["<", "<=", ">", ">="]), _orderable),
    st.tuples(_paths, _nots, st.just("IN"), _sets),
    st.tuples(
        st.sampled_from(["s", "l[*]", "n", "d.k"]),
        _nots,
        st.just("LIKE"),
        st.sampled_from(["a%", "%b%", "_", "", "%", "a_c", "e\u0301", "[a]%"]).map(_quote),
    ),
    st.tuples(
        st.sampled_from(["s", "l[*]", "n", "d.k", "data_hex"]),
        _nots,
        st.just("MATCHES"),
        st.sampled_from(["^a", "b$", "(?i)AB", "[^a]", ".", "^$", "\\\\w+", "\u00e9"]).map(
            lambda text: f"'{text}'"
        ),
    ),
    st.tuples(
        st.sampled_from(["ip", "block"]),
        _nots,
        st.just("ISSUBSET"),
        st.sampled_from(_BLOCKS).map(_quote),
    ),
    st.tuples(
        st.just("block"),
        _nots,
        st.just("ISSUPERSET"),
        st.sampled_from([*_BLOCKS, "192.0.2.1"]).map(_quote),
    ),
    st.tuples(
        st.just("t"),
        _nots,
        st.sampled_from(["=", "!=", "<", ">="]),
        st.sampled_from(_TIMES).map(lambda text: f"t'{text}'"),
    ),
).map(lambda parts: f"{{type}}:{parts[0]} {parts[1]}{parts[2]} {parts[3]}")
_typed = st.tuples(st.sampled_from(["x", "y"]), _tests).map(
    lambda parts: parts[1].replace("{type}", parts[0])
)
_comparisons = st.recursive(
    _typed,
    lambda inner: st.tuples(inner, st.sampled_from([" AND ", " OR "]), inner).map(
        lambda parts: f"({''.join(parts)})"
    ),
    max_leaves=3,
)
_qualifiers = st.one_of(
    st.sampled_from([0.5, 1, 2.5]).map(lambda seconds: f" WITHIN {seconds} SECONDS"),
    st.integers(1, 3).map(lambda times: f" REPEATS {times} TIMES"),
    st.tuples(st.sampled_from(_TIMES), st.sampled_from(_TIMES)).map(
        lambda times: f" START t'{times[0]}' STOP t'{times[1]}'"
    ),
)
_leaves = st.sampled_from(["[x:n = 0]", "[x:n = 1]", "[x:n < 2]", "[x:n >= 0]"])
_patterns = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " OR ", " FOLLOWEDBY "]), inner).map(
            lambda parts: f"({''.join(parts)})"
        ),
        st.tuples(inner, _qualifiers).map("".join),
    ),
    max_leaves=4,
)
_grammar = st.recursive(
    _comparisons.map(lambda comparison: f"[{comparison}]"),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " OR ", " FOLLOWEDBY "]), inner).map(
            lambda parts: f"({''.join(parts)})"
        ),
        st.tuples(inner, _qualifiers).map("".join),
        st.tuples(inner, _qualifiers, _qualifiers).map("".join),
    ),
    max_leaves=3,
)
_objects = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["x", "x", "y"]),
        "n": st.one_of(st.integers(-2, 3), st.just(0.5), st.none()),
        "f": st.booleans(),
        "s": st.sampled_from(_STRINGS),
        "l": st.lists(st.sampled_from([*_STRINGS, 1, True]), max_size=3),
        "d": st.fixed_dictionaries({}, optional={"k": st.sampled_from([*_STRINGS, 2])}),
        "t": st.sampled_from(_TIMES),
        "ip": st.sampled_from(_ADDRESSES),
        "block": st.sampled_from(_BLOCKS),
        "data_hex": st.sampled_from(["6162", "", "ff"]),
        "raw_bin": st.sampled_from(["YWI=", "", "/w=="]),
    },
    optional={
        "x_ref": st.sampled_from(["o0", "o1", "o9"]),
        "x_refs": st.lists(st.sampled_from(["o0", "o1", "o9"]), max_size=2),
    },
)
_moments = st.integers(0, len(_TIMES) - 1)
_observed = st.tuples(st.integers(0, 2), _moments, _moments, st.integers(1, 2))


def _world(
    objects: list[dict[str, Any]], observed: list[tuple[list[int], int, int, int]]
) -> list[dict[str, Any]]:
    """Objects by number, and observations of some of them: (numbers, first, last, count)."""
    inside: list[dict[str, Any]] = [
        {**one, "id": f"o{number}"} for number, one in enumerate(objects)
    ]
    inside += [
        {
            "type": "observed-data",
            "id": f"observed-data--{number}",
            "number_observed": count,
            "first_observed": _TIMES[min(first, last)],
            "last_observed": _TIMES[max(first, last)],
            "object_refs": [f"o{one}" for one in references],
        }
        for number, (references, first, last, count) in enumerate(observed)
    ]
    return [{"type": "bundle", "id": "bundle--1", "objects": inside}]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(_comparisons, st.lists(_objects, min_size=1, max_size=3))
def test_random_comparisons_are_judged_as_by_the_matcher(
    comparison: str, objects: list[dict[str, Any]]
) -> None:
    world = _world(objects, [(list(range(len(objects))), 0, 0, 1)])
    assert evaluate(f"[{comparison}]", world) is _theirs(f"[{comparison}]", world)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(_patterns, st.lists(_observed, min_size=1, max_size=4))
def test_random_observation_expressions_are_judged_as_by_the_matcher(
    pattern: str, observed: list[tuple[int, int, int, int]]
) -> None:
    world = _world(
        [{"type": "x", "n": number} for number in range(3)],
        [([number], first, last, count) for number, first, last, count in observed],
    )
    assert evaluate(pattern, world) is _theirs(pattern, world)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    _grammar,
    st.lists(_objects, min_size=2, max_size=3),
    st.lists(
        st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=2), _moments, _moments),
        min_size=1,
        max_size=4,
    ),
)
def test_random_patterns_of_the_whole_grammar_are_judged_as_by_the_matcher(
    pattern: str,
    objects: list[dict[str, Any]],
    observed: list[tuple[list[int], int, int]],
) -> None:
    world = _world(objects, [(*one, 1) for one in observed])
    assert evaluate(pattern, world) is _theirs(pattern, world)
