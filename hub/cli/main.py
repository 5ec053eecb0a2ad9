"""The command line's front door: names, one-line helps, and how errors reach the operator."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

from hub.cli.exits import exit_code
from hub.errors import StillwatchError

# Subcommand -> module under hub.cli that defines `command`. Imported on use, so that
# `stillwatch --help` and shell completion stay fast.
_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "campaign": ("hub.cli.campaign", "List and show campaigns from what your keys open."),
    "channel": ("hub.cli.channel", "Create a channel, invite, approve, list, remove, renew."),
    "completion": ("hub.cli.completion", "Print the completion script for your shell."),
    "demo": ("hub.cli.demo", "Run the whole job on this machine with the sample data."),
    "hub": ("hub.cli.hub", "Run and administer a hub."),
    "init": ("hub.cli.init", "Make this organisation's keys and local state."),
    "join": ("hub.cli.join", "Accept an invitation to a channel."),
    "match": ("hub.cli.match", "Match traffic logs against indicators."),
    "publish": ("hub.cli.publish", "Turn detections into indicators and publish them."),
    "pull": ("hub.cli.pull", "Fetch, verify and open what is new in your channels."),
    "report": ("hub.cli.report", "Report sightings and false positives back."),
    "retract": ("hub.cli.retract", "Withdraw an indicator that you published."),
    "status": ("hub.cli.status", "Show last pull, lag and what expires soon."),
}


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = importlib.import_module(entry[0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(_COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="stillwatch", prog_name="stillwatch")
def cli() -> None:
    """Share indicators of distillation attacks over confidential channels, and match them.

    The local state of an organisation lies in the folder named by --home on each command,
    else by STILLWATCH_HOME, else in ~/.stillwatch.
    """


def main() -> None:
    """Run the command line; every deliberate error becomes one message and an exit code."""
    try:
        cli.main(standalone_mode=True)
    except StillwatchError as error:
        click.echo(f"stillwatch: {error}", err=True)
        if error.hint:
            click.echo(f"  try: {error.hint}", err=True)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
