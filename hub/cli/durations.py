"""Durations as people write them: `8h`, `30m`, `2d`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import click

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def duration(most: int) -> Callable[[click.Context, click.Parameter, str], int]:
    """A click callback that turns a number and a unit into seconds.

    Args:
        most: the longest in seconds.
    """

    def convert(ctx: click.Context, param: click.Parameter, value: str) -> int:
        found = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", value)
        seconds = int(found[1]) * _UNITS[found[2]] if found else 0
        if not 1 <= seconds <= most:
            raise click.BadParameter(f"such as 30m or 8h, at most {most // 86_400}d")
        return seconds

    return convert


def in_words(seconds: int) -> str:
    """Such as `7 h 59 min`."""
    hours, minutes = divmod(seconds // 60, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"
