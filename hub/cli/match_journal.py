"""Logs that a killed `stillwatch match` had finished, so that the next one need not begin anew.

The folder holds, for each finished log, its matches and what was counted in it. An entry counts
only for the same file (size, time of change, first bytes), the same indicators and the same
options; what is damaged or differs is left out, and the log is matched again. Nothing here is
trusted further than that: it is the owner's own folder, readable by nobody else, and it is
emptied when the pass ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from hub.cli.match_inputs import LogFile
from hub.cli.match_work import Outcome
from hub.errors import InputError, StoreError
from hub.match.engine import IndicatorIndex
from hub.match.schema import MATCH_SCHEMA

_FORMAT: Final = "stillwatch-match-journal/1"
_OURS: Final = re.compile(r"[0-9a-f]{32}\.(json|parquet|part)")
_HEAD_BYTES: Final = 1 << 16
_ENTRY_BYTES: Final = 16 << 20


@dataclass(frozen=True)
class Done:
    """One finished log.

    Attributes:
        outcome: its totals and all its matches.
        counts: what its reader counted.
    """

    outcome: Outcome
    counts: dict[str, Any]


def terms_of(index: IndicatorIndex, accounts: Path | None, options: tuple[Any, ...]) -> bytes:
    """What the answer depends on, beside the log: indicators, customer table, options."""
    hashed = hashlib.sha256(index.to_bytes())
    if accounts is not None:
        hashed.update(_digest(accounts).encode())
    hashed.update(repr(options).encode())
    return hashed.digest()


class Journal:
    """The finished logs of one pass.

    Args:
        folder: made if it is not there.
        terms: whatever else the answer depends on: indicators, options, the customer table.
    Raises:
        InputError: it is no folder, or holds what is not a journal's.
        StoreError: it cannot be made.
    """

    def __init__(self, folder: Path, terms: bytes) -> None:
        self._folder = folder
        self._terms = hashlib.sha256(terms).hexdigest()
        with _disk(folder):
            if folder.exists() and not folder.is_dir():
                raise InputError("not a folder", where=f"--resume {folder}")
            folder.mkdir(mode=0o700, exist_ok=True)
            foreign = [path for path in folder.iterdir() if not _OURS.fullmatch(path.name)]
        if foreign:
            raise InputError(
                "holds other files than a journal's",
                where=f"--resume {folder}",
                hint="name a new folder",
            )

    def finished(self, log: LogFile) -> Done | None:
        """What a log gave when it was finished, None if it was not, or is another now."""
        entry, table = self._paths(log)
        try:
            data = entry.read_bytes()[:_ENTRY_BYTES]
            kept = json.loads(data)
            if kept["format"] != _FORMAT or kept["log"] != self._identity(log):
                return None
            matches = pq.ParquetFile(table)
            if kept["matches"] != _digest(table):
                return None
            outcome = Outcome(
                rows=int(kept["rows"]),
                outside=int(kept["outside"]),
                joined=int(kept["joined"]),
                seen={str(name): int(count) for name, count in kept["seen"].items()},
                first=_moment(kept["first"]),
                last=_moment(kept["last"]),
                matches=[
                    matches.read_row_group(number).cast(MATCH_SCHEMA)
                    for number in range(matches.num_row_groups)
                ],
                read=log.path.stat().st_size,
            )
            return Done(outcome, dict(kept["counts"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
            return None

    def finish(self, log: LogFile, done: Done) -> None:
        """Note a log as finished.

        Raises:
            StoreError: the disk fails or is full.
        """
        entry, table = self._paths(log)
        outcome = done.outcome
        with _disk(self._folder):
            part = table.with_suffix(".part")
            with os.fdopen(_made(part), "wb") as file:
                with pq.ParquetWriter(file, MATCH_SCHEMA, compression="zstd") as writer:
                    # A row group for each batch: the report takes them one by one.
                    for matches in outcome.matches:
                        writer.write_table(matches.cast(MATCH_SCHEMA), matches.num_rows)
                file.flush()
                os.fsync(file.fileno())
            part.replace(table)
            kept = {
                "format": _FORMAT,
                "log": self._identity(log),
                "matches": _digest(table),
                "rows": outcome.rows,
                "outside": outcome.outside,
                "joined": outcome.joined,
                "seen": outcome.seen,
                "first": outcome.first.isoformat() if outcome.first else None,
                "last": outcome.last.isoformat() if outcome.last else None,
                "counts": done.counts,
            }
            part = entry.with_suffix(".part")
            with os.fdopen(_made(part), "w") as text:
                json.dump(kept, text)
                text.flush()
                os.fsync(text.fileno())
            part.replace(entry)

    def clear(self) -> None:
        """Forget everything: the pass has ended."""
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if _OURS.fullmatch(path.name):
                    path.unlink()
            self._folder.rmdir()

    def _paths(self, log: LogFile) -> tuple[Path, Path]:
        name = hashlib.sha256(os.fsencode(log.path.resolve())).hexdigest()[:32]
        return self._folder / f"{name}.json", self._folder / f"{name}.parquet"

    def _identity(self, log: LogFile) -> dict[str, Any]:
        found = log.path.stat()
        with log.path.open("rb") as file:
            head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
        return {
            "source": log.source,
            "size": found.st_size,
            "changed": found.st_mtime_ns,
            "head": head,
            "terms": self._terms,
        }


def _made(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot keep the journal: {error.strerror or 'I/O error'}", where=str(folder)
        ) from error
