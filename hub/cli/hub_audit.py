"""`stillwatch hub audit`: the log of who did what, exported and verified offline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO, Final

import click

from hub.cli.groups import ToldGroup
from hub.cli.hub_data import data_option, json_option, opened, refuse_existing, show
from hub.cli.progress import progress
from hub.errors import StoreError

_PAGE: Final = 1000


@click.group(cls=ToldGroup)
def audit() -> None:
    """Export the audit log, and verify an export."""


@audit.command()
@data_option
@click.option("--after", type=click.IntRange(0), default=0, help="Rows with a greater number only.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl"]),
    default="jsonl",
    show_default=True,
    help="A line for each row.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A new file; default: standard output.",
)
@json_option
def export(data: Path, after: int, form: str, out: Path | None, as_json: bool) -> None:
    """Write the audit log, after a line that names the hash from which it goes on.

    The last line's hash is the chain's head: keep it apart from the file, and whoever alters,
    leaves out or puts in a row is found out by `hub audit verify`. With --json the head is printed
    as JSON (with --out only).
    """
    from hub.store.audit_export import head_line, row_line

    del form
    refuse_existing(out)
    count, head = 0, b""
    with opened(data) as store, _target(out) as file:
        before = store.audit_rows(after=after - 1, limit=1) if after else []
        file.write(head_line(after, before[0].hash if before else None))
        last = after
        while rows := store.audit_rows(after=last, limit=_PAGE):
            file.writelines(map(row_line, rows))
            count, last, head = count + len(rows), rows[-1].seq, rows[-1].hash
    if out is not None:
        document = {"rows": count, "last": last, "head": head.hex() or None}
        text = f"{out}: {count} rows, head {head.hex() or 'none'}"
        show(document, [text], as_json=as_json)


def _target(out: Path | None) -> BinaryIO:
    if out is None:
        return open(sys.stdout.fileno(), "wb", closefd=False)
    try:
        return open(out, "xb", opener=_private)
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=str(out)) from error


def _private(path: str, flags: int) -> int:
    import os

    return os.open(path, flags, 0o600)


@audit.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--head", metavar="HASH", help="What the last row's hash must be, in hex.")
@json_option
def verify(file: Path, head: str | None, as_json: bool) -> None:
    """Recompute the chain of an exported FILE; needs neither the hub nor its data."""
    from hub.store.audit_export import verify_export

    with progress("Verifying"), file.open("rb") as lines:
        found = verify_export(lines, where=file.name, head=head)
    show(
        {"first": found.first, "rows": found.rows, "last": found.last, "head": found.head},
        [f"{found.rows} rows verify ({found.first} to {found.last}); head {found.head}"],
        as_json=as_json,
    )
