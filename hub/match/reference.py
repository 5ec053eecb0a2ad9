"""The slow, obvious matcher: the standard's semantics over bundles of observed-data.

It is the oracle of the engine and shares no index with it. Several bundles are one collection of
observations, and references are resolved among the objects of the same observation.

Source: STIX 2.1, section 9 (patterning) and section 4.14 (observed-data).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hub.errors import InputError
from hub.match.binding import Binder, Interval
from hub.match.compare import Test, test_of
from hub.match.pattern import parse, parse_time
from hub.match.syntax import (
    AllOf,
    AnyOf,
    Comparison,
    EachOf,
    Expression,
    FollowedBy,
    ObjectPath,
    Observation,
    OneOf,
    Operator,
    Pattern,
    Step,
)

NOT_OBSERVABLE: Final = frozenset(
    {"attack-pattern", "bundle", "campaign", "course-of-action", "extension-definition"}
    | {"grouping", "identity", "incident", "indicator", "infrastructure", "intrusion-set"}
    | {"language-content", "location", "malware", "malware-analysis", "marking-definition"}
    | {"note", "observed-data", "opinion", "relationship", "report", "sighting"}
    | {"threat-actor", "tool", "vulnerability"}
)
"""Types that are not cyber observables: a pattern that starts at one matches nothing."""


def evaluate(pattern: str, bundles: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the observations in `bundles` satisfy the STIX pattern.

    Args:
        pattern: a STIX 2.1 pattern.
        bundles: parsed STIX 2.1 bundles that hold observed-data and the objects they refer to.

    Raises:
        PatternError: the text is not a STIX 2.1 pattern.
        InputError: a bundle lacks what the standard asks of observed-data, or holds a value that
            is not of the type which its name or the pattern promises.
    """
    parsed = parse(pattern)
    tests = {id(test): test_of(test) for test in _comparisons(parsed)}
    observations = _observations(bundles)

    def select(expression: Expression) -> frozenset[int]:
        return frozenset(
            index
            for index, (_, objects) in enumerate(observations)
            if _satisfied(expression, objects, tests)
        )

    return Binder([interval for interval, _ in observations], select).holds(parsed)


def _comparisons(pattern: Pattern | Expression) -> Iterable[Comparison]:
    match pattern:
        case Comparison():
            yield pattern
        case AllOf(operands) | AnyOf(operands) | EachOf(operands) | OneOf(operands):
            for operand in operands:
                yield from _comparisons(operand)
        case FollowedBy(left, right):
            yield from _comparisons(left)
            yield from _comparisons(right)
        case Observation(expression):
            yield from _comparisons(expression)
        case _:
            yield from _comparisons(pattern.inner)


def _observations(
    bundles: Sequence[Mapping[str, Any]],
) -> list[tuple[Interval, dict[str, Any]]]:
    objects: list[Mapping[str, Any]] = []
    for bundle in bundles:
        inside: Any = dict(bundle).get("objects")
        if not isinstance(inside, list) or not all(isinstance(one, Mapping) for one in inside):
            raise InputError("a bundle needs a list of objects", where="objects")
        objects += inside
    by_id = {
        str(one["id"]): one
        for one in objects
        if one.get("type") != "observed-data" and isinstance(one.get("id"), str)
    }
    return [_observation(one, by_id) for one in objects if one.get("type") == "observed-data"]


def _observation(
    observed: Mapping[str, Any], by_id: Mapping[str, Any]
) -> tuple[Interval, dict[str, Any]]:
    where = str(observed.get("id", "observed-data"))
    references, count = observed.get("object_refs"), observed.get("number_observed")
    if not isinstance(references, list):
        raise InputError("observed-data needs object_refs", where=where)
    if type(count) is not int or count < 1:
        raise InputError("observed-data needs a number_observed of at least 1", where=where)
    first, last = (
        parse_time(str(observed.get(name, ""))) for name in ("first_observed", "last_observed")
    )
    if first is None or last is None or last < first:
        raise InputError("observed-data needs first_observed <= last_observed", where=where)
    objects = {one: by_id[one] for one in references if isinstance(one, str) and one in by_id}
    return Interval(first, last, count), objects


def _satisfied(
    expression: Expression, objects: Mapping[str, Any], tests: Mapping[int, Test]
) -> set[str]:
    """The ids of the objects from which the expression holds: AND needs one and the same."""
    match expression:
        case AllOf(operands):
            found = [_satisfied(operand, objects, tests) for operand in operands]
            return set.intersection(*found)
        case AnyOf(operands):
            return set().union(*(_satisfied(one, objects, tests) for one in operands))
        case Comparison(path, operator, negated):
            test = tests[id(expression)]
            absent_passes = operator is Operator.EXISTS and negated
            return {
                key
                for key, root in objects.items()
                if root.get("type") == path.object_type
                and path.object_type not in NOT_OBSERVABLE
                and _passes(values_at(root, path, objects), test, absent_passes=absent_passes)
            }


def _passes(values: list[Any], test: Test, *, absent_passes: bool) -> bool:
    return any(test(value) for value in values) or (absent_passes and not values)


def values_at(root: Mapping[str, Any], path: ObjectPath, objects: Mapping[str, Any]) -> list[Any]:
    """All values that the path selects from one object; references are followed on the way.

    Raises:
        InputError: a reference is not a string, or a `_hex` or `_bin` property not of that form.
    """
    values: list[Any] = [root]
    for step in path.steps:
        values = [after for before in values for after in _step(before, step, objects)]
    return values


def _step(value: Any, step: Step, objects: Mapping[str, Any]) -> list[Any]:
    if isinstance(step, str):
        if not isinstance(value, Mapping) or step not in value:
            return []
        return _property(step, value[step], objects)
    if not isinstance(value, list):
        return []
    if step is None:
        return value
    return [value[step]] if 0 <= step < len(value) else []


def _property(name: str, value: Any, objects: Mapping[str, Any]) -> list[Any]:
    if name.endswith("_ref"):
        return _resolved(name, [value], objects)
    if name.endswith("_refs"):
        if not isinstance(value, list):
            raise InputError("a list of references is not a list", where=name)
        found = _resolved(name, value, objects)
        return [found] if found else []
    try:
        if name.endswith("_hex"):
            return [bytes.fromhex(value)]
        if name.endswith("_bin"):
            return [base64.b64decode(value, validate=True)]
    except (TypeError, ValueError, binascii.Error) as error:
        raise InputError(
            "a binary property is not of the form its name says", where=name
        ) from error
    return [value]


def _resolved(name: str, references: list[Any], objects: Mapping[str, Any]) -> list[Any]:
    if not all(isinstance(reference, str) for reference in references):
        raise InputError("a reference is not a string", where=name)
    return [objects[reference] for reference in references if reference in objects]
