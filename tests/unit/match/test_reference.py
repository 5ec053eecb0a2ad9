"""The semantics that are easy to get wrong, one by one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hub.errors import InputError, PatternError
from hub.match import evaluate

START = "2026-01-01T00:00:00Z"


def observed(
    *objects: dict[str, Any],
    first: str = START,
    last: str | None = None,
    count: int = 1,
    key: str = "1",
) -> dict[str, Any]:
    """A bundle of one observation of some objects."""
    named = [{"id": f"x--{key}-{number}", "type": "x", **one} for number, one in enumerate(objects)]
    observation = {
        "type": "observed-data",
        "id": f"observed-data--{key}",
        "number_observed": count,
        "first_observed": first,
        "last_observed": last or first,
        "object_refs": [one["id"] for one in named],
    }
    return {"type": "bundle", "id": f"bundle--{key}", "objects": [observation, *named]}


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("[x:v = 5.0]", 5, True),
        ("[x:v = 1]", True, False),
        ("[x:v != 1]", True, True),
        ("[x:v = '1']", 1, False),
        ("[x:v NOT = '1']", 1, True),
        ("[x:v < 'b']", "a", True),
        ("[x:v < 'b']", 1, False),
        ("[x:v NOT < 'b']", 1, False),
        ("[x:v = h'ff']", "\u00ff", True),
        ("[x:v = h'ff']", "\u0100", False),
        ("[x:v NOT < h'ff']", "\u0100", True),
        ("[x:v IN ()]", 1, False),
        ("[x:v NOT IN ()]", 1, True),
        ("[x:v = '\u00e9']", "e\u0301", False),
        ("[x:v LIKE '\u00e9']", "e\u0301", True),
        ("[x:v MATCHES '^\u00e9$']", "e\u0301", True),
        ("[x:v LIKE 'a.c']", "abc", False),
        ("[x:v LIKE 'a%c%']", "a\nb\nc", True),
        ("[x:v LIKE '%bc%bc']", "abc", False),
        ("[x:v LIKE '']", "", True),
        ("[x:v LIKE '50\\\\%']", "50\\ and more", True),
        ("[x:v MATCHES 'b']", "abc", True),
        ("[x:v MATCHES '^b']", "abc", False),
        ("[x:v NOT MATCHES 'b']", None, True),
        ("[x:v ISSUBSET '192.0.2.0/24']", "192.0.2.0/24", True),
        ("[x:v ISSUBSET '192.0.2.128/25']", "192.0.2.0/24", False),
        ("[x:v ISSUPERSET '192.0.2.128/25']", "192.0.2.0/24", True),
        ("[x:v ISSUPERSET '192.0.2.0/24']", "192.0.2.0/24", True),
        ("[x:v ISSUBSET '192.0.2.0/24']", "::ffff:192.0.2.9", True),
        ("[x:v ISSUBSET '::ffff:192.0.2.0/120']", "192.0.2.9", True),
        ("[x:v ISSUBSET '::/0']", "192.0.2.9", False),
        ("[x:v = t'2026-01-01T00:00:00.1234561Z']", "2026-01-01T00:00:00.1234569Z", True),
        ("[x:v < t'2026-01-01T00:00:00.000002Z']", "2026-01-01T00:00:00.000001Z", True),
        ("[x:v[*] = 2]", [1, 2], True),
        ("[x:v[*] != 2]", [1, 2], True),
        ("[x:v[*] NOT IN (1, 2)]", [1, 2], False),
        ("[x:v[1] = 2]", [1, 2], True),
        ("[x:v[-1] = 2]", [1, 2], False),
        ("[x:v = 2]", [1, 2], False),
        ("[x:v.'a b' = 1]", {"a b": 1}, True),
        ("[x:v_other != 1]", 1, False),
        ("[EXISTS x:v]", None, True),
        ("[EXISTS x:w]", 1, False),
        ("[NOT EXISTS x:w]", 1, True),
    ],
)
def test_one_value(pattern: str, value: object, expected: bool) -> None:
    assert evaluate(pattern, [observed({"v": value})]) is expected


def test_and_needs_one_object_that_satisfies_both() -> None:
    both = [observed({"a": 1}, {"b": 2})]
    assert not evaluate("[x:a = 1 AND x:b = 2]", both)
    assert evaluate("[x:a = 1 AND x:b = 2]", [observed({"a": 1, "b": 2})])
    assert not evaluate("[x:a = 1] AND [x:b = 2]", both)
    assert evaluate("[x:a = 1 OR x:b = 3]", both)


def test_references_are_followed_within_the_observation_only() -> None:
    near = observed({"y_ref": "x--1-1"}, {"name": "found"})
    far = [observed({"y_ref": "x--2-0"}), observed({"name": "found"}, key="2")]
    assert evaluate("[x:y_ref.name = 'found']", [near])
    assert not evaluate("[x:y_ref.name = 'found']", far)
    lists = observed({"y_refs": ["x--nowhere", "x--1-1"]}, {"name": "found"})
    assert evaluate("[x:y_refs[*].name = 'found']", [lists])


def test_binary_properties_are_bytes() -> None:
    assert evaluate("[x:d_hex = h'00FF']", [observed({"d_hex": "00ff"})])
    assert evaluate("[x:d_bin = h'00ff']", [observed({"d_bin": "AP8="})])
    assert evaluate(r"[x:d_bin MATCHES '^\\x00\\xff$']", [observed({"d_bin": "AP8="})])


def test_an_observation_counts_as_often_as_it_was_made() -> None:
    world = [observed({"v": 1}, count=3), observed({"v": 1}, key="2", count=2)]
    assert evaluate("[x:v = 1] REPEATS 5 TIMES", world)
    assert not evaluate("[x:v = 1] REPEATS 6 TIMES", world)
    assert evaluate("([x:v = 1] AND [x:v = 1]) REPEATS 2 TIMES", world)
    assert not evaluate("([x:v = 1] AND [x:v = 1]) REPEATS 3 TIMES", world)


def test_many_repetitions_are_settled_without_trying_them_all() -> None:
    world = [
        observed({"v": 1}, key=str(n), count=6_000, first=f"2026-01-01T0{n}:00:00Z")
        for n in range(4)
    ]
    begun = time.process_time()
    assert evaluate("[x:v = 1] REPEATS 12000 TIMES WITHIN 3600 SECONDS", world)
    assert not evaluate("[x:v = 1] REPEATS 12001 TIMES WITHIN 3600 SECONDS", world)
    assert time.process_time() - begun < 1


def test_observations_are_given_out_so_that_all_demands_are_met() -> None:
    # The first alternative that comes to mind takes the one observation which the second needs.
    world = [observed({"v": 1, "w": 1}), observed({"v": 1}, key="2")]
    assert evaluate("[x:v = 1] AND [x:w = 1]", world)
    assert evaluate("[x:v = 1] AND [x:w = 1] OR [x:v = 9]", world)
    assert not evaluate("[x:v = 1] AND [x:w = 1] AND [x:v = 1]", world)


def test_times_may_be_chosen_within_their_interval() -> None:
    later = "2026-01-01T00:00:10Z"
    world = [observed({"v": 1}, first=START, last=later), observed({"v": 2}, key="2", first=START)]
    assert evaluate("[x:v = 2] FOLLOWEDBY [x:v = 1]", world)
    assert evaluate("[x:v = 1] FOLLOWEDBY [x:v = 2]", world)
    late = [observed({"v": 1}, first=later), observed({"v": 2}, key="2", first=START)]
    assert not evaluate("[x:v = 1] FOLLOWEDBY [x:v = 2]", late)
    assert evaluate("([x:v = 1] AND [x:v = 2]) WITHIN 10 SECONDS", late)
    assert not evaluate("([x:v = 1] AND [x:v = 2]) WITHIN 9.9 SECONDS", late)


def test_stop_is_excluded() -> None:
    span = "START t'2026-01-01T00:00:00Z' STOP t'2026-01-01T00:00:10Z'"
    assert evaluate(f"[x:v = 1] {span}", [observed({"v": 1}, first=START)])
    end = "2026-01-01T00:00:10Z"
    assert not evaluate(f"[x:v = 1] {span}", [observed({"v": 1}, first=end)])


def test_what_is_too_hard_is_refused_and_not_endless() -> None:
    world = [
        observed({"v": n % 3}, key=str(n), first=f"2026-01-01T00:00:{n:02d}Z") for n in range(24)
    ]
    pattern = "([x:v = 0] FOLLOWEDBY [x:v = 1] FOLLOWEDBY [x:v = 2]) REPEATS 8 TIMES"
    begun = time.process_time()
    with pytest.raises(InputError, match="too many"):
        evaluate(f"({pattern}) FOLLOWEDBY [x:v = 0]", world)
    assert time.process_time() - begun < 120


@pytest.mark.parametrize(
    "bundle",
    [
        {"type": "bundle"},
        {"type": "bundle", "objects": 7},
        {"type": "bundle", "objects": [7]},
        {"type": "bundle", "objects": [{"type": "observed-data"}]},
        observed({"v": 1}, count=0),
        observed({"v": 1}, first="yesterday"),
        observed({"v": 1}, first="2026-01-02T00:00:00Z", last=START),
        observed({"v_hex": "zz"}),
        observed({"v_ref": 7}),
        observed({"v_refs": "x"}),
        observed({"v": "no time"}),
    ],
)
def test_malformed_bundles_are_refused(bundle: dict[str, Any]) -> None:
    pattern = "[x:v = t'2026-01-01T00:00:00Z' OR x:v_hex = 1 OR x:v_ref.a = 1 OR x:v_refs[*].a = 1]"
    with pytest.raises(InputError):
        evaluate(pattern, [bundle])


@pytest.mark.parametrize("pattern", ["[x:v = ", "[x:v MATCHES '(']", "[x:v ISSUBSET 'here']"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        evaluate(pattern, [])


def test_only_observables_are_observed() -> None:
    bundle = observed({"type": "identity", "name": "n"}, {"type": "tool", "name": "n"})
    assert not evaluate("[identity:name = 'n' OR tool:name = 'n']", [bundle])
    assert not evaluate("[observed-data:number_observed = 1]", [bundle])
