"""Compiled indicators are kept in the home, and never trusted further than their objects."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from hub.cli.match_inputs import compile_or_load
from hub.client.plan import ObjectsDigest, PlanFile
from hub.match.engine import IndicatorIndex
from hub.model.codec import Json
from tests.unit.cli.test_match import _objects

_BUILT: list[int] = []


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    _BUILT.clear()
    real = IndicatorIndex.build

    def build(objects: Iterable[Json]) -> IndicatorIndex:
        _BUILT.append(1)
        return real(objects)

    monkeypatch.setattr(IndicatorIndex, "build", build)


def _loaded(folder: Path, objects: list[Json]) -> int:
    """How many indicators there are, and that names come with them."""
    found = compile_or_load(lambda: objects, [], PlanFile(folder))
    assert "HYDRA-TEST" in found.names.values()
    assert found.revoked == 1
    return len(found.index)


def _file(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_the_second_match_compiles_nothing(tmp_path: Path) -> None:
    objects = _objects()
    assert _loaded(tmp_path, objects) == _loaded(tmp_path, objects) == 2
    assert len(_BUILT) == 1
    assert _file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_other_objects_are_compiled_anew(tmp_path: Path) -> None:
    objects = _objects()
    _loaded(tmp_path, objects)
    objects[2] = objects[2] | {"confidence": 10}
    assert _loaded(tmp_path, objects) == 2
    assert len(_BUILT) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "writable", "folder"])
def test_what_cannot_be_trusted_is_compiled_anew(tmp_path: Path, damage: str) -> None:
    objects = _objects()
    _loaded(tmp_path, objects)
    kept = _file(tmp_path)
    data = kept.read_bytes()
    if damage == "cut":
        kept.write_bytes(data[:-9])
    elif damage == "flipped":
        kept.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    elif damage == "empty":
        kept.write_bytes(b"")
    elif damage == "writable":
        kept.chmod(0o666)
    else:
        kept.unlink()
        kept.mkdir()
    assert _loaded(tmp_path, objects) == 2
    assert len(_BUILT) == 2


def test_the_digest_tells_where_objects_end() -> None:
    one, two = ObjectsDigest(), ObjectsDigest()
    one.add({"a": 1})
    one.add({"b": 1})
    two.add({"a": 1, "b": 1})
    assert one.value() != two.value()
