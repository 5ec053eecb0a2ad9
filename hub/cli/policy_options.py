"""The fields of a channel's policy as options, for `channel create` and `channel policy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from hub.channel.policy import (
    COMPRESSIONS,
    DAY,
    FINGERPRINT_FORMS,
    HISTORIES,
    MAX_OWNERS,
    TLP_CEILINGS,
    Policy,
)
from hub.client.governance import changed_policy
from hub.errors import InputError
from hub.fingerprint.normalise import TOKEN_KINDS
from hub.model.codec import Json

F = TypeVar("F", bound=Callable[..., Any])

_LEAST_DAYS: Final = 60 / DAY
_MOST_DAYS: Final = 366
_DAYS: Final = ("rotation", "staleness", "heartbeat", "erasure")


class _Days(click.ParamType[float]):
    """A number of days, of which click would show the least as a fraction of 16 digits."""

    name = "days"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            days = float(value)
        except ValueError:
            days = -1.0
        if not _LEAST_DAYS <= days <= _MOST_DAYS:
            self.fail(f"{value!r} is not a number of days, from 1 minute to 366 days", param, ctx)
        return days


def policy_options(command: F) -> F:
    """One option for each field; what is not given is None, or empty."""
    days = _Days()
    options = (
        click.option(
            "--tlp",
            type=click.Choice(TLP_CEILINGS, case_sensitive=False),
            help="The strictest marking that may be published in the channel  [TLP:AMBER].",
        ),
        click.option(
            "--rotate-days",
            "rotation",
            type=days,
            help="Greatest age of an epoch, as every time 1 minute to 366 days  [30].",
        ),
        click.option(
            "--staleness-days",
            "staleness",
            type=days,
            help="How long messages under former keys are taken; owners have half of it to "
            "countersign  [1].",
        ),
        click.option(
            "--heartbeat-days",
            "heartbeat",
            type=days,
            help="How often a silent publisher signs that it said nothing  [1].",
        ),
        click.option("--compression", type=click.Choice(COMPRESSIONS), help="Of bodies  [zstd]."),
        click.option(
            "--history",
            type=click.Choice(HISTORIES),
            help="What joiners can open of the past  [none].",
        ),
        click.option(
            "--erasure-days",
            "erasure",
            type=click.STRING,
            help="After how long members erase an epoch's secrets, or `never`  [never].",
        ),
        click.option(
            "--approvals",
            type=click.IntRange(1, MAX_OWNERS),
            help="How many owners must sign for a joiner  [1].",
        ),
        click.option(
            "--fingerprint",
            "fingerprints",
            multiple=True,
            metavar="KIND=FORM",
            help="Form of the tokens of a kind: keyed, oblivious or none; repeat it  [keyed].",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def given_fields(**options: Any) -> Json:
    """The fields that were given, as the policy has them.

    Raises:
        InputError: a value that cannot be.
    """
    fields: Json = {}
    for name, value in options.items():
        if value is None or value == ():
            continue
        if name == "fingerprints":
            fields[name] = dict(_form(each) for each in value)
        elif name in _DAYS:
            fields[name] = _seconds(name, value)
        else:
            fields[name] = value
    return fields


def field_text(name: str, value: object) -> str:
    """A field for people: durations in days, as the options take them."""
    if value is None:
        return "never"
    if name == "fingerprints":
        forms = value if isinstance(value, dict) else {}
        named = [f"{kind}={form}" for kind, form in sorted(forms.items())]
        return ", ".join([*named, "all others keyed"]) if named else "keyed"
    if name in _DAYS and isinstance(value, int):
        days = value / DAY
        return f"{days:.6g} day{'' if days == 1 else 's'}"
    return str(value)


def policy_of(**options: Any) -> Policy:
    """The default policy with what was given.

    Raises:
        InputError: a value that cannot be.
    """
    return changed_policy(Policy(), given_fields(**options))


def _seconds(name: str, value: object) -> int | None:
    if value == "never":
        return None
    try:
        return round(float(str(value)) * DAY)
    except (ValueError, OverflowError):
        raise InputError("a number of days, or `never`", where=f"--{name}-days") from None


def _form(text: str) -> tuple[str, str]:
    kind, equals, form = text.partition("=")
    if not kind or not equals or form not in FINGERPRINT_FORMS:
        raise InputError(
            f"KIND=FORM is wanted, FORM one of {', '.join(FINGERPRINT_FORMS)}",
            where="--fingerprint",
        )
    if kind not in TOKEN_KINDS:
        raise InputError(
            f"{kind[:40]!r} is no kind of identifier that has tokens",
            where="--fingerprint",
            hint=f"one of {', '.join(TOKEN_KINDS)}",
        )
    return kind, form
