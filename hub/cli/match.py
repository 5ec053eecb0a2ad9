"""`stillwatch match`: logs against indicators, offline, in bounded memory."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hub.cli.mapping import log_mapping
from hub.cli.match_accounts import accounts_options, read_accounts
from hub.cli.match_inputs import (
    Indicators,
    LogFile,
    bundle_objects,
    compile_indicators,
    expand,
    parse_moment,
)
from hub.cli.match_output import MatchSink, check_output, match_sink
from hub.cli.match_progress import Show, byte_progress
from hub.cli.match_report import MatchReport, SourceReport
from hub.cli.match_view import plain, show
from hub.cli.options import home_options, json_option, load_home
from hub.errors import InputError
from hub.fingerprint.tokens import FingerprintKey
from hub.model.codec import Json
from hub.traffic.account_rows import COLUMNS as TABLE_COLUMNS
from hub.traffic.account_rows import ID_COLUMNS
from hub.traffic.accounts import AccountTable
from hub.traffic.formats import AUTO, format_names, format_titles, open_log
from hub.traffic.generic import SHOWN as LOG_COLUMNS
from hub.traffic.reader import LogReader

_FOUND = 1


@dataclass(frozen=True)
class _Window:
    since: datetime | None
    until: datetime | None

    def cut(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows at or after `since` and before `until`."""
        for moment, test in ((self.since, pc.greater_equal), (self.until, pc.less)):
            if moment is not None:
                bound = pa.scalar(moment, pa.timestamp("us", tz="UTC"))
                batch = batch.filter(test(batch.column("observed_at"), bound))
        return batch


@dataclass(frozen=True)
class _Run:
    """What matching one file after the other needs."""

    indicators: Indicators
    accounts: AccountTable | None
    window: _Window
    show_values: bool


@click.command(
    epilog="Formats: "
    + "; ".join(f"{name} ({title})" for name, title in format_titles())
    + f".\n\nColumns of generic CSV, JSON lines and Parquet: {', '.join(LOG_COLUMNS)}. Others by "
    "--map account_id=user,...; a field inside nested JSON as a.b.\n\nColumns of the customer "
    f"table: {', '.join(TABLE_COLUMNS)}. One of the two ids will do. Others by --accounts-map "
    "email=mail,..."
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format",
    "log_format",
    type=click.Choice([AUTO, *format_names()]),
    default=AUTO,
    show_default=True,
    metavar="NAME",
    help="Format of all files, of those below; auto tells each file's by its first lines.",
)
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="OURS=THEIRS,...",
    help="Field names of generic CSV, JSON lines and Parquet, such as timestamp=ts,model=m.",
)
@accounts_options
@click.option(
    "--indicators",
    "bundles",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="BUNDLE",
    help="STIX bundle to match; the home is then read only if you name it as well.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="matches.parquet|.jsonl",
    help="Write every match, one row per exchange and indicator.",
)
@click.option("--show-values", is_flag=True, help="Write matched values in clear, not masked.")
@click.option("--since", metavar="TIME", help="Leave out earlier exchanges; UTC unless it says.")
@click.option("--until", metavar="TIME", help="Leave out exchanges at this time and later.")
@click.option(
    "--limit-examples",
    type=click.IntRange(0, 10_000),
    default=5,
    show_default=True,
    help="How many customers, indicators and rejected lines the report names.",
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
    bundles: tuple[Path, ...],
    out: Path | None,
    show_values: bool,
    since: str | None,
    until: str | None,
    limit_examples: int,
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

    Nothing leaves this machine: report sightings with `stillwatch report`.

    Exit codes: 0 whether or not there are matches (1 with --fail-on-match), 2 for bad input, after
    the report if a log is damaged or no line of any could be read.
    """
    check_output(out)
    mapping = log_mapping(maps)
    window = _Window(parse_moment(since, "--since"), parse_moment(until, "--until"))
    if window.since and window.until and window.until <= window.since:
        raise InputError("no time lies between --since and --until", where="--until")
    logs = expand(files, without={"--out": out, "--accounts": accounts})
    opened, unread = _open(logs, log_format, mapping, limit_examples)
    use_home = not bundles or ctx.get_parameter_source("home") in (
        click.core.ParameterSource.COMMANDLINE,
        click.core.ParameterSource.ENVIRONMENT,
    )
    indicators = _indicators(bundles, (home, passphrase_file) if use_home else None)
    table = read_accounts(accounts, accounts_map, region, indicators.keys)
    report = MatchReport(indicators)
    report.unread = unread
    report.customer_table = table is not None
    run = _Run(indicators, table, window, show_values)
    total = sum(reader.bytes_total for _, reader in opened)
    with match_sink(out) as sink, byte_progress(total) as progress:
        done = 0
        for log, reader in opened:
            report.sources.append(_match(run, log, reader, report, sink, _from(progress, done)))
            done += reader.bytes_total
    if as_json:
        click.echo(json.dumps(report.to_json(limit_examples), indent=2, ensure_ascii=False))
    else:
        show(report, limit_examples)
        if out is not None:
            click.echo(f"matches written to {out}")
    _check_read(report)
    if fail_on_match and report.matched:
        ctx.exit(_FOUND)


def _check_read(report: MatchReport) -> None:
    """Fail after the report where it says too little for "no match" to mean anything.

    Raises:
        InputError: no line of any file could be read, or a file is damaged.
    """
    damaged = [source for source in report.sources if source.reader.damage]
    if damaged:
        names = ", ".join(plain(source.name) for source in damaged)
        raise InputError("damaged: the report covers only a part of it", where=names)
    read = sum(source.reader.rows + source.reader.skipped for source in report.sources)
    rejected = sum(source.reader.rejects.count for source in report.sources)
    if rejected and not read:
        raise InputError(
            f"none of the {rejected:,} lines could be read, so nothing was matched"
            if rejected > 1
            else "the only line could not be read, so nothing was matched",
            hint="the report says why; --format and --map name another reading",
        )


def _from(progress: Show, done: int) -> Show:
    return lambda label, more: progress(label, done + more)


def _open(
    logs: Sequence[LogFile], log_format: str, mapping: dict[str, str], examples: int
) -> tuple[list[tuple[LogFile, LogReader]], list[tuple[str, str]]]:
    """Readers of all files; a file of no known format is an error only if it was named."""
    opened: list[tuple[LogFile, LogReader]] = []
    unread: list[tuple[str, str]] = []
    for log in logs:
        try:
            reader = open_log(log.path, format=log_format, mapping=mapping, examples=examples)
            opened.append((log, reader))
        except InputError as error:
            if log.named:
                raise
            unread.append((log.source, error.message))
    if not opened:
        raise InputError(
            f"none of the {len(unread)} files is a log of a known format",
            hint="name one of them to see why",
        )
    return opened, unread


def _indicators(bundles: Sequence[Path], at: tuple[Path, Path | None] | None) -> Indicators:
    """Indicators of the bundles and, where one is used, of the home."""
    with contextlib.ExitStack() as stack:
        objects: list[Iterable[Json]] = [bundle_objects(bundles)]
        keys: list[FingerprintKey] = []
        if at is not None:
            home = stack.enter_context(load_home(*at))
            keys = home.fingerprint_keys()
            objects.append(home.indicator_objects())
        return compile_indicators(_chained(objects), keys)


def _chained(parts: Iterable[Iterable[Json]]) -> Iterator[Json]:
    for part in parts:
        yield from part


def _match(
    run: _Run,
    log: LogFile,
    reader: LogReader,
    report: MatchReport,
    sink: MatchSink,
    progress: Show,
) -> SourceReport:
    """Match one file, batch by batch."""
    index = run.indicators.index
    seen: dict[str, int] = {}
    rows = matched = outside = joined = 0
    label = plain(log.source)
    progress(label, 0)
    wanted = index.columns if run.accounts is None else index.columns | set(ID_COLUMNS)
    for whole in reader.batches(columns=wanted):
        batch = run.window.cut(whole)
        outside += whole.num_rows - batch.num_rows
        progress(label, reader.bytes_read)
        if not batch.num_rows:
            continue
        if run.accounts is not None:
            batch, known = _enriched(run.accounts, batch)
            joined += known
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if column.null_count < len(column):
                seen[name] = seen.get(name, 0) + len(column) - column.null_count
        rows += batch.num_rows
        extent = pc.min_max(batch.column("observed_at")).as_py()
        report.span.add(batch.num_rows, extent["min"], extent["max"])
        matches = index.match(batch, source=log.source, show_values=run.show_values)
        sink.write(matches)
        matched += report.add(matches)
    return SourceReport(
        name=log.source,
        format=reader.format_name,
        rows=rows,
        outside=outside,
        matched=matched,
        joined=None if run.accounts is None else joined,
        columns=dict(sorted(seen.items())),
        empty=sorted(reader.columns.intersection(wanted) - set(seen)) if rows else [],
        coverage=index.coverage(reader.glimpsed.union(seen) if rows else reader.columns),
        reader=reader,
    )


def _enriched(accounts: AccountTable, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
    """The batch with its customers' columns, and how many rows gained any."""
    full = accounts.enrich(batch)
    gained = np.zeros(batch.num_rows, np.bool_)
    for before, after in zip(batch.columns, full.columns, strict=True):
        if after.null_count < before.null_count:
            new = pc.and_(before.is_null(), after.is_valid())
            gained |= new.to_numpy(zero_copy_only=False)
    return full, int(gained.sum())
