"""`stillwatch custodian audit`: who asked when for how much."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from hub.cli.custodian_data import data_option, opened
from hub.cli.hub_data import json_option, moment, show
from hub.custody import audit
from hub.errors import InputError, VerificationError


@click.command("audit")
@click.option("--last", type=click.IntRange(1), default=50, show_default=True, help="Newest rows.")
@click.option("--verify", is_flag=True, help="Check the whole chain of hashes instead.")
@click.option("--follows", metavar="N:HASH", help="With --verify: a head noted before, as printed.")
@data_option
@json_option
def audit_command(last: int, verify: bool, follows: str | None, data: Path, as_json: bool) -> None:
    """Show or check the audit of use: counts, members, keys, times; never an element.

    Note the head that --verify prints somewhere else: a later --verify --follows shows that nothing
    was taken off the end since.
    """
    if follows is not None and not verify:
        raise InputError("goes with --verify", where="--follows")
    with opened(data) as folder:
        if verify:
            count, head = audit.verify(folder)
            if follows is not None:
                number, _, noted = follows.partition(":")
                if (
                    not (number.isdecimal() and len(number) < 16)
                    or audit.head_at(folder, int(number)) != noted
                ):
                    raise VerificationError(
                        "the audit does not follow the head that was noted", where=follows[:80]
                    )
            lines = [f"{count} rows, unbroken. Head: {count}:{head}"]
            show({"rows": count, "head": f"{count}:{head}"}, lines, as_json=as_json)
            return
        rows = list(audit.entries(folder, last=last))
    show({"rows": [asdict(row) for row in rows]}, [_line(row) for row in rows], as_json=as_json)


def _line(row: audit.Entry) -> str:
    parts = [moment(row.at), row.event, f"{row.channel[:16]}…"]
    parts += [text for text in (row.member, row.key) if text]
    if row.count is not None:
        parts.append(f"{row.count:,} elements")
    if row.left is not None:
        parts.append(f"{row.left:,} left")
    if row.note:
        parts.append(row.note)
    return "  ".join(parts)
