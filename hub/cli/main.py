"""The command line's front door: names, one-line helps, and how errors reach the operator."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Final

import click

from hub.cli.exits import exit_code
from hub.cli.lazy import LazyGroup
from hub.client.hardening import quiet_tracebacks
from hub.errors import StillwatchError, StoreError

# Imported on use, so that `stillwatch --help` and shell completion stay fast.
_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "agent": ("hub.cli.agent:command", "Hold what opens your keys, so that you type it once."),
    "backup": ("hub.cli.backup:command", "Write, check and restore a back-up of keys and state."),
    "campaign": ("hub.cli.campaign:command", "List and show campaigns from what your keys open."),
    "channel": (
        "hub.cli.channel:command",
        "Create a channel, invite, approve, list, remove, renew.",
    ),
    "cluster": (
        "hub.cli.cluster:command",
        "Find accounts that one operator runs, by what they share.",
    ),
    "completion": ("hub.cli.completion:command", "Print the completion script for your shell."),
    "custodian": ("hub.cli.custodian:command", "Run a custodian of oblivious tokens."),
    "demo": ("hub.cli.demo:command", "Run the whole job on this machine with the sample data."),
    "doctor": (
        "hub.cli.doctor:command",
        "Tell what other people's clients would meet at a TAXII server.",
    ),
    "hub": ("hub.cli.hub:command", "Run and administer a hub."),
    "hunt": ("hub.cli.hunt:command", "Look for new indicators in the exchanges of last month."),
    "indicators": ("hub.cli.indicators:command", "List the indicators that you hold."),
    "init": ("hub.cli.init:command", "Make this organisation's keys and local state."),
    "join": ("hub.cli.join:command", "Accept an invitation to a channel."),
    "match": ("hub.cli.match:command", "Match traffic logs against indicators."),
    "passphrase": ("hub.cli.passphrase:command", "Change what opens your keys."),
    "publish": ("hub.cli.publish:command", "Turn detections into indicators and publish them."),
    "pull": ("hub.cli.pull:command", "Fetch, verify and open what is new in your channels."),
    "report": ("hub.cli.report:command", "Report sightings and false positives back."),
    "retract": ("hub.cli.retract:command", "Withdraw an indicator that you published."),
    "root": ("hub.cli.root:command", "Keep the root key on another machine than the home."),
    "status": ("hub.cli.status:command", "Show last pull, lag and what expires soon."),
    "witness": ("hub.cli.witness:command", "Run a witness that cosigns the logs of hubs."),
    "warm": ("hub.cli.warm:command", "Compile ahead what the first match would wait for."),
}


@click.group(
    cls=LazyGroup, table=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="stillwatch", prog_name="stillwatch")
def cli() -> None:
    """Share indicators of distillation attacks over confidential channels, and match them.

    The local state of an organisation lies in the folder named by --home on each command,
    else by STILLWATCH_HOME, else in ~/.stillwatch.
    """


def main() -> None:
    """Run the command line; every deliberate error becomes one message and an exit code."""
    try:
        _run()
    except SystemExit as end:
        if "hub.serving" in sys.modules and isinstance(end.code, int):
            _leave(end.code)
        raise


def _leave(code: int) -> None:
    """End without the interpreter's finalisation.

    The server's threads outlive the server, and one that asks for the interpreter while it is being
    taken down aborts the process. Everything that matters has been closed by now.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def _run() -> None:
    quiet_tracebacks()
    try:
        cli.main(prog_name="stillwatch")
    except StillwatchError as error:
        click.echo(f"stillwatch: {error}", err=True)
        if error.hint:
            click.echo(f"  try: {error.hint}", err=True)
        sys.exit(exit_code(error))
    except OSError as error:
        # No command lets the error of a file of its own through: the output could not be written.
        _discard_output()
        reason = error.strerror or "cannot be written"
        click.echo(f"stillwatch: {error.filename or 'standard output'}: {reason}", err=True)
        sys.exit(exit_code(StoreError(reason)))


def _discard_output() -> None:
    """Keep the interpreter from writing once more, at its end, what could not be written."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    main()
