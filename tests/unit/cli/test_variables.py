"""Errors that name the environment variable or the command that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from hub.cli.hub import command
from hub.cli.hub_serve import serve
from hub.cli.main import cli
from hub.cli.variables import misspelt


@pytest.mark.parametrize(
    ("variable", "value", "option"),
    [
        ("STILLWATCH_HUB_MAX_BODY", "9x", "--max-body"),
        ("STILLWATCH_HUB_MAX_DEPTH", "7000", "--max-depth"),
        ("STILLWATCH_HUB_LOG_LEVEL", "loud", "--log-level"),
    ],
)
def test_a_wrong_value_is_said_to_come_from_its_variable(
    tmp_path: Path, variable: str, value: str, option: str
) -> None:
    words = ["serve", "--data", str(tmp_path)]
    found = CliRunner().invoke(command, words, env={variable: value})
    assert found.exit_code == 2
    assert f"'{option}' (from {variable})" in found.output
    typed = CliRunner().invoke(command, [*words, option, value])
    assert variable not in typed.output


def test_what_is_missing_is_named_with_its_variable() -> None:
    found = CliRunner().invoke(command, ["init"], env={"STILLWATCH_HUB_DATA": None})
    assert "Missing option '--data' (or STILLWATCH_HUB_DATA)" in found.output


def test_variables_that_are_nearly_ours_are_found() -> None:
    environment = {
        "STILLWATCH_HUB_MAX_BODY": "8MiB",
        "STILLWATCH_HUB_MAXBODY": "8MiB",
        "STILLWATCH_HUB_PORT_8427_TCP": "tcp://192.0.2.1:8427",
        "HOME": "/",
    }
    assert misspelt(serve.params, environment, "STILLWATCH_HUB_") == {
        "STILLWATCH_HUB_MAXBODY": "STILLWATCH_HUB_MAX_BODY"
    }


@pytest.mark.parametrize(("typed", "meant"), [(["huub"], "hub"), (["hub", "srve"], "serve")])
def test_a_mistyped_command_is_recognised(typed: list[str], meant: str) -> None:
    found = CliRunner().invoke(cli, typed)
    assert found.exit_code == 2
    assert meant in found.output.partition("Did you mean")[2]
    assert "Did you mean" not in CliRunner().invoke(cli, ["xyzzy"]).output


def test_a_groups_help_ends_its_sentences() -> None:
    told = CliRunner().invoke(command, ["collection", "--help"]).output.partition("Commands:")[2]
    assert "..." not in told
    assert "government" in told
