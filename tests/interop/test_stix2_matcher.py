"""The reference matcher beside the OASIS matcher, on that matcher's own tests and on ours."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import stix2matcher.matcher
import stix2matcher.test.v21
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
    if stix_version != "2.1":  # one of its tests of STIX 2.1 speaks 2.0
        pattern, bundles = re.sub(r"(START|STOP) '", r"\1 t'", pattern), [_as_21(bundles)]
    try:
        ours = evaluate(pattern, bundles)
    except InputError as error:
        with pytest.raises((MatcherException, ParseException)):
            stix2matcher.matcher.match(pattern, bundles, stix_version="2.1")
        raise _Refused(str(error)) from error
    theirs = stix2matcher.matcher.match(pattern, bundles, stix_version="2.1")
    assert ours is bool(theirs)
    return theirs


def _as_21(observed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """STIX 2.0 observed-data without references, as a bundle of STIX 2.1."""
    objects: list[dict[str, Any]] = []
    for number, old in enumerate(observed):
        inner = [{**one, "id": f"{number}-{key}"} for key, one in old["objects"].items()]
        objects += [
            {**old, "id": f"observed-data--{number}", "object_refs": [one["id"] for one in inner]},
            *inner,
        ]
    return {"type": "bundle", "objects": objects}


def _cases() -> Iterator[tuple[str, Callable[..., None], Mapping[str, Any]]]:
    """Each parametrised test of the published package that judges a pattern."""
    package = stix2matcher.test.v21
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


CASES = list(_cases())


def test_every_pair_of_the_published_matcher_is_judged_as_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = []
    for name, function, arguments in CASES:
        monkeypatch.setitem(function.__globals__, "match", _match)
        try:
            function(**arguments)
        except (AssertionError, pytest.fail.Exception):
            failed.append(name)
    assert len(CASES) > 400
    assert failed == []
