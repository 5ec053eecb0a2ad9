"""The options of a direct release: to whom, on what ground, until when."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import click

from hub.cli.options import count_of, utc
from hub.client.direct import Terms
from hub.client.direct_view import DirectView
from hub.client.home import Home
from hub.client.recipients import resolve, terms
from hub.client.rows import ChannelRow
from hub.errors import InputError
from hub.model.markings import TLP

F = TypeVar("F", bound=Callable[..., Any])
_DATE: Final = len("2027-01-31")


@dataclasses.dataclass(frozen=True)
class Asked:
    """What was said of a direct release.

    Attributes:
        to: names or ids of members; empty: it is published for all who read.
        valid_until: UTC seconds.
    """

    to: tuple[str, ...] = ()
    basis: str | None = None
    valid_until: int | None = None

    def terms(self, home: Home, channel: ChannelRow, *, now: int) -> Terms | None:
        """The terms in a channel; None when it is published for all who read.

        Raises:
            InputError: nobody or somebody unknown is named, or no basis is given.
        """
        if not self.to:
            return None
        for each in self.to:
            resolve(home, channel, each)
        if self.basis is None:
            raise InputError(
                "who is given something directly must know on what ground",
                where="--to",
                hint='--basis "the legal basis, in words"',
            )
        return terms(home, channel, self.to, self.basis, self.valid_until, now=now)


def direct_options(function: F) -> F:
    """Add `--to`, `--basis` and `--valid-until`."""
    for option in (
        click.option(
            "--valid-until",
            default=None,
            metavar="DATE",
            help="With --to: after when they stop using it; a date counts to its end.",
        ),
        click.option(
            "--basis", default=None, help="With --to: the legal basis, recorded inside the message."
        ),
        click.option(
            "--to",
            "to",
            multiple=True,
            metavar="MEMBER",
            help="Only these members can open it, a liaison too; by name or id.",
        ),
    ):
        function = option(function)
    return function


def asked(to: tuple[str, ...], basis: str | None, valid_until: str | None) -> Asked:
    """Check the options against each other.

    Raises:
        InputError: a basis or a time without a member, or the time is none.
    """
    if not to and (basis is not None or valid_until is not None):
        raise InputError("names nobody who is released to", where="--basis", hint="--to MEMBER")
    return Asked(to, basis, None if valid_until is None else _moment(valid_until))


def check_red(tlp: TLP, wanted: Asked) -> None:
    """TLP:RED is for named members, also where the channel's ceiling would admit it for all.

    Raises:
        InputError: nobody is named.
    """
    if tlp is TLP.RED and not wanted.to:
        raise InputError(
            "TLP:RED is for named members: not for all who read, and never an aggregate",
            where="--tlp",
            hint="--to MEMBER --basis TEXT releases it to named members",
        )


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError("not an ISO 8601 time", where="--valid-until") from None
    if len(text.strip()) == _DATE:
        moment += timedelta(days=1)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    if not 2000 <= moment.year <= 2200:
        raise InputError("not a plausible time", where="--valid-until")
    return int(moment.timestamp())


def release_text(each: DirectView) -> str:
    """One release in words, with its legal basis and validity."""
    who = f"released to {', '.join(each.to)}" if each.own else f"direct from {each.by}"
    until = "until withdrawn" if each.valid_until is None else f"until {utc(each.valid_until)}"
    if each.ended:
        until = f"ended {utc(each.valid_until)}, used no more"
    return f"{who}: {count_of(each.objects, 'object')}, {until}; basis: {each.basis}"
