"""The hub's limits as options with units, and as environment variables."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import click

from hub.cli.variables import VariableOption
from hub.settings import GIB, KIB, MIB, HubLimits

VARIABLES: Final = "STILLWATCH_HUB_"
"""Before an option's name in capitals: --max-body is STILLWATCH_HUB_MAX_BODY."""

_SIZES: Final[Mapping[str, float]] = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}
_TIMES: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_WHOLE: Final = {one.name for one in fields(HubLimits) if one.type == "int"}
_QUANTITY: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class Quantity:
    """Numbers with a unit, such as 8MiB or 30s.

    Args:
        name: what it measures, for the help text.
        units: unit -> how many bytes or seconds it is, ascending.
        least: smallest value allowed, in bytes or seconds.
        most: largest.
    """

    name: str
    units: Mapping[str, float]
    least: float
    most: float

    def read(self, text: str) -> float:
        """Bytes or seconds. Raises click.BadParameter."""
        found = _QUANTITY.fullmatch(text.strip())
        if found is None or found[2] not in self.units:
            raise click.BadParameter(
                f"{text!r} is no {self.name} with a unit ({', '.join(self.units)})."
            )
        value = float(found[1]) * self.units[found[2]]
        if not self.least <= value <= self.most:
            raise click.BadParameter(
                f"{text!r} is not between {self.text(self.least)} and {self.text(self.most)}."
            )
        return value

    def text(self, value: float) -> str:
        """A value with the largest unit that leaves it whole."""
        for unit, factor in reversed(tuple(self.units.items())):
            if value >= factor and value / factor == int(value / factor):
                return f"{int(value / factor)}{unit}"
        smallest, factor = next(iter(self.units.items()))
        return f"{value / factor:g}{smallest}"


def _size(least: int, most: int) -> Quantity:
    return Quantity("size", _SIZES, least, most)


def _time(least: float, most: float) -> Quantity:
    return Quantity("time", _TIMES, least, most)


@dataclass(frozen=True, slots=True)
class _Limit:
    """One option: its name, the field of `HubLimits` that it sets, and in what unit that is."""

    option: str
    field: str
    kind: Quantity | click.IntRange | click.FloatRange
    help: str
    per_unit: float = 1

    @property
    def parameter(self) -> str:
        return self.option.replace("-", "_")

    def option_of(self, default: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """The click option."""
        kind = self.kind
        shown: dict[str, Any]
        if isinstance(kind, Quantity):
            shown = {
                "type": str,
                "metavar": kind.name.upper(),
                "default": kind.text(default / self.per_unit),
                "callback": lambda _context, _option, text: kind.read(text),
            }
        else:
            shown = {"type": kind, "default": default}
        return click.option(
            f"--{self.option}",
            cls=VariableOption,
            show_default=True,
            envvar=VARIABLES + self.parameter.upper(),
            help=self.help,
            **shown,
        )

    def native(self, value: float) -> Any:
        """An option's value in the unit and type of its field."""
        scaled = value * self.per_unit
        return round(scaled) if self.field in _WHOLE else float(scaled)


_COUNT: Final = click.IntRange(1, 10_000_000)
_RATE: Final = click.FloatRange(0, 1_000_000)
_LIMITS: Final = (
    _Limit("max-body", "content_length", _size(KIB, GIB), "Longest request body, unpacked."),
    _Limit("max-depth", "json_depth", click.IntRange(8, 256), "Deepest nesting of a body's JSON."),
    _Limit("max-values", "json_values", _COUNT, "Most JSON values in a body."),
    _Limit("max-envelope", "envelope_objects", _COUNT, "Most objects in one post."),
    _Limit("page-limit", "page_objects", click.IntRange(1, 100_000), "Most objects in a page."),
    _Limit(
        "page-default",
        "default_page_objects",
        click.IntRange(1, 100_000),
        "Objects in a page when the client names no limit.",
    ),
    _Limit("body-timeout", "body_seconds", _time(0.1, 3600), "A body must be here by then."),
    _Limit(
        "header-timeout",
        "header_milliseconds",
        _time(0.1, 3600),
        "Headers must be here by then.",
        per_unit=1000,
    ),
    _Limit("max-headers", "header_bytes", _size(8 * KIB, MIB), "Longest request line and headers."),
    _Limit("max-connections", "connections", _COUNT, "Open connections at one time."),
    _Limit("backlog", "backlog", click.IntRange(128, 65_535), "Connections that may wait."),
    _Limit("queue-objects", "queue_objects", _COUNT, "Objects that may wait to be stored."),
    _Limit("queue-size", "queue_bytes", _size(MIB, 64 * GIB), "Bytes that may wait likewise."),
    _Limit("batch-objects", "batch_objects", _COUNT, "Most objects in one transaction."),
    _Limit("retry-after", "retry_after_seconds", _time(1, 3600), "What a full queue asks for."),
    _Limit("login-failures", "auth_failures", _COUNT, "Failed log-ins of one address in a window."),
    _Limit("login-window", "auth_window_seconds", _time(1, 86_400), "That window."),
    _Limit("account-rate", "account_rate", _RATE, "Requests a second of one account; 0: any."),
    _Limit("account-burst", "account_burst", _COUNT, "Requests of one account at once."),
    _Limit("address-rate", "address_rate", _RATE, "Requests a second of one address; 0: any."),
    _Limit("address-burst", "address_burst", _COUNT, "Requests of one address at once."),
    _Limit("streams", "streams", _COUNT, "Open streams of events."),
    _Limit("account-streams", "account_streams", _COUNT, "The same of one account."),
    _Limit("stream-lifetime", "stream_seconds", _time(1, 86_400), "A stream ends by then."),
    _Limit("segment-cache", "segment_bytes", _size(MIB, 64 * GIB), "Memory for ready pages."),
    _Limit("snapshot-cache", "snapshot_bytes", _size(MIB, 1024 * GIB), "Disk for snapshots."),
    _Limit(
        "store-connections",
        "store_threads",
        click.IntRange(2, 1_000),
        "Connections to a database server, in each process.",
    ),
    _Limit("store-waiting", "store_waiting", _COUNT, "Calls that may wait for one of them."),
    _Limit("store-timeout", "store_seconds", _time(0.1, 3600), "The database answers by then."),
    _Limit("status-lifetime", "status_seconds", _time(60, 366 * 86_400), "Statuses are kept."),
    _Limit("drain-time", "drain_seconds", _time(0, 3600), "Served on after SIGTERM, not ready."),
    _Limit("shutdown-timeout", "shutdown_seconds", _time(1, 3600), "Requests may end by then."),
)


def limit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each limit; it is called with `limits: HubLimits`."""

    @functools.wraps(command)
    def limited(*arguments: Any, **options: Any) -> None:
        given = {limit.field: limit.native(options.pop(limit.parameter)) for limit in _LIMITS}
        # A page without a limit is no larger than one with.
        given["default_page_objects"] = min(given["default_page_objects"], given["page_objects"])
        command(*arguments, limits=HubLimits(**given), **options)

    decorated: Callable[..., None] = limited
    for limit in reversed(_LIMITS):
        decorated = limit.option_of(getattr(HubLimits(), limit.field))(decorated)
    return decorated
