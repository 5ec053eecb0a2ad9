"""`stillwatch match`: logs against indicators, offline, in bounded memory."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import click

from hub.cli.mapping import log_mapping
from hub.cli.match_accounts import accounts_options, read_accounts
from hub.cli.match_explain import Explained
from hub.cli.match_inputs import (
    Indicators,
    bundle_objects,
    compile_indicators,
    compile_or_load,
    expand,
    parse_moment,
)
from hub.cli.match_journal import Journal, terms_of
from hub.cli.match_output import check_output, match_sink
from hub.cli.match_progress import byte_progress
from hub.cli.match_report import MatchReport
from hub.cli.match_run import Pass, limits_for, open_logs
from hub.cli.match_tagging import Asking, dry_run_document, tagging_of
from hub.cli.match_view import report_console, show
from hub.cli.match_words import plain
from hub.cli.match_work import Matching, Window
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
from hub.client.plan import PlanFile
from hub.client.tagging import Tagging
from hub.errors import InputError
from hub.match.run import Run
from hub.model.codec import Json
from hub.traffic.memory import use_lean_allocator

_FOUND = 1


@click.command(epilog=LOG_EPILOG + TABLE_EPILOG)
@log_options
@accounts_options
@bundles_option("to match")
@out_option("matches", "Write every match, one row per exchange and indicator.")
@click.option("--show-values", is_flag=True, help="Write matched values in clear, not masked.")
@window_options
@examples_option("customers, indicators and rejected lines the report names")
@click.option(
    "--explain",
    metavar="N|EVENT_ID|all",
    help="Say why: of the first N matches, those of one exchange, or all, clause by clause.",
)
@jobs_option("Blocks of a log that are matched")
@click.option(
    "--resume",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Note finished logs here; the same command goes on from there if it is killed.",
)
@click.option("--fail-on-match", is_flag=True, help="Exit with 1 if anything matches.")
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
    explain: str | None,
    jobs: int,
    resume: Path | None,
    fail_on_match: bool,
    as_json: bool,
    home: Path,
    passphrase_file: Path | None,
) -> None:
    """Match traffic logs against indicators.

    FILE is a log, a folder of logs or a glob; plain, gzip or zstd. Each log's
    format, of those below, is told by its first lines.

    The report groups matches by campaign. Prompt hits alone make a customer a candidate; hits on
    two or more layers are evidence. It also says which layers each source could show, so that "no
    match" is not read as "no abuse", and counts every line that could not be read.

    Of the traffic nothing leaves this machine: report sightings with `stillwatch report`. Where
    indicators are oblivious, two custodians are asked about those customers' identifiers whose
    bucket occurs, each blinded so that they learn nothing of it; what they said is kept. Without
    their answer (they are away, the quota is used up) the rest is matched, and the report says how
    many identifiers were not looked up.

    Exit codes: 0 whether or not there are matches (1 with --fail-on-match), 2 for bad input, after
    the report if a log is damaged or no line of any could be read, 3 if a custodian answers with
    another key than was stated.
    """
    check_output(out)
    use_lean_allocator()
    mapping = log_mapping(maps)
    window = Window(parse_moment(since, "--since"), parse_moment(until, "--until"))
    if window.since and window.until and window.until <= window.since:
        raise InputError("no time lies between --since and --until", where="--until")
    logs = expand(files, without={"--out": out, "--accounts": accounts})
    opened, unread = open_logs(logs, log_format, mapping, limit_examples)
    use_home = not bundles or ctx.get_parameter_source("home") in (
        click.core.ParameterSource.COMMANDLINE,
        click.core.ParameterSource.ENVIRONMENT,
    )
    asking = Asking(offline, dry_run)
    with contextlib.ExitStack() as stack:
        unlocked = stack.enter_context(load_home(home, passphrase_file)) if use_home else None
        indicators = _indicators(bundles, unlocked)
        tagging = tagging_of(unlocked, indicators.buckets, asking)
        table = read_accounts(
            accounts, accounts_map, region, indicators.keys, tagging=tagging, asking=asking
        )
    if dry_run:
        if as_json:
            print_json(dry_run_document(tagging))
        return
    index = indicators.index
    report = MatchReport(indicators)
    report.unread = unread
    report.customer_table = table is not None
    report.not_looked_up = 0 if tagging is None else tagging.asked.left
    explained = Explained(index, explain, show_values=show_values) if explain else None
    journal = None
    if resume is not None:
        terms = (log_format, sorted(mapping.items()), since, until, limit_examples, show_values)
        tokens = tagging.digest if tagging is not None else ""
        journal = Journal(resume, terms_of(index, accounts, (*terms, accounts_map, region, tokens)))
    run = Run(index, limits_for(opened), explained.trails if explained else None)
    matching = Matching(run, table, window, show_values, keep=explained is not None)
    total = sum(reader.bytes_total for _, reader in opened)
    with match_sink(out) as sink, byte_progress(total) as progress:
        Pass(index, matching, report, sink, progress, jobs, explained, journal)(opened)
    if journal is not None:
        journal.clear()
    _tell(report, explained, out, limit_examples, tagging, as_json=as_json)
    _check_read(report)
    if fail_on_match and report.matched:
        ctx.exit(_FOUND)


def _tell(
    report: MatchReport,
    explained: Explained | None,
    out: Path | None,
    examples: int,
    tagging: Tagging | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        told = report.to_json(examples) | (explained.to_json() if explained else {})
        if tagging is not None and report.customer_table:
            told["oblivious"] = tagging.asked.to_json()
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    if explained is not None:
        explained.show(report_console(), report.indicators.names)
    show(report, examples)
    if out is not None:
        click.echo(f"matches written to {out}")


def _check_read(report: MatchReport) -> None:
    """Fail after the report where it says too little for "no match" to mean anything.

    Raises:
        InputError: no line of any file could be read, or a file is damaged.
    """
    damaged = [source for source in report.sources if source.reader.damage]
    if damaged:
        names = ", ".join(plain(source.name) for source in damaged)
        raise InputError("damaged: the report covers only a part of it", where=names)
    readers = [source.reader for source in report.sources]
    read = sum(reader.rows + reader.skipped + reader.outside for reader in readers)
    rejected = sum(source.reader.rejects.count for source in report.sources)
    if rejected and not read:
        raise InputError(
            f"none of the {rejected:,} lines could be read, so nothing was matched"
            if rejected > 1
            else "the only line could not be read, so nothing was matched",
            hint="the report says why; --format and --map name another reading",
        )


def _indicators(bundles: Sequence[Path], home: Home | None) -> Indicators:
    """Indicators of the bundles and, where one is used, of the home."""
    parts: list[Callable[[], Iterable[Json]]] = [partial(bundle_objects, bundles)]
    if home is None:
        return compile_indicators(_chained(parts), [])
    parts.append(home.indicator_objects)
    return compile_or_load(partial(_chained, parts), home.fingerprint_keys(), PlanFile(home.path))


def _chained(parts: Iterable[Callable[[], Iterable[Json]]]) -> Iterator[Json]:
    for part in parts:
        yield from part()
