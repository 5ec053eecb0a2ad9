"""`stillwatch publish`: turn detections into indicators and publish them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import click
from phonenumbers import SUPPORTED_REGIONS

from hub.cli.direct_options import Asked, asked, check_red, direct_options
from hub.cli.mapping import table_mapping
from hub.cli.names import channel_names
from hub.cli.oblivious_words import asked_json, asked_text, overruled_text
from hub.cli.options import count_of, desk_of, home_options, json_option, load_home, print_json
from hub.cli.progress import progress
from hub.cli.pull import announce
from hub.cli.region import region_option
from hub.client.detections import DEFAULT_CONFIDENCE, Verdict
from hub.client.direct import Terms
from hub.client.forms import forms_of
from hub.client.home import Home
from hub.client.ingest import FIELDS
from hub.client.keyring import write_private
from hub.client.known_tokens import Remaining, remaining
from hub.client.latecomers import note_again, unread
from hub.client.naming import member_names
from hub.client.oblivious import evaluate
from hub.client.publisher import Options, Preparation, Published, again, prepare, publish
from hub.client.reporter import channel_of
from hub.client.rows import ChannelRow
from hub.client.stated import read_stated
from hub.client.subscriber import Pulled, refresh
from hub.client.values import choose_reissue
from hub.client.work import Desk
from hub.errors import ConflictError, InputError
from hub.model.bundle import bundle
from hub.model.codec import dumps
from hub.model.markings import TLP

_TLP_NAMES = [each.label for each in TLP]
_SHOWN_ROWS = 40
_CUSTOMER = {"account_id", "customer_id", "signup_time"}


@click.command("publish")
@click.argument(
    "files",
    nargs=-1,
    type=click.Path(path_type=Path),
)
@click.option(
    "--channel",
    "channel_name",
    default=None,
    help="Which channel, when in several.",
    shell_complete=channel_names,
)
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="OURS=THEIRS,...",
    help="Columns of other names, such as email=contact_mail,first_seen=created.",
)
@click.option("--campaign", default=None, help="Campaign of rows that name none.")
@click.option(
    "--campaigns",
    "campaign_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON file of facts by campaign: ranges, targets, attribution.",
)
@click.option(
    "--confidence",
    type=click.IntRange(0, 100),
    default=DEFAULT_CONFIDENCE,
    show_default=True,
    help="Confidence of rows that give none.",
)
@click.option(
    "--tlp",
    type=click.Choice(_TLP_NAMES, case_sensitive=False),
    default=TLP.AMBER.label,
    show_default=True,
)
@region_option
@direct_options
@click.option(
    "--yes", is_flag=True, help="Publish a table although it looks like one of customers."
)
@click.option("--dry-run", is_flag=True, help="Decide about each row; send and store nothing.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --dry-run: write what would leave the machine, as a STIX bundle.",
)
@click.option(
    "--again",
    "repeat",
    is_flag=True,
    help="No files: seal what still holds once more, for members who joined later.",
)
@click.option(
    "--reissue/--no-reissue",
    "reissue",
    default=None,
    help="From now on, keep the identifiers behind your tokens, sealed in this home, to issue them "
    "again when the fingerprint key changes, or keep none.",
)
@click.option("--verbose", "-v", is_flag=True, help="Show every row, not only the odd ones.")
@home_options
@json_option
def command(
    files: tuple[Path, ...],
    channel_name: str | None,
    maps: tuple[str, ...],
    campaign: str | None,
    campaign_file: Path | None,
    confidence: int,
    tlp: str,
    region: str | None,
    to: tuple[str, ...],
    basis: str | None,
    valid_until: str | None,
    yes: bool,
    dry_run: bool,
    out: Path | None,
    repeat: bool,
    reissue: bool | None,
    verbose: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Turn detections into indicators and publish them.

    FILES are CSV, JSON lines or Parquet. Known columns: email, phone, payment, device, api_key
    (these become tokens, in the form that the channel's policy asks for), address, domain, asn,
    ja3, ja4, user_agent, email_domain, api_key_prefix; for prompts kind with text or pattern; and
    campaign, first_seen, last_seen, valid_until, confidence.

    Where the policy asks for oblivious tokens, two custodians evaluate blinded identifiers; what
    they evaluated is kept, so that a run that ends early goes on where it stopped.

    With --to nobody else can open it: so TLP:RED goes to named members, and detail to a liaison.
    """
    wanted = asked(to, basis, valid_until)
    if bool(files) is repeat:
        raise InputError("name files, or give --again without files")
    if out is not None and not dry_run:
        raise InputError("only a dry run writes what would be sent", where="--out")
    if region is not None and region.upper() not in SUPPORTED_REGIONS:
        raise InputError(
            "not a region of the telephone network", where="--region", hint="two letters, as DE"
        )
    level = TLP.from_label(tlp)
    assert level is not None
    check_red(level, wanted)
    options = Options(
        mapping=table_mapping(maps, FIELDS),
        campaign=campaign,
        confidence=confidence,
        tlp=level,
        region=region.upper() if region else None,
        stated=read_stated(campaign_file) if campaign_file else {},
        direct=bool(to),
    )
    with load_home(home, passphrase_file) as opened:
        if reissue is not None:
            choose_reissue(opened, on=reissue)
        channel_id = channel_of(opened, channel_name).channel_id
        prepared, published, readers = _run(
            opened, channel_name, files, options, wanted, yes=yes, dry_run=dry_run, repeat=repeat
        )
        if out is not None:
            content = bundle([*prepared.aggregate, *prepared.detail])
            write_private(out, dumps(content))
        alone = None if dry_run or to else unread(opened, channel_of(opened, channel_name))
        left = (
            remaining(opened, channel_id, prepared.oblivious, now=int(time.time()))
            if prepared.oblivious is not None
            else []
        )
    if files and not prepared.reports:
        raise InputError("no rows", where=", ".join(path.name for path in files))
    _show(prepared, published, left, readers, as_json=as_json, verbose=verbose)
    if alone is not None and published is not None and published.messages:
        click.echo(f"stillwatch: {alone}", err=True)
    refused = prepared.counts()[str(Verdict.REFUSED)]
    if refused and refused == len(prepared.reports):
        raise InputError(
            "every row was refused, nothing of them was published",
            where=", ".join(path.name for path in files),
            hint="the reasons stand beside each row; --map names columns of other names",
        )


def _run(
    home: Home,
    channel_name: str | None,
    files: Sequence[Path],
    options: Options,
    wanted: Asked,
    *,
    yes: bool,
    dry_run: bool,
    repeat: bool,
) -> tuple[Preparation, Published | None, list[str]]:
    desk = desk_of(home)
    channel = channel_of(home, channel_name)
    # Before anybody is asked anything: a wrong name or no ground should cost nothing.
    terms = wanted.terms(home, channel, now=desk.clock())

    def prepared_now() -> Preparation:
        if repeat:
            found = again(home, channel, now=desk.clock())
            return dataclasses.replace(found, aggregate=[]) if wanted.to else found
        with progress("Reading") as advance:
            found = prepare(home, channel, files, options, now=desk.clock(), advance=advance)
        if not (yes or dry_run):
            _check_detections(found)
        return found

    if dry_run:
        return prepared_now(), None, _readers(home, channel, terms)
    with home.locked():
        with progress("Bringing the channel up to date"):
            news = Pulled(channel.name)
            channel = refresh(desk, channel, news)
        announce(news)
    if files and forms_of(home, channel).asks:
        # Outside of the lock: it may take minutes, and a pull need not wait for it.
        _ask_custodians(desk, channel, prepared_now())
    with home.locked():
        channel = home.state.channel(channel.channel_id)
        terms = wanted.terms(home, channel, now=desk.clock())
        prepared = prepared_now()
        if prepared.unasked:
            raise ConflictError(
                "the files or the fingerprint key changed while custodians were asked",
                where=", ".join(path.name for path in files),
                hint="run it again",
            )
        total = len(prepared.aggregate) + len(prepared.detail)
        with progress("Sealing and sending", total or None) as advance:
            published = publish(desk, channel, prepared, terms=terms, advance=advance)
        if repeat and terms is None:
            note_again(home, channel, desk.clock())
        return prepared, published, _readers(home, channel, terms)


def _check_detections(prepared: Preparation) -> None:
    """Refuse what looks like a provider's customer table: it would accuse every customer.

    Raises:
        InputError: its columns are those of customers, and no row names a campaign.
    """
    customers = [name for name, columns in prepared.unused.items() if _CUSTOMER & set(columns)]
    if customers and not prepared.campaigns:
        raise InputError(
            "looks like a table of customers: it has their account_id, and no row a campaign; "
            "every row would be published as an indicator, nothing was",
            where=", ".join(customers),
            hint="--dry-run shows what would leave; --campaign NAME or --yes for detections",
        )


def _ask_custodians(desk: Desk, channel: ChannelRow, prepared: Preparation) -> None:
    if prepared.unasked and prepared.oblivious is not None:
        with progress("Asking custodians", len(prepared.unasked)) as advance:
            evaluate(desk, channel, prepared.oblivious, prepared.unasked, advance=advance)


def _readers(home: Home, channel: ChannelRow, terms: Terms | None) -> list[str]:
    names = member_names(home, channel)
    return [] if terms is None else [names.get(each, each) for each in terms.recipients]


def _show(
    prepared: Preparation,
    published: Published | None,
    left: Sequence[Remaining],
    readers: list[str],
    *,
    as_json: bool,
    verbose: bool,
) -> None:
    counts = prepared.counts()
    if as_json:
        print_json(
            {
                "dry_run": published is None,
                "counts": counts,
                "rows": [each.to_json() for each in prepared.reports],
                "unused_columns": {k: list(v) for k, v in prepared.unused.items() if v},
                "campaigns": prepared.campaigns,
                "aggregate_objects": len(prepared.aggregate),
                "detail_objects": len(prepared.detail),
                "messages": published.messages if published else 0,
                "bytes": published.bytes if published else 0,
                "oblivious": asked_json(len(prepared.unasked), left) if left else None,
                "kept_keyed": list(prepared.overruled),
                "readers": readers or None,
            }
        )
        return
    if prepared.overruled:
        click.echo(f"stillwatch: {overruled_text(prepared.overruled)}", err=True)
    quiet = () if verbose else (Verdict.ACCEPTED, Verdict.TOKENISED)
    shown = [each for each in prepared.reports if each.verdict not in quiet]
    for each in shown if verbose else shown[:_SHOWN_ROWS]:
        reasons = "; ".join(each.reasons)
        click.echo(f"  {each.where:<24} {each.verdict:<10} {reasons}".rstrip())
    if not verbose and len(shown) > _SHOWN_ROWS:
        click.echo(f"  … {len(shown) - _SHOWN_ROWS} more; --verbose shows all")
    for name, columns in prepared.unused.items():
        if columns:
            click.echo(f"  {name}: columns not used, never sent: {', '.join(columns)}")
    if prepared.reports:
        click.echo("Rows: " + ", ".join(f"{number} {word}" for word, number in counts.items()))
    if readers:
        click.echo(f"Readable by {', '.join(readers)} alone.")
    total = (
        f"{len(prepared.detail)} detail and {count_of(len(prepared.aggregate), 'aggregate object')}"
    )
    if published is None:
        if prepared.unasked:
            click.echo(asked_text(len(prepared.unasked), left))
            total += ", and those of the identifiers to evaluate,"
        click.echo(f"Dry run: {total} would be sent; nothing was.")
    elif published.messages == 0:
        empty = "" if prepared.reports or not prepared.unused else ": no rows"
        click.echo(f"Nothing new to publish{empty}.")
    else:
        click.echo(f"Published {total} in {count_of(published.messages, 'sealed message')}.")
