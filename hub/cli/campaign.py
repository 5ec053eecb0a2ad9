"""`stillwatch campaign list` and `show`: what the aggregates say."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.direct_options import release_text
from hub.cli.groups import ToldGroup
from hub.cli.names import campaign_names, channel_names
from hub.cli.options import home_options, iso, json_option, load_home, print_json, utc
from hub.client.liaison import CampaignView, campaign, campaigns
from hub.model.codec import Json


@click.group("campaign", cls=ToldGroup)
def command() -> None:
    """List and show campaigns from what your keys open."""


@command.command("list")
@click.option("--channel", default=None, help="Only this channel.", shell_complete=channel_names)
@home_options
@json_option
def list_command(
    channel: str | None, home: Path, passphrase_file: Path | None, as_json: bool
) -> None:
    """List campaigns: scale as ranges, independent sources, publisher."""
    with load_home(home, passphrase_file) as opened:
        found = campaigns(opened, channel)
    if as_json:
        print_json({"campaigns": [_document(each) for each in found]})
        return
    if not found:
        click.echo("No campaigns yet: stillwatch pull")
    for each in found:
        click.echo(f"{each.name}  ({each.tlp})")
        click.echo(f"  {each.id}")
        click.echo(f"  by {each.publisher_name}; {_sources(each)}; {_span(each)}")
        click.echo(f"  {_scale(each.scale) or 'scale not told'}")


@command.command("show")
@click.argument("name", shell_complete=campaign_names)
@home_options
@json_option
def show_command(name: str, home: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Show a campaign by NAME or id: scale, structure, sources, provenance."""
    with load_home(home, passphrase_file) as opened:
        found = campaign(opened, name)
    if as_json:
        print_json({"campaigns": [_document(each) for each in found]})
        return
    for each in found:
        _show(each)


def _document(view: CampaignView) -> Json:
    document = view.to_json()
    for entry in document["provenance"]:
        entry["sent_at"], entry["verified_at"] = iso(entry["sent_at"]), iso(entry["verified_at"])
    for release in document["direct"]:
        for field in ("sent_at", "valid_until"):
            release[field] = iso(release[field])
    return document


def _show(view: CampaignView) -> None:
    click.echo(f"{view.name}  ({view.tlp}){'  WITHDRAWN' if view.revoked else ''}")
    click.echo(f"  {view.id}")
    click.echo(f"  channel {view.channel}; by {view.publisher_name}; {_span(view)}")
    click.echo("Scale (ranges):")
    for name, value in view.scale.items():
        method = f"  [{value['method']}]" if value.get("method") else ""
        click.echo(f"  {name.replace('_', ' '):<20} {_range(value)}{method}")
    for name, fact in view.facts.items():
        click.echo(f"  {name.replace('_', ' '):<20} {fact}")
    click.echo("Structure:")
    for each in view.structure:
        click.echo(f"  {each['role'] or each['type']}: {_scale(each['scale']) or 'scale not told'}")
    click.echo(f"Sources: {_sources(view)}")
    for each in view.sightings:
        click.echo(f"  seen by {each['name']}, {each['first_seen']} to {each['last_seen']}")
    for release in view.direct:
        click.echo(f"  {release_text(release)}")
    click.echo("Provenance:")
    for entry in view.provenance:
        click.echo(
            f"  {entry.name}: message {entry.message[:16]} (no. {entry.seq}, epoch {entry.epoch}), "
            f"signed {utc(entry.sent_at)}, verified {utc(entry.verified_at)}"
        )


def _range(value: Json) -> str:
    return f"{value['low']:,} to {value['high']:,}"


def _scale(scale: dict[str, Json]) -> str:
    return ", ".join(
        f"{name.removesuffix('_count').replace('_', ' ')}s {_range(value)}"
        for name, value in scale.items()
    )


def _sources(view: CampaignView) -> str:
    claimed = "" if view.claimed_sources is None else f" (publisher claims {view.claimed_sources})"
    return f"{view.sources} independent source{'s' if view.sources != 1 else ''}{claimed}"


def _span(view: CampaignView) -> str:
    if view.first_seen is None and view.last_seen is None:
        return "dates not told"
    first, last = (view.first_seen or "not told")[:10], (view.last_seen or "not told")[:10]
    return f"{first} to {last}"
