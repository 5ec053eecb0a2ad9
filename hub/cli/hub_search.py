"""`stillwatch hub search`: look for known plaintext in what the hub keeps."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from hub.cli.hub_data import data_option, json_option, show
from hub.errors import InputError
from hub.model import codec
from hub.plaintext import occurrences, search_folder, search_process

_MIN_CHARACTERS: Final = 8
# Columns whose values are no secret and stand in many places.
_PUBLIC_FIELDS: Final = frozenset({"kind", "confidence", "first_seen", "last_seen", "valid_until"})


@click.command()
@data_option
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--log", type=click.Path(path_type=Path, exists=True), help="Also in this log file.")
@click.option("--process", type=click.IntRange(1), help="Also in the memory of this process.")
@json_option
def search(
    data: Path, files: tuple[Path, ...], log: Path | None, process: int | None, as_json: bool
) -> None:
    """Look in the hub's files for the values of FILES: its operator should find none.

    FILES are CSV (every cell), JSON lines (every string), or text (every line). Values shorter
    than 8 characters are left out. Looks under base64, zlib, gzip and zstd too, and into every cell
    of a database. Exit code 1 when something is found.
    """
    needles = sorted({value.encode() for file in files for value in _values(file)})
    if not needles:
        raise InputError("no value of 8 characters or more to look for", where=str(files[0]))
    hits = search_folder(data, needles)
    if log is not None:
        hits |= _named(str(log), occurrences(log.read_bytes(), needles))
    if process is not None:
        hits |= _named(f"process {process}", search_process(process, needles))
    found = set[bytes]().union(*hits.values())
    places = {place: len(values) for place, values in hits.items()}
    lines = [f"{len(found)} of {len(needles)} values found."]
    lines += [f"  {place}: {count}" for place, count in places.items()]
    document = {"values": len(needles), "found": len(found), "places": places}
    show(document, lines, as_json=as_json)
    if found:
        sys.exit(1)


def _named(place: str, found: set[bytes]) -> dict[str, set[bytes]]:
    return {place: found} if found else {}


def _values(file: Path) -> Iterator[str]:
    suffix = file.suffix.lower()
    for value in _READERS.get(suffix, _lines)(file):
        if len(value.strip()) >= _MIN_CHARACTERS:
            yield value.strip()


def _cells(file: Path) -> Iterator[str]:
    with file.open(newline="", encoding="utf-8") as source:
        for row in csv.DictReader(source):
            for key, value in row.items():
                # A row with cells too many has a list under no name; those count as well.
                if key not in _PUBLIC_FIELDS:
                    yield from value if isinstance(value, list) else [value or ""]


def _strings(file: Path) -> Iterator[str]:
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        yield from _within(codec.loads(line, where=f"{file}:{number}"))


def _within(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            if key not in _PUBLIC_FIELDS:
                yield from _within(each)
    elif isinstance(value, list):
        for each in value:
            yield from _within(each)


def _lines(file: Path) -> Iterator[str]:
    yield from file.read_text(encoding="utf-8").splitlines()


_READERS: Final = {".csv": _cells, ".jsonl": _strings}
