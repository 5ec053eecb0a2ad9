"""Limits from the command line and the environment: units, ranges, defaults."""

from __future__ import annotations

from dataclasses import fields

import click
import pytest
from click.testing import CliRunner

from hub.cli.hub_limits import limit_options
from hub.settings import KIB, MIB, HubLimits


def parsed(*arguments: str, env: dict[str, str] | None = None) -> tuple[HubLimits | None, str]:
    """What a command with these options gets, and what it says."""
    got: list[HubLimits] = []

    @click.command()
    @limit_options
    def command(limits: HubLimits) -> None:
        got.append(limits)

    done = CliRunner().invoke(command, list(arguments), env=env)
    assert done.exit_code in (0, 2), done.output
    return (got[0] if got else None), done.output


def test_the_defaults_are_those_of_the_settings() -> None:
    assert parsed()[0] == HubLimits()


def test_every_limit_has_an_option_with_its_default() -> None:
    said = parsed("--help")[1]
    assert said.count("[default: ") + said.count("[default:\n") == len(fields(HubLimits))
    for shown in ("8MiB", "64KiB", "7d", "30s", "1m"):
        assert shown in said


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (("--max-body", "16MiB"), "content_length", 16 * MIB),
        (("--max-body", "1.5 MiB"), "content_length", 1536 * KIB),
        (("--max-headers", "8192B"), "header_bytes", 8 * KIB),
        (("--header-timeout", "500ms"), "header_milliseconds", 500),
        (("--body-timeout", "2m"), "body_seconds", 120.0),
        (("--status-lifetime", "12h"), "status_seconds", 12 * 3600),
        (("--page-limit", "5000"), "page_objects", 5000),
    ],
)
def test_units(arguments: tuple[str, ...], field: str, value: float) -> None:
    limits, said = parsed(*arguments)
    assert limits is not None, said
    assert getattr(limits, field) == value
    assert type(getattr(limits, field)) is type(getattr(HubLimits(), field))


def test_the_environment_counts_and_the_command_line_wins() -> None:
    env = {"STILLWATCH_HUB_MAX_BODY": "1MiB", "STILLWATCH_HUB_PAGE_LIMIT": "7"}
    limits, _ = parsed("--max-body", "2MiB", env=env)
    assert limits is not None
    assert (limits.content_length, limits.page_objects) == (2 * MIB, 7)
    assert limits.default_page_objects == 7


@pytest.mark.parametrize(
    "text", ["8", "8mib", "8MB", "MiB", "-1MiB", "1e3MiB", "nan MiB", "0B", "2000GiB", ""]
)
def test_sizes_that_are_none(text: str) -> None:
    limits, said = parsed("--max-body", text)
    assert limits is None
    assert "--max-body" in said


def test_times_have_bounds() -> None:
    limits, said = parsed("--body-timeout", "2d")
    assert limits is None
    assert "between 100ms and 1h" in said
