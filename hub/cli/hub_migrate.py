"""`stillwatch hub migrate`: bring a hub's database to this release's schema, or back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hub.cli.exits import ATTENTION
from hub.cli.hub_data import data_option, json_option, require_hub, show
from hub.cli.hub_database import target_of
from hub.cli.progress import progress

if TYPE_CHECKING:
    from hub.store.opening import StoreTarget
    from hub.store.steps import Progress, State, Step


@click.command()
@data_option
@click.option("--to", metavar="REVISION", help="A revision such as 0003; default: the newest.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what would be done, and change nothing; exit code 10 when there is something to do.",
)
@json_option
def migrate(data: Path, to: str | None, dry_run: bool, as_json: bool) -> None:
    """Bring the hub's database to the schema of this release, or of REVISION.

    A SQLite hub migrates by itself when it is opened. A PostgreSQL database is migrated by this
    command only: hubs of the older release go on meanwhile, and it may be killed and started again.
    On the way back to an older revision, what only the newer one holds is lost: make a back-up and
    stop every hub before.
    """
    target = target_of(data)
    require_hub(data, target)
    from hub.store import migrate as migration

    before = migration.state(target)
    steps, down = _way(before, to)
    if not dry_run and steps:
        _walk(target, to or before.head, down=down)
    after = before if dry_run else migration.state(target)
    names = [{"revision": step.revision, "title": step.title} for step in steps]
    verb = ("would undo" if dry_run else "undone") if down else ("pending" if dry_run else "done")
    show(
        {
            "before": before.current,
            "revision": after.current,
            "newest": before.head,
            "direction": "down" if down else "up",
            "dry_run": dry_run,
            "steps": names,
        },
        [
            *(f"{verb}: {step.revision} {step.title}" for step in steps),
            f"revision {after.current}, newest {before.head}"
            + ("" if steps else ": nothing to do"),
        ],
        as_json=as_json,
    )
    if dry_run and steps:
        raise SystemExit(ATTENTION)


def _way(state: State, to: str | None) -> tuple[list[Step], bool]:
    """The steps to a revision, and whether they lead back."""
    from hub.store.migrate import BASE
    from hub.store.steps import scripts, step_of

    if to is None:
        return list(state.pending), False
    forth = [] if to == BASE else list(map(step_of, scripts(state.current, to)))
    if forth or to == state.current:
        return forth, False
    if state.current is None:
        return [], True
    back = scripts(None if to == BASE else to, state.current)
    return [step_of(script) for script in reversed(back)], True


def _walk(target: StoreTarget, to: str, *, down: bool) -> None:
    from hub.store import migrate as migration

    with progress("Migrating") as advance:
        done = 0

        def report(step: Progress) -> None:
            nonlocal done
            advance(max(0, step.done - done))
            done = step.done

        if down:
            migration.downgrade(target, to=to, progress=report)
        else:
            migration.upgrade(target, to=to, progress=report)
