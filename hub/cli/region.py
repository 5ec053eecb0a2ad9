"""`--phone-region` of every command that reads telephone numbers."""

from __future__ import annotations

from typing import Final

import click
import phonenumbers

from hub.errors import InputError


def _checked(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    region = value.strip().upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise InputError(
            f"'{value}' is not a region", where="--phone-region", hint="two letters, such as DE"
        )
    return region


region_option: Final = click.option(
    "--phone-region",
    "--region",
    "region",
    metavar="XX",
    callback=_checked,
    help="Country (ISO 3166) of phone numbers without a country code.",
)
