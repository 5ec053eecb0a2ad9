"""The polls after the first: what a client keeps between them, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from hub.doctor.envelope import Item
from hub.doctor.findings import GivesUpError, Severity
from hub.doctor.line import Line
from hub.doctor.probes import SKEW_SECONDS
from hub.doctor.profile import Cursor, Form, NoHeader, Paging
from hub.doctor.pull import WINDOW, Asked, End, Pull, in_form, pull, written
from hub.doctor.survey import Site, micros


@dataclass(frozen=True)
class Stand:
    """Where a client stands after its first pull.

    Args:
        now_s: the client's clock, seconds since the epoch.
        skew_s: how far it is ahead of the server's; None when not told.
    """

    line: Line
    paging: Paging
    site: Site
    now_s: float
    skew_s: float | None


def poll_again(stand: Stand, first: Pull) -> None:
    """Note what the next poll would lose or read again."""
    if not first.items:
        return
    match stand.paging.cursor:
        case Cursor.DATE_ADDED_LAST:
            _by_header(stand, first)
        case Cursor.MODIFIED:
            _by_modified(stand, first)
        case Cursor.CLOCK:
            _by_clock(stand, first)
        case Cursor.NONE:
            return


def _by_header(stand: Stand, first: Pull) -> None:
    line, form = stand.line, stand.paging.form
    header = first.cursor
    if header is None:
        loses = stand.paging.no_header is NoHeader.NOW
        severity = Severity.LOSES if loses else Severity.DUPLICATES
        line.note("date-header-missing", severity, first.pages[-1].said)
        return
    if micros(header) is None:
        severity = Severity.FAILS if form is Form.VERBATIM else Severity.DUPLICATES
        line.note("date-header-form", severity, first.pages[-1].said)
        return
    cursor = written(header, form)
    if cursor is None:
        return
    second = _second(stand, Asked(limit=stand.paging.limit, after=cursor))
    if second is None:
        return
    repeated = len(first.ids & second.ids)
    if not repeated:
        return
    said = f"{repeated} of {len(first.ids)} again"
    if cursor != header and repeated < len(first.ids):
        line.note("reads-again", Severity.WORKS, said, *second.said)
    elif repeated == len(first.ids) and repeated > 1:
        line.note("added-after-ignored", Severity.DUPLICATES, said, *second.said)
    else:
        line.note("added-after-inclusive", Severity.DUPLICATES, said, *second.said)


def _by_modified(stand: Stand, first: Pull) -> None:
    line = stand.line
    cursor = latest_modified(first.items)
    if cursor is None:
        return
    newest = max(stand.site.truth.added.values(), default=None)
    at = micros(cursor)
    if at is not None and newest is not None and at > max(newest, int(stand.now_s * 1_000_000)):
        line.note("modified-ahead", Severity.LOSES, f"latest modified {line.shown.text(cursor)}")
    second = _second(stand, Asked(limit=stand.paging.limit, after=cursor))
    if second is not None and (repeated := len(first.ids & second.ids)):
        line.note("reads-again", Severity.WORKS, f"{repeated} again", *second.said)


def _by_clock(stand: Stand, first: Pull) -> None:
    line = stand.line
    if stand.skew_s is not None and stand.skew_s > SKEW_SECONDS:
        line.note("clock-skew", Severity.LOSES, f"{stand.skew_s:.0f} s ahead of the Date header")
    moment = datetime.fromtimestamp(int(stand.now_s), UTC)
    cursor = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    stale = first.last_next if stand.paging.keeps_next else None
    second = _second(stand, Asked(limit=stand.paging.limit, after=cursor, stale=stale))
    if second is not None and (repeated := len(first.ids & second.ids)):
        line.note("reads-again", Severity.WORKS, f"{repeated} again", *second.said)


def _second(stand: Stand, asked: Asked) -> Pull | None:
    try:
        return pull(stand.line, stand.paging, stand.site.objects_url, asked)
    except GivesUpError as error:
        code = "stale-next" if asked.stale is not None else "added-after-refused"
        if error.finding.code != "bad-status":
            raise
        stand.line.note(code, Severity.FAILS, *error.finding.evidence)
        return None


def resume(stand: Stand, limit: int) -> None:
    """A client that is restarted after its first page: does its cursor bring the rest?"""
    line, paging, url = stand.line, stand.paging, stand.site.objects_url
    after = in_form(WINDOW, paging.form) if paging.window else None
    part = pull(line, paging, url, Asked(limit=limit, after=after, pages=1))
    kept = latest_modified(part.items) if paging.cursor is Cursor.MODIFIED else part.cursor
    cursor = written(kept, paging.form)
    if cursor is None:
        return
    rest = pull(line, paging, url, Asked(limit=limit, after=cursor))
    if rest.end is not End.WHOLE:
        return
    truth = {item.key.id for item in stand.site.truth.items}
    lost = truth - part.ids - rest.ids
    if lost:
        said = f"{len(lost)} of {len(truth)}, such as {line.shown.text(min(lost))}"
        line.note("resume-loses", Severity.LOSES, said, *part.said, *rest.said[:1])


def latest_modified(items: list[Item]) -> str | None:
    """The latest `modified`, in its own spelling."""
    known = [(at, item.modified) for item in items if (at := micros(item.modified)) is not None]
    return max(known)[1] if known else None
