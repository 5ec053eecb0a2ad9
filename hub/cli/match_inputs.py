"""What `stillwatch match` reads: log files by path, folder or glob, and indicators."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hub.client.plan import ObjectsDigest, PlanFile
from hub.errors import InputError
from hub.fingerprint.tokens import FingerprintKey
from hub.match.engine import IndicatorIndex
from hub.model import codec, identifiers
from hub.model.buckets import Buckets
from hub.model.codec import Json
from hub.traffic import times

_BUNDLE_BYTES: Final = 512 << 20
_GLOB: Final = frozenset("*?[")


@dataclass(frozen=True)
class LogFile:
    """One file to match.

    Args:
        path: where it lies.
        source: its name in matches: the base name, or the path where base names repeat.
        named: whether the operator named it, rather than its folder.
    """

    path: Path
    source: str
    named: bool


def expand(texts: Sequence[str], *, without: Mapping[str, Path | None]) -> list[LogFile]:
    """Files, folders (all their files, hidden ones left out) and globs to files, each once.

    Args:
        without: option to its file, which is no log: where a folder or a glob finds it, it is left
            out.
    Raises:
        InputError: a path or a glob that finds no file, or a named file that is an option's too.
    """
    found: dict[Path, tuple[Path, bool]] = {}
    for text in texts:
        path = Path(text)
        if path.is_dir():
            files = sorted(f for f in path.rglob("*") if f.is_file() and not _hidden(f, path))
            named = False
        elif not path.exists() and _GLOB & set(text):
            files = _globbed(path)
            named = False
        else:
            files, named = [path], True
        if not files:
            raise InputError("no log files here", where=text)
        for file in files:
            found.setdefault(file.resolve(), (file, named))
    for option, other in without.items():
        dropped = found.pop(other.resolve(), None) if other is not None else None
        if dropped is not None and dropped[1]:
            raise InputError("this is the log itself", where=f"{option} {dropped[0]}")
    if not found:
        raise InputError("no log files here", where=" ".join(texts))
    names = [file.name for file, _ in found.values()]
    return [
        LogFile(file, str(file) if names.count(file.name) > 1 else file.name, named)
        for file, named in found.values()
    ]


def _globbed(pattern: Path) -> list[Path]:
    base = Path(pattern.anchor)
    try:
        found = sorted(base.glob(str(pattern.relative_to(base))))
    except ValueError as error:
        raise InputError("not a glob", where=str(pattern)) from error
    return [file for file in found if file.is_file()]


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


@dataclass
class Indicators:
    """The compiled indicators, and what a report wants to say about them.

    Attributes:
        names: campaign, identity and indicator ids to names.
        windows: validity of each indicator in use, UTC microseconds, open ends as extremes.
        revoked: how many indicators were left out because they were revoked.
        keys: live fingerprint keys, for the customer table.
        buckets: those of oblivious indicators, for the customer table.
    """

    index: IndicatorIndex
    names: dict[str, str] = field(default_factory=dict)
    windows: list[tuple[int, int]] = field(default_factory=list)
    revoked: int = 0
    keys: list[FingerprintKey] = field(default_factory=list)
    buckets: Buckets = field(default_factory=lambda: Buckets(datetime.now(UTC)))


_FOREVER: Final = 2**62


class _Noted:
    """Names and validity of indicators, noted as the objects pass."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._windows: list[tuple[int, int]] = []
        self._revoked = 0
        self._buckets = Buckets(datetime.now(UTC))

    def passing(self, objects: Iterable[Json]) -> Iterator[Json]:
        """The same objects."""
        for item in objects:
            kind = item.get("type")
            if kind in ("campaign", "identity", "threat-actor"):
                self._names[str(item.get("id"))] = str(item.get("name", ""))
            elif kind == "indicator":
                if item.get("revoked") is True:
                    self._revoked += 1
                else:
                    window = (_when(item, "valid_from", 0), _when(item, "valid_until", 1))
                    self._windows.append(window)
                    self._buckets.add(item)
                    # Most are called after their kind: one text for all of a kind.
                    self._names[str(item.get("id"))] = sys.intern(str(item.get("name", "")))
            yield item

    def told(self, index: IndicatorIndex, keys: Sequence[FingerprintKey]) -> Indicators:
        """What was noted, with the index of the same objects."""
        if not self._windows:
            revoked = f" ({self._revoked} were revoked)" if self._revoked else ""
            raise InputError(
                f"there are no indicators to match{revoked}",
                hint="stillwatch pull, or --indicators BUNDLE; a liaison gets none, see "
                "stillwatch campaign list",
            )
        return Indicators(
            index, self._names, self._windows, self._revoked, list(keys), self._buckets
        )


def compile_indicators(objects: Iterable[Json], keys: Sequence[FingerprintKey]) -> Indicators:
    """Build the index, noting names and validity as the objects pass.

    Raises:
        InputError: there is no indicator among them.
    """
    noted = _Noted()
    return noted.told(IndicatorIndex.build(noted.passing(objects)), keys)


def compile_or_load(
    objects: Callable[[], Iterable[Json]], keys: Sequence[FingerprintKey], plan: PlanFile
) -> Indicators:
    """As `compile_indicators`, but take what was compiled of the same objects before.

    Args:
        objects: gives the objects anew at each call, in the same order.
        plan: where compiled indicators are kept; what is damaged or of others is compiled anew.
    Raises:
        InputError: there is no indicator among them.
    """
    noted, digest = _Noted(), ObjectsDigest()
    for item in noted.passing(objects()):
        digest.add(item)
    data = plan.read(digest.value())
    index = None
    if data is not None:
        with contextlib.suppress(InputError):
            index = IndicatorIndex.from_bytes(data)
    if index is None:
        index = IndicatorIndex.build(objects())
        plan.write(digest.value(), index.to_bytes())
    return noted.told(index, keys)


def _when(item: Json, name: str, end: int) -> int:
    value = item.get(name)
    try:
        if isinstance(value, str):
            moment = identifiers.parse_timestamp(value)
            return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    except InputError:
        pass
    return _FOREVER if end else 0


def bundle_objects(paths: Iterable[Path]) -> Iterator[Json]:
    """The objects of STIX bundle files.

    Raises:
        InputError: unreadable, no strict JSON, or neither a bundle nor a STIX object.
    """
    for path in paths:
        try:
            with path.open("rb") as file:
                data = file.read(_BUNDLE_BYTES + 1)
        except OSError as error:
            raise InputError(f"cannot read: {error.strerror}", where=str(path)) from error
        if len(data) > _BUNDLE_BYTES:
            raise InputError(f"larger than {_BUNDLE_BYTES >> 20} MiB", where=str(path))
        document = codec.loads(data, where=str(path), max_bytes=_BUNDLE_BYTES)
        if not isinstance(document.get("type"), str):
            raise InputError("neither a STIX bundle nor a STIX object", where=str(path))
        objects = document.get("objects") if document["type"] == "bundle" else [document]
        if not isinstance(objects, list):
            raise InputError("a bundle without a list of objects", where=str(path))
        for number, item in enumerate(objects):
            if not isinstance(item, dict) or not isinstance(item.get("type"), str):
                raise InputError("not a STIX object", where=f"{path}: objects[{number}]")
            yield item


def parse_moment(text: str | None, option: str) -> datetime | None:
    """A date or a time of `--since` and `--until`, UTC where it names no zone.

    Raises:
        InputError: it is neither.
    """
    if text is None:
        return None
    micros, _ = times.from_text(text)
    if micros is None or not 0 <= micros < times.LAST:
        raise InputError(
            "not a date or a time", where=option, hint="2026-11-20 or 2026-11-20T03:00Z"
        )
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)
