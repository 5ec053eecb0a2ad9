"""One marked object, posted as the client posts, its status followed, and read back."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from hub.doctor.findings import GivesUpError, Severity
from hub.doctor.line import Line
from hub.doctor.survey import Site
from hub.errors import InputError
from hub.model.codec import Json, dumps

_COUNTS: Final = ("success_count", "failure_count", "pending_count")
_NAMESPACE: Final = uuid.UUID("5b0a4c0e-8a0f-4c56-9c3e-1d6d3f2b7a11")


def marked(who: str, moment: datetime) -> Json:
    """The object that a write probe sends: an indicator of nothing, which says what it is."""
    # Never ahead of the server's clock: XSOAR would poll on from there.
    before = moment.astimezone(UTC) - timedelta(hours=1)
    stamp = before.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid5(_NAMESPACE, f'{who} {stamp}')}",
        "created": stamp,
        "modified": stamp,
        "name": "stillwatch doctor write probe",
        "description": f"Posted by `stillwatch doctor` as {who} would; of no meaning.",
        "indicator_types": ["benign"],
        "pattern": "[ipv4-addr:value = '192.0.2.0']",
        "pattern_type": "stix",
        "valid_from": stamp,
        "valid_until": before.strftime("%Y-%m-%dT%H:%M:%S.001Z"),
        "labels": ["stillwatch-doctor"],
    }


def write_marked(line: Line, site: Site, moment: datetime | None = None) -> None:
    """Post, follow the status, read back.

    Raises:
        GivesUpError: the client cannot write there.
    """
    one = marked(line.who, moment or datetime.now(UTC))
    body = dumps({"objects": [one]})
    _fits(line, site, len(body))
    if not site.collection.can_write:
        raise line.ended("not-writable")
    answer = line.send("POST", site.objects_url, body)
    if answer.status not in (200, 201, 202):
        finding = line.refusal(answer).finding
        code = "write-refused" if finding.code in ("bad-status", "not-found") else finding.code
        raise line.ended(code, *finding.evidence)
    status = _checked(line, line.read(answer))
    _follow(line, site, status)
    if status.get("failure_count"):
        raise line.ended("object-refused", line.last)
    _read_back(line, site, str(one["id"]))


def _fits(line: Line, site: Site, length: int) -> None:
    body, _ = line.json(site.root)
    most = body.get("max_content_length")
    if not isinstance(most, int) or isinstance(most, bool) or most <= 0:
        line.note("max-content-length", Severity.WORKS, line.last)
    elif most < length:
        raise line.ended("too-small", line.last, f"{most} bytes for an object of {length}")


def _checked(line: Line, status: Json) -> Json:
    """A status as taxii2-client takes it: all members there, counts that add up."""
    counts = [status.get(name) for name in _COUNTS]
    total = status.get("total_count")
    numbers = [one for one in (*counts, total) if isinstance(one, int)]
    whole = len(numbers) == 4 and isinstance(total, int) and sum(numbers) == 2 * total
    if not status.get("id") or not status.get("status") or not whole:
        raise line.ended("status-broken", line.last)
    return status


def _follow(line: Line, site: Site, status: Json) -> None:
    try:
        again, _ = line.json(f"{site.root}status/{quote(str(status['id']))}/")
    except GivesUpError as error:
        line.note("status-missing", Severity.WORKS, *error.finding.evidence)
        return
    _checked(line, again)


def _read_back(line: Line, site: Site, object_id: str) -> None:
    if not site.collection.can_read:
        return
    try:
        body, _ = line.json(f"{site.objects_url}{object_id}/")
    except (GivesUpError, InputError):
        raise line.ended("written-missing", line.last) from None
    if not body.get("objects"):
        raise line.ended("written-missing", line.last)
