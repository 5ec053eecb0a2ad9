"""`stillwatch hunt run`: indicators that are new, over exchanges that are old."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.text import Text

from hub.cli import match_limits
from hub.cli.hunt_follow import follow_and_hunt, follow_options, refuse_with_follow
from hub.cli.hunt_kept import Decode, Kept, Objects
from hub.cli.hunt_options import open_store, store_option
from hub.cli.match_accounts import accounts_options, read_accounts
from hub.cli.match_inputs import Indicators, bundle_objects, compile_indicators, parse_moment
from hub.cli.match_missing import needs
from hub.cli.match_output import MatchSink, check_output, match_sink
from hub.cli.match_report import MatchReport
from hub.cli.match_tagging import Asking, dry_run_document, tagging_of
from hub.cli.match_view import campaign_panel, report_console
from hub.cli.match_words import counted, plain
from hub.cli.options import desk_of, home_options, json_option, load_home, print_json
from hub.cli.pass_options import (
    bundles_option,
    examples_option,
    jobs_option,
    out_option,
    window_options,
)
from hub.cli.progress import Advance, progress
from hub.client.home import Home
from hub.client.tagging import Tagging
from hub.errors import InputError
from hub.fingerprint.tokens import FingerprintKey
from hub.hunt.hunted import Hunted, Versions
from hub.hunt.passes import Pass, passes
from hub.hunt.search import Window, search
from hub.hunt.store import EventStore
from hub.match.limits import StateReport
from hub.match.plan import ALWAYS, NEVER, microseconds
from hub.match.schema import LAYERS
from hub.model.buckets import Buckets, bucket_of
from hub.model.codec import Json, loads
from hub.traffic.accounts import AccountTable
from hub.traffic.memory import use_lean_allocator

FORMAT = "stillwatch-hunt-report/1"
_FOUND = 1


@dataclass
class _Hunt:
    """One hunt, and what it found.

    Attributes:
        objects: gives all STIX objects at hand at each call.
        passes: what was looked for where, in JSON's words.
        kept: of earlier hunts, in a process that stays.
    """

    objects: Objects
    keys: list[FingerprintKey]
    accounts: AccountTable | None
    window: Window
    show_values: bool
    tagging: Tagging | None = None
    kept: Kept | None = None
    passes: list[dict[str, int]] = field(default_factory=list)
    not_answerable: dict[tuple[str, ...], list[str]] = field(default_factory=dict)
    report: MatchReport | None = None

    def follow(self, report: StateReport) -> None:
        """Add what following patterns over several exchanges lost in one pass."""
        assert self.report is not None
        self.report.followed = match_limits.gathered(self.report.followed, report)

    @property
    def blind(self) -> frozenset[str]:
        """The indicators that nothing in the store can answer."""
        return frozenset(one for ids in self.not_answerable.values() for one in ids)

    @property
    def unasked(self) -> frozenset[str]:
        """Oblivious indicators that may mean customers whose tokens are not known yet."""
        left = self.tagging.incomplete if self.tagging is not None else ()
        places = ((str(one["id"]), bucket_of(one)) for one in self.objects()) if left else ()
        return frozenset(
            name for name, place in places if place and (place.kind, place.key_id) in left
        )

    def note_blind(self, identifier: str, paths: Iterable[str]) -> None:
        """Note the paths for lack of which nothing in the store can answer an indicator."""
        self.not_answerable.setdefault(tuple(sorted(set(paths))), []).append(identifier)

    def live(self, ids: frozenset[str]) -> bool:
        """Whether any of the indicators is not revoked."""
        return any(
            one.get("type") == "indicator" and one["id"] in ids and one.get("revoked") is not True
            for one in self.objects()
        )

    def compiled(self, ids: frozenset[str]) -> Indicators:
        """Some of the indicators, with everything that is no indicator."""
        return compile_indicators(
            (one for one in self.objects() if one.get("type") != "indicator" or one["id"] in ids),
            self.keys,
        )


@dataclass(frozen=True)
class _Question:
    """What a hunt was asked for; the same question can be asked again and again."""

    accounts: Path | None
    accounts_map: tuple[str, ...]
    region: str | None
    asking: Asking
    bundles: tuple[Path, ...]
    everything: bool
    out: Path | None
    show_values: bool
    window: Window
    bounded: bool
    jobs: int


@click.command("run")
@accounts_options
@bundles_option("to hunt for")
@click.option(
    "--all", "everything", is_flag=True, help="Hunt for all indicators, not only for new ones."
)
@out_option("matches", "Write every match, one row per exchange and indicator.")
@click.option("--show-values", is_flag=True, help="Write matched values in clear, not masked.")
@window_options
@jobs_option("Batches that are matched")
@examples_option("customers and indicators the report names")
@click.option("--fail-on-match", is_flag=True, help="Exit with 1 if anything matches.")
@follow_options
@store_option
@json_option
@home_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    accounts: Path | None,
    accounts_map: tuple[str, ...],
    region: str | None,
    offline: bool,
    dry_run: bool,
    bundles: tuple[Path, ...],
    everything: bool,
    out: Path | None,
    show_values: bool,
    since: str | None,
    until: str | None,
    jobs: int,
    limit_examples: int,
    fail_on_match: bool,
    follow: bool,
    interval: float,
    store: Path | None,
    as_json: bool,
    home: Path,
    passphrase_file: Path | None,
) -> None:
    """Look for new indicators in the exchanges of the event store.

    Indicators that arrived since the last hunt are looked for in everything that is kept, all
    others in what was added since. The answers are those that `stillwatch match` would give over
    the same logs. Run it after each `stillwatch pull` and `stillwatch hunt add`.

    With --since or --until the hunt is a question of its own: what is new stays new.

    With --follow it stays: it pulls when a hub has news, hunts for what came, and tells of matches
    alone, with --json a line for each hunt that found any. SIGTERM and Ctrl-C end it.

    Exit codes: 0 whether or not there are matches (1 with --fail-on-match), 2 for bad input.
    """
    check_output(out)
    use_lean_allocator()
    if follow:
        refuse_with_follow(ctx)
    bounded = (since, until) != (None, None)
    question = _Question(
        *(accounts, accounts_map, region, Asking(offline, dry_run), bundles, everything, out),
        *(show_values, _window(since, until), bounded, jobs),
    )
    use_home = (
        follow
        or not bundles
        or ctx.get_parameter_source("home")
        in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    )
    events = open_store(store, home)
    unlocked = ctx.with_resource(load_home(home, passphrase_file)) if use_home else None
    if follow:
        assert unlocked is not None
        tell = partial(_tell_matches, events=events, examples=limit_examples, as_json=as_json)
        kept = Kept()
        follow_and_hunt(
            *(desk_of(unlocked), interval, events),
            lambda: tell(_hunt(question, events, unlocked, kept)),
        )
        return
    hunt = _hunt(question, events, unlocked)
    if dry_run:
        if as_json:
            print_json(dry_run_document(hunt.tagging))
        return
    if as_json:
        print_json(_document(hunt, events, limit_examples))
    else:
        _show(hunt, events, limit_examples)
        if hunt.report is not None and out is not None:
            click.echo(f"matches written to {out}")
    if fail_on_match and hunt.report is not None and hunt.report.matched:
        ctx.exit(_FOUND)


def _hunt(
    question: _Question, events: EventStore, unlocked: Home | None, kept: Kept | None = None
) -> _Hunt:
    """Hunt once, for what is due now."""
    objects, keys = _indicators(question.bundles, unlocked, kept)
    buckets = Buckets(datetime.now(UTC))
    for one in objects():
        buckets.add(one)
    asking = question.asking
    tagging = tagging_of(unlocked, buckets, asking)
    table = read_accounts(
        *(question.accounts, question.accounts_map, question.region, keys),
        tagging=tagging,
        asking=asking,
    )
    hunt = _Hunt(objects, keys, table, question.window, question.show_values, tagging, kept)
    if asking.dry_run:
        return hunt
    with events.locked():
        events.expire(datetime.now(UTC))
        versions = Versions.of(objects())
        hunted = Hunted({}) if question.everything else Hunted.load(events.path)
        due = list(hunted.due(versions, events.catalogue.generation))
        if due:
            with match_sink(question.out) as sink:
                _run(hunt, events, versions, due, sink, question.jobs)
        if due and not question.bounded:
            answered = versions.without(hunt.blind | hunt.unasked)
            hunted.note(answered, events.catalogue.generation)
            hunted.save(events.path)
    return hunt


def _tell_matches(hunt: _Hunt, *, events: EventStore, examples: int, as_json: bool) -> None:
    if hunt.report is None or not hunt.report.matched:
        return
    if as_json:
        click.echo(json.dumps(_document(hunt, events, examples), ensure_ascii=False))
    else:
        _show(hunt, events, examples)


def _window(since: str | None, until: str | None) -> Window:
    first, last = parse_moment(since, "--since"), parse_moment(until, "--until")
    window = Window(
        ALWAYS if first is None else microseconds(first),
        NEVER if last is None else microseconds(last),
    )
    if window.until <= window.since:
        raise InputError("no time lies between --since and --until", where="--until")
    return window


def _indicators(
    bundles: tuple[Path, ...], opened: Home | None, kept: Kept | None
) -> tuple[Objects, list[FingerprintKey]]:
    """All objects of the bundles and, where one is used, of the home."""

    def read(decode: Decode) -> Iterator[Json]:
        yield from bundle_objects(bundles)
        if opened is not None:
            yield from opened.indicator_objects(decode=decode)

    objects = partial(read, loads) if kept is None else kept.objects(read)
    return objects, [] if opened is None else opened.fingerprint_keys()


def _run(
    hunt: _Hunt,
    events: EventStore,
    versions: Versions,
    due: list[tuple[int, frozenset[str]]],
    sink: MatchSink,
    jobs: int,
) -> None:
    """Hunt for what is due, into the report and the match file.

    What the store cannot answer stays due: a customer table, or other logs, may come.
    """
    wanted = frozenset[str]().union(*(ids for _, ids in due))
    parts = events.parts()
    filled = {name for part in parts for name in part.columns}
    if hunt.accounts is not None:
        filled.update(LAYERS["account"])
    if hunt.kept is not None:
        known = hunt.kept.blind(versions, wanted, frozenset(filled))
        for identifier, paths in known.items():
            hunt.note_blind(identifier, paths)
        wanted -= known.keys()
        if not hunt.live(wanted):
            return
    whole = hunt.compiled(wanted)
    hunt.report = MatchReport(whole)
    hunt.report.customer_table = hunt.accounts is not None
    found = whole.index.coverage(filled).not_answerable
    for identifier, paths in found.items():
        hunt.note_blind(identifier, paths)
    if hunt.kept is not None:
        hunt.kept.note_blind(versions, found)
    blind = hunt.blind
    stateful = frozenset(one.indicator_id for one in whole.index.watches) - blind
    planned = passes([(done, ids - blind) for done, ids in due], stateful, parts)
    with progress("Hunting", sum(one.rows for one in planned)) as advance:
        for one in planned:
            index = whole if one.indicators == wanted - blind else hunt.compiled(one.indicators)
            hunt.passes.append({"indicators": len(one.indicators), "exchanges": one.rows})
            _search(hunt, events, one, index, sink, jobs, advance)


def _search(
    hunt: _Hunt,
    events: EventStore,
    one: Pass,
    indicators: Indicators,
    sink: MatchSink,
    jobs: int,
    advance: Advance,
) -> None:
    assert hunt.report is not None
    for matches in search(
        events,
        one.parts,
        indicators.index,
        accounts=hunt.accounts,
        window=hunt.window,
        show_values=hunt.show_values,
        jobs=jobs,
        progress=advance,
        followed=hunt.follow,
    ):
        sink.write(matches)
        hunt.report.add(matches)


def _document(hunt: _Hunt, events: EventStore, examples: int) -> dict[str, Any]:
    report = hunt.report
    return {
        "format": FORMAT,
        "store": str(events.path),
        "exchanges": sum(part.rows for part in events.catalogue.parts),
        "passes": hunt.passes,
        "matched_exchanges": report.matched if report else 0,
        "campaigns": [report.campaign_to_json(one) for one in report.ordered()] if report else [],
        "not_answerable": [
            {"paths": list(paths), "count": len(ids), "examples": ids[:examples]}
            for paths, ids in hunt.not_answerable.items()
        ],
        "oblivious": hunt.tagging.asked.to_json() if hunt.tagging and hunt.accounts else None,
        "several_exchanges": match_limits.to_json(report.followed if report else StateReport()),
        "tests_of_every_exchange": report.indicators.index.scans if report else 0,
        "unusable": [
            {"indicator_id": problem.indicator_id, "reason": problem.reason}
            for problem in (report.indicators.index.problems if report else ())
        ],
    }


def _show(hunt: _Hunt, events: EventStore, examples: int) -> None:
    console = report_console()
    kept = sum(part.rows for part in events.catalogue.parts)
    report = hunt.report
    if report is None:
        console.print(f"Nothing new to hunt for in {counted(kept, 'exchange')}.")
        console.print(
            "--all looks for all indicators again, as after a change of the customer table."
        )
        return
    for campaign in report.ordered():
        console.print(campaign_panel(report, campaign, examples))
    for one in hunt.passes:
        looked = counted(one["indicators"], "indicator")
        console.print(f"Looked for {looked} in {counted(one['exchanges'], 'exchange')}.")
    console.print(Text(f"{counted(report.matched, 'exchange')} matched", style="bold"))
    lacking = needs(
        hunt.not_answerable, customers=report.customer_table, keys=bool(report.indicators.keys)
    )
    for sentence in lacking:
        console.print(Text(f"not answerable: {plain(sentence)}"))
    if any("--accounts" in sentence for sentence in lacking):
        console.print(
            "what needs the customer table is looked for once you give --accounts FILE", style="dim"
        )
    for problem in report.indicators.index.problems[:examples]:
        console.print(Text(f"not used: {plain(problem.indicator_id)}: {plain(problem.reason)}"))
    scans = report.indicators.index.scans
    for sentence in match_limits.told(report.followed, scans, examples):
        console.print(Text(plain(sentence)))
