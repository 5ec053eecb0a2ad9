"""Options of the commands that go over logs: match, cluster and hunt."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from hub.traffic.account_rows import COLUMNS as TABLE_COLUMNS
from hub.traffic.formats import AUTO, format_names, format_titles
from hub.traffic.generic import SHOWN as LOG_COLUMNS

F = TypeVar("F", bound=Callable[..., Any])

LOG_EPILOG: Final = (
    "Formats: "
    + "; ".join(f"{name} ({title})" for name, title in format_titles())
    + f".\n\nColumns of generic CSV, JSON lines and Parquet: {', '.join(LOG_COLUMNS)}. Others by "
    "--map account_id=user,...; a field inside nested JSON as a.b. With --map prompt=input a "
    "column of chats as JSON, as Langfuse and Helicone export them, gives the user's texts."
)
"""What stands below the help of a command that reads logs."""
TABLE_EPILOG: Final = (
    f"\n\nColumns of the customer table: {', '.join(TABLE_COLUMNS)}. One of the two ids will do. "
    "Others by --accounts-map email=mail,..."
)
"""What follows it where a customer table is joined."""


def log_options(command: F) -> F:
    """`FILE...`, `--format` and `--map`: which logs are read, and how."""
    files = click.argument("files", nargs=-1, required=True, metavar="FILE...")
    log_format = click.option(
        "--format",
        "log_format",
        type=click.Choice([AUTO, *format_names()]),
        default=AUTO,
        show_default=True,
        metavar="NAME",
        help="Format of all files, of those below; auto tells each file's by its first lines.",
    )
    maps = click.option(
        "--map",
        "maps",
        multiple=True,
        metavar="OURS=THEIRS,...",
        help="Field names of generic CSV, JSON lines and Parquet, such as timestamp=ts,model=m.",
    )
    return files(log_format(maps(command)))


def window_options(command: F) -> F:
    """`--since` and `--until`."""
    since = click.option(
        "--since", metavar="TIME", help="Leave out earlier exchanges; UTC unless it says."
    )
    until = click.option(
        "--until", metavar="TIME", help="Leave out exchanges at this time and later."
    )
    return since(until(command))


def bundles_option(purpose: str) -> Callable[[F], F]:
    """`--indicators`; `purpose` says what the bundle is for."""
    return click.option(
        "--indicators",
        "bundles",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="BUNDLE",
        help=f"STIX bundle {purpose}; the home is then read only if you name it as well.",
    )


def out_option(rows: str, contents: str) -> Callable[[F], F]:
    """`--out`; `rows` names what is written, `contents` says it in a sentence."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar=f"{rows}.parquet|.jsonl",
        help=contents,
    )


def examples_option(what: str) -> Callable[[F], F]:
    """`--limit-examples`; `what` says of what the report names so many."""
    return click.option(
        "--limit-examples",
        type=click.IntRange(0, 10_000),
        default=5,
        show_default=True,
        help=f"How many {what}.",
    )


def jobs_option(what: str) -> Callable[[F], F]:
    """`--jobs`; `what` says what is done so many at a time."""
    return click.option(
        "--jobs",
        type=click.IntRange(1, 256),
        default=cores,
        show_default="cores",
        help=f"{what} at once; the answer does not depend on it.",
    )


def cores() -> int:
    """How many cores this process may use."""
    # Only Linux tells which of the machine's cores a process is held to.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
