"""`stillwatch completion`: the completion script for a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL.

    For example: stillwatch completion bash > ~/.local/share/bash-completion/completions/stillwatch
    """
    from hub.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "stillwatch", "_STILLWATCH_COMPLETE").source())
