"""The log formats that can be read, and how a file's own bytes say which one it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hub.traffic.reader import LogReader


def format_names() -> tuple[str, ...]:
    """The names that `open_log` takes as `format`, beside `auto`."""
    raise NotImplementedError


def open_log(
    path: Path, *, format: str = "auto", mapping: Mapping[str, str] | None = None
) -> LogReader:
    """Open one log file for streaming.

    Args:
        path: a file, plain, gzip or zstd; told by content, not by name.
        format: a name of `format_names()`, or `auto`.
        mapping: TRAFFIC column (or its generic alias, such as `timestamp`) to the source's own
            field name; generic formats only.
    Raises:
        InputError: unreadable or empty file, unknown or ambiguous format (the candidates are
            named), a mapping that does not fit.
    """
    raise NotImplementedError
