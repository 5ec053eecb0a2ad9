"""One client's visit: its steps in its order, its pulls held against the careful reader's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit
from uuid import UUID

from hub.doctor.envelope import Key
from hub.doctor.findings import Finding, GivesUpError, OutOfRequestsError, Severity
from hub.doctor.library import read_with_library
from hub.doctor.line import Line
from hub.doctor.polls import Stand, poll_again, resume
from hub.doctor.profile import Paging, Step
from hub.doctor.pull import WINDOW, Asked, End, Pull, again, in_form, pull
from hub.doctor.survey import Site
from hub.doctor.write import write_marked
from hub.model.codec import Json

_FEW_PAGES: Final = 4


@dataclass(frozen=True)
class Scene:
    """What each client is shown.

    Args:
        site: where to ask, and what is there.
        now_s: this machine's clock, seconds since the epoch: the client's clock.
        skew_s: how far it is ahead of the server's; None when not told.
        writes: where the write steps may post; None takes none.
        exists: whether an object can still be read by its id: it may be deleted meanwhile.
    """

    site: Site
    now_s: float
    skew_s: float | None
    writes: Site | None
    exists: Callable[[str], bool]


def visit(line: Line, scene: Scene, *, writing: bool = False) -> list[Finding]:
    """Take the client's steps; what it meets.

    Args:
        writing: take the write steps, else all the others: what one client posts should not
            puzzle the next, so that posts come when everybody has read.
    """
    steps: dict[Step, Callable[[Line, Scene], None]] = {
        Step.DISCOVERY: _discovery,
        Step.API_ROOT: _api_root,
        Step.COLLECTIONS: _collections,
        Step.COLLECTION: _collection,
        Step.PULL: _pulls,
        Step.LIBRARY: _library,
        Step.WRITE: _write,
    }
    if line.client.https_only and not writing and urlsplit(scene.site.root).scheme == "http":
        severity = Severity.WORKS if _loopback(scene.site.root) else Severity.FAILS
        line.note("plain-http", severity, f"{line.shown.text(scene.site.root)}")
    try:
        for step in line.client.steps:
            if (step is Step.WRITE) is writing:
                steps[step](line, scene)
    except GivesUpError as error:
        line.findings.append(error.finding)
    except OutOfRequestsError:
        line.note("budget", Severity.WORKS)
    return line.findings


def can_write(line: Line) -> bool:
    """Whether the client posts at all, and got as far as that."""
    failed = any(one.severity is Severity.FAILS for one in line.findings)
    return Step.WRITE in line.client.steps and not failed


def _loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _discovery(line: Line, scene: Scene) -> None:
    site = scene.site
    body, _ = line.json(site.discovery)
    roots = body.get("api_roots")
    if not isinstance(roots, list) or not roots:
        raise line.ended("no-roots", line.last)
    whole = [_slashed(urljoin(site.discovery, one)) for one in roots if isinstance(one, str)]
    if site.root in whole:
        return
    path = urlsplit(site.root).path
    if any(urlsplit(one).path == path for one in whole):
        raise line.ended("root-elsewhere", line.last, line.shown.text(whole[0]))
    raise line.ended("root-not-listed", line.last)


def _slashed(url: str) -> str:
    return url if url.endswith("/") else url + "/"


def _api_root(line: Line, scene: Scene) -> None:
    body, _ = line.json(scene.site.root)
    length = body.get("max_content_length")
    if Step.WRITE in line.client.steps and (not isinstance(length, int) or length <= 0):
        raise line.ended("max-content-length", line.last)


def _collections(line: Line, scene: Scene) -> None:
    site = scene.site
    body, _ = line.json(site.collections_url)
    listed = [one for one in _list(body, "collections") if isinstance(one, dict)]
    ours = [one for one in listed if one.get("id") == site.collection.id]
    if not ours:
        raise line.ended("collection-missing", line.last, f"{len(listed)} are listed")
    if not line.client.by_title:
        return
    title = ours[0].get("title")
    same = [one for one in listed if one.get("title") == title]
    if len(same) > 1:
        taken = same[0].get("id") == site.collection.id
        severity = Severity.WORKS if taken else Severity.FAILS
        line.note("title-ambiguous", severity, line.last, line.shown.text(f"title: {title}"))
    name = urlsplit(site.root).path.strip("/").rsplit("/", 1)[-1]
    if line.client.dotted and ("." in str(title) or "." in name):
        line.note("title-dot", Severity.FAILS, line.shown.text(f"{name}.{title}"))


def _list(body: Json, name: str) -> list[object]:
    value = body.get(name)
    return value if isinstance(value, list) else []


def _collection(line: Line, scene: Scene) -> None:
    site = scene.site
    if line.client.uuid_only and not _uuid4(site.collection.id):
        raise line.ended("id-form", line.shown.text(site.collection.id))
    body, _ = line.json(site.collection_url)
    if Step.PULL in line.client.steps and body.get("can_read") is not True:
        raise line.ended("not-readable", line.last)


def _uuid4(text: str) -> bool:
    try:
        return UUID(text).version == 4
    except ValueError:
        return False


def _pulls(line: Line, scene: Scene) -> None:
    paging = line.client.paging
    assert paging is not None
    if not scene.site.collection.can_read:
        raise line.ended("not-readable")
    first = _one_pull(line, scene, paging, paging.limit)
    held = len(scene.site.truth.items)
    one = len(first.pages) == 1 and not first.pages[0].more
    if paging.configurable and one and held >= _FEW_PAGES:
        # Page edges are where things are lost: a user may well choose smaller pages.
        first = _one_pull(line, scene, paging, -(-held // _FEW_PAGES))
    stand = Stand(line, paging, scene.site, scene.now_s, scene.skew_s)
    if first.end is End.WHOLE:
        poll_again(stand, first)
    if paging.persists and (len(first.pages) > 1 or first.end is End.REFUSED):
        resume(stand, first)


def _one_pull(line: Line, scene: Scene, paging: Paging, limit: int | None) -> Pull:
    after = in_form(WINDOW, paging.form) if paging.window else None
    try:
        pulled = pull(line, paging, scene.site.objects_url, Asked(limit=limit, after=after))
    except GivesUpError as error:
        if after is not None and error.finding.code == "bad-status":
            raise line.ended("added-after-refused", *error.finding.evidence) from error
        raise
    compare(line, scene, pulled)
    return pulled


def compare(line: Line, scene: Scene, pulled: Pull) -> None:
    """Note what the client lacks and what it has twice."""
    twice = again(pulled.items)
    if twice and pulled.end is not End.ENDLESS:
        said = f"{len(twice)} twice, such as {line.shown.text(twice[0].id)}"
        line.note("duplicates", Severity.DUPLICATES, said, *pulled.said)
    truth = scene.site.truth
    reach = truth.items
    if pulled.end not in (End.WHOLE, End.REFUSED):
        got = set(pulled.keys)
        ends = [at for at, item in enumerate(reach) if item.key in got]
        reach = reach[: max(ends) + 1] if ends else []
    lost = [item.key for item in reach if item.key.id not in pulled.ids]
    lost = [key for key in lost[:3] if scene.exists(key.id)] + lost[3:]
    if not lost:
        return
    code = "lost-equal-stamps" if _shares_stamp(scene, lost, pulled) else "lost-objects"
    said = f"{len(lost)} of {len(truth.items)}, such as {line.shown.text(lost[0].id)}"
    line.note(code, Severity.LOSES, said, *pulled.said)


def _shares_stamp(scene: Scene, lost: list[Key], pulled: Pull) -> bool:
    added = scene.site.truth.added
    got = {added[key] for key in pulled.keys if key in added}
    return any(added.get(key) in got for key in lost)


def _library(line: Line, scene: Scene) -> None:
    compare(line, scene, read_with_library(line, scene.site))


def _write(line: Line, scene: Scene) -> None:
    if scene.writes is not None:
        write_marked(line, scene.writes)
