"""Options that an environment variable can give: their errors say where a value came from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

import click
from click.core import ParameterSource


class VariableOption(click.Option):
    """An option whose errors name its environment variable, when the value came from there."""

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """The option as an error names it; of a missing one also the variable."""
        hint = super().get_error_hint(ctx)
        if ctx is None or not isinstance(self.envvar, str):
            return hint
        source = ctx.get_parameter_source(self.name or "")
        if source is ParameterSource.ENVIRONMENT:
            return f"{hint} (from {self.envvar})"
        if self.required and source is not ParameterSource.COMMANDLINE:
            return f"{hint} (or {self.envvar})"
        return hint


def misspelt(
    parameters: Iterable[click.Parameter], environment: Mapping[str, str], start: str
) -> dict[str, str]:
    """Variables that nothing reads and whose names are nearly those of options.

    Others are left alone: container platforms make variables of their own.

    Args:
        parameters: of the command that runs.
        environment: variable -> value.
        start: how the names of our variables begin.
    Returns:
        What is set -> what was probably meant.
    """
    known = {one.envvar for one in parameters if isinstance(one.envvar, str)}
    found: dict[str, str] = {}
    for name in sorted(environment):
        if name.startswith(start) and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
            if near:
                found[name] = near[0]
    return found


def warn_of_misspelt(environment: Mapping[str, str], start: str) -> None:
    """Say on standard error which variables the running command does not read."""
    command = click.get_current_context().command
    for name, meant in misspelt(command.params, environment, start).items():
        click.echo(f"stillwatch: warning: {name}: nothing reads it; is {meant} meant?", err=True)
