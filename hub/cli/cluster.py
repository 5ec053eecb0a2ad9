"""`stillwatch cluster`: accounts that one operator runs, offline, in bounded memory."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import click
from click.core import ParameterSource

from hub.cli.cluster_inputs import read_seeds
from hub.cli.cluster_report import FINDING_SCHEMA, ClusterReport
from hub.cli.cluster_run import Reading
from hub.cli.cluster_view import show
from hub.cli.mapping import log_mapping
from hub.cli.match_accounts import accounts_options, read_accounts
from hub.cli.match_inputs import expand, parse_moment
from hub.cli.match_output import check_output, match_sink
from hub.cli.match_progress import byte_progress
from hub.cli.match_run import open_logs
from hub.cli.match_tagging import Asking, dry_run_document, tagging_of
from hub.cli.match_words import plain
from hub.cli.match_work import Window
from hub.cli.options import home_options, json_option, load_home, print_json
from hub.cli.pass_options import (
    LOG_EPILOG,
    TABLE_EPILOG,
    bundles_option,
    examples_option,
    jobs_option,
    log_options,
    out_option,
    window_options,
)
from hub.client.home import Home
from hub.errors import InputError
from hub.match.cluster import ClusterDetector

_FOUND = 1


@click.command("cluster", epilog=LOG_EPILOG + TABLE_EPILOG)
@log_options
@accounts_options
@bundles_option("whose hits seed clusters")
@out_option("findings", "Write every account of every cluster, one row each.")
@click.option("--show-values", is_flag=True, help="Show shared addresses in clear, not masked.")
@window_options
@examples_option("accounts and indicators the report names for each cluster")
@jobs_option("Blocks of a log that are read")
@click.option("--fail-on-match", is_flag=True, help="Exit with 1 if there is a cluster.")
@json_option
@home_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    files: tuple[str, ...],
    log_format: str,
    maps: tuple[str, ...],
    accounts: Path | None,
    accounts_map: tuple[str, ...],
    region: str | None,
    offline: bool,
    dry_run: bool,
    bundles: tuple[Path, ...],
    out: Path | None,
    show_values: bool,
    since: str | None,
    until: str | None,
    limit_examples: int,
    jobs: int,
    fail_on_match: bool,
    as_json: bool,
    home: Path,
    passphrase_file: Path | None,
) -> None:
    """Find accounts that one operator runs, by what they share and how they behave.

    FILE is a log, a folder of logs or a glob; plain, gzip or zstd. Each log's
    format, of those below, is told by its first lines.

    Accounts are compared by cards and devices (from --accounts), addresses, templates of prompts,
    client software and load. What strangers share too, such as a carrier's address or a popular
    template, counts for little. A cluster is reported only if its load is even, at least two layers
    tie its accounts, no single organisation answers for them, and it has something to itself.

    Indicators are not needed; the accounts that they hit seed clusters and lower their bar, and
    patterns about windows (behaviour.*) are judged for each cluster's days. Of the traffic nothing
    leaves this machine; about oblivious indicators custodians are asked as by `stillwatch match`.

    Exit codes: 0 whether or not there are clusters (1 with --fail-on-match), 2 for bad input, after
    the report if a log is damaged or no line of any could be read.
    """
    check_output(out)
    mapping = log_mapping(maps)
    window = Window(parse_moment(since, "--since"), parse_moment(until, "--until"))
    if window.since and window.until and window.until <= window.since:
        raise InputError("no time lies between --since and --until", where="--until")
    logs = expand(files, without={"--out": out, "--accounts": accounts})
    opened, unread = open_logs(logs, log_format, mapping, limit_examples)
    named = ctx.get_parameter_source("home") in (
        ParameterSource.COMMANDLINE,
        ParameterSource.ENVIRONMENT,
    )
    asking = Asking(offline, dry_run)
    with contextlib.ExitStack() as stack:
        unlocked = None
        # Without a name the home is read only where there are no bundles, and only if it is one.
        if named or (not bundles and Home.exists(home)):
            unlocked = stack.enter_context(load_home(home, passphrase_file))
        seeds = read_seeds(bundles, unlocked)
        tagging = tagging_of(unlocked, seeds.indicators.buckets, asking)
        table = read_accounts(
            accounts, accounts_map, region, seeds.keys, tagging=tagging, asking=asking
        )
    if dry_run:
        if as_json:
            print_json(dry_run_document(tagging))
        return
    detector = ClusterDetector(show_values=show_values)
    total = sum(reader.bytes_total for _, reader in opened)
    with byte_progress(total) as progress:
        reading = Reading(detector, seeds.indicators.index, table, window, progress, jobs)
        reading(opened)
        progress("comparing accounts", total, detector.exchanges)
        report = ClusterReport.of(detector.clusters(), reading, seeds, unread)
    with match_sink(out, FINDING_SCHEMA) as sink:
        sink.write(report.rows())
    if as_json:
        told = report.to_json()
        if tagging is not None and table is not None:
            told["oblivious"] = tagging.asked.to_json()
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        show(report, limit_examples)
        if out is not None:
            click.echo(f"findings written to {out}")
    _check_read(reading)
    if fail_on_match and report.found.clusters:
        ctx.exit(_FOUND)


def _check_read(reading: Reading) -> None:
    """Fail after the report where it says too little for "no cluster" to mean anything.

    Raises:
        InputError: no line of any file could be read, or a file is damaged.
    """
    damaged = [source for source in reading.sources if source.reader.damage]
    if damaged:
        names = ", ".join(plain(source.name) for source in damaged)
        raise InputError("damaged: the report covers only a part of it", where=names)
    read = sum(source.reader.rows + source.reader.skipped for source in reading.sources)
    rejected = sum(source.reader.rejects.count for source in reading.sources)
    if rejected and not read:
        raise InputError(
            f"none of the {rejected:,} lines could be read",
            hint="--format and --map name another reading",
        )
