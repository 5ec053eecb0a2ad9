"""Oblivious tokens of customers: what custodians are asked, and what the operator is told."""

from __future__ import annotations

import dataclasses
from functools import partial

import click

from hub.cli.match_words import plain
from hub.cli.oblivious_words import asked_text
from hub.cli.options import count_of, desk_of
from hub.cli.progress import progress
from hub.client.home import Home
from hub.client.tagging import Asked, Tagging
from hub.model.buckets import Buckets
from hub.model.codec import Json


@dataclasses.dataclass(frozen=True)
class Asking:
    """Whether custodians may be asked.

    Attributes:
        offline: only what is kept counts.
        dry_run: as well, and the command ends when it has told what it would ask.
    """

    offline: bool = False
    dry_run: bool = False


def tagging_of(home: Home | None, buckets: Buckets, asking: Asking) -> Tagging | None:
    """The seam of the customer table; None where no indicator is oblivious, or there is no home."""
    if home is None or not buckets:
        return None
    return Tagging(
        desk_of(home),
        buckets,
        ask=not (asking.offline or asking.dry_run),
        progress=partial(progress, "Asking custodians"),
    )


def tell(asked: Asked, asking: Asking) -> None:
    """Say on standard error what became of the identifiers."""
    if asking.dry_run:
        click.echo(f"stillwatch: {asked_text(asked.left, asked.quota)}", err=True)
        return
    click.echo(f"stillwatch: oblivious tokens: {line(asked)}", err=True)
    for reason in dict.fromkeys(asked.reasons):
        click.echo(f"  left: {plain(reason)}", err=True)


def line(asked: Asked) -> str:
    """The counts in one line."""
    return (
        f"{count_of(asked.identifiers, 'identifier')}, {asked.in_buckets:,} in buckets, "
        f"{asked.asked:,} asked, {asked.cached:,} cached, {asked.left:,} left"
    )


def dry_run_document(tagging: Tagging | None) -> Json:
    """What `--dry-run --json` prints."""
    asked = Asked() if tagging is None else tagging.asked
    return {"dry_run": True, "oblivious": asked.to_json()}
