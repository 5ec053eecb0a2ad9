"""A group whose list of commands tells each one's first sentence to its end."""

from __future__ import annotations

import click

_LONGEST = 240
"""Characters of a first sentence; click alone cuts at the width of a line."""


class ToldGroup(click.Group):
    """A click group that wraps the lines of its commands where click cuts them short."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, command.get_short_help_str(_LONGEST)))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
