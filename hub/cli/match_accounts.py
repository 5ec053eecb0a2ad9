"""The customer table that matching, clustering and hunting join to the traffic, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from hub.cli.mapping import accounts_mapping
from hub.cli.match_tagging import Asking, tell
from hub.cli.match_words import plain
from hub.cli.region import region_option
from hub.client.tagging import Tagging
from hub.errors import InputError
from hub.fingerprint.tokens import FingerprintKey
from hub.traffic.accounts import AccountTable

F = TypeVar("F", bound=Callable[..., Any])


def accounts_options(command: F) -> F:
    """`--accounts`, `--accounts-map`, `--phone-region`, `--offline`, `--dry-run`."""
    table = click.option(
        "--accounts",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Customer table (CSV, JSON lines, Parquet), joined by account_id or api_key_id in "
        "memory.",
    )
    mapping = click.option(
        "--accounts-map",
        multiple=True,
        metavar="OURS=THEIRS,...",
        help="Column names of the customer table, such as account_id=id,email=mail.",
    )
    offline = click.option(
        "--offline",
        is_flag=True,
        help="Ask no custodian: of oblivious tokens only those that are kept are matched.",
    )
    dry_run = click.option(
        "--dry-run",
        is_flag=True,
        help="Read the customer table, say what custodians would be asked, and stop.",
    )
    return table(mapping(region_option(offline(dry_run(command)))))


def read_accounts(
    path: Path | None,
    maps: Sequence[str],
    region: str | None,
    keys: Sequence[FingerprintKey],
    *,
    tagging: Tagging | None = None,
    asking: Asking | None = None,
) -> AccountTable | None:
    """Read the customer table, if one is named, and tell what of it cannot be used.

    Args:
        tagging: asks custodians for the tokens of oblivious indicators.
        asking: what it may do.
    Raises:
        InputError: it cannot be read, or there is a mapping and no table.
    """
    asking = asking or Asking()
    if path is None:
        if asking.dry_run:
            raise InputError("there is no customer table to ask about", where="--dry-run")
        if maps:
            raise InputError("there is no customer table to map", where="--accounts-map")
        return None
    table = AccountTable.read(
        path, accounts_mapping(maps) or None, keys=keys, region=region, tagging=tagging
    )
    if tagging is not None:
        tell(tagging.asked, asking)
    if not keys:
        click.echo(
            "stillwatch: there are no fingerprint keys here, so customers cannot be compared by "
            "e-mail, phone, payment or device; name the home that joined the channel with --home",
            err=True,
        )
    problems = table.problems
    if problems:
        count = f"{table.problem_count:,} value"
        count += " of the customer table is" if table.problem_count == 1 else "s of it are"
        click.echo(f"stillwatch: {plain(path.name)}: {count} unused", err=True)
        for problem in problems[:5]:
            click.echo(f"  {plain(problem.where)}: {problem.field}: {problem.reason}", err=True)
        if region is None and any(problem.field == "phone" for problem in problems):
            click.echo("  try: --phone-region XX for numbers without a country code", err=True)
    return table
