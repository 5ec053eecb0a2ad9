"""The hub against stock medallion: pulls, empty polls, posts; real processes, one client each.

Both are asked on one machine in one run, one request at a time. The hub holds 10,000 objects,
medallion 1,000, because it grows with the square of a collection: the comparison by object
favours it. Source of medallion: 3.0.0 with its memory backend, a page of 1,000.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from taxii2client.v21 import Collection, as_pages

from tests.bench.table import Row
from tests.interop.medallion_process import PASSWORD, USER, medallion, stock_backend

OURS, THEIRS, PAGE = 10_000, 1_000, 1_000
POLLS, THEIR_POLLS = 3_000, 2
TAXII = "application/taxii+json;version=2.1"


class _Site(NamedTuple):
    """A collection somewhere, and who asks."""

    url: str
    user: str
    password: str


def measure() -> list[Row]:
    """Measure everything; takes about a minute, most of it medallion's."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder = Path(name)
        ours = running.enter_context(_hub(folder / "hub"))
        theirs = running.enter_context(_medallion(folder))
        posted = _timed(lambda: _post(ours, [_indicator(number) for number in range(OURS)]))
        _post_check(ours)
        rows = [
            _pulls("pull, taxii2-client", _pull_with_client, ours, theirs),
            _pulls("pull, plain HTTP", _pull_plainly, ours, theirs),
            _polls(ours, theirs),
        ]
        # Last, as it makes medallion's collection larger.
        more = [_indicator(number) for number in range(THEIRS)]
        their_posted = _timed(lambda: _post(theirs, more))
    per_second, their_per_second = OURS / posted, THEIRS / their_posted
    rows.append(
        Row(
            "POST, 1,000-object envelopes",
            f"{per_second:,.0f} objects/s",
            f"{their_per_second:,.0f} objects/s",
            per_second / their_per_second,
            "",
        )
    )
    return rows


def _pulls(work: str, pull: Callable[[_Site], int], ours: _Site, theirs: _Site) -> Row:
    seconds = min(_timed(lambda: _expect(pull(ours), OURS)) for _ in range(3))
    their_seconds = _timed(lambda: _expect(pull(theirs), THEIRS))
    each, their_each = seconds / OURS, their_seconds / THEIRS
    return Row(
        f"{work}, {OURS:,} objects (theirs {THEIRS:,})",
        f"{seconds:.2f} s, {1 / each:,.0f} objects/s",
        f"{their_seconds:.2f} s, {1 / their_each:,.0f} objects/s",
        their_each / each,
        "20x per object",
    )


def _polls(ours: _Site, theirs: _Site) -> Row:
    per_second = POLLS / _timed(lambda: _poll(ours, POLLS))
    their_per_second = THEIR_POLLS / _timed(lambda: _poll(theirs, THEIR_POLLS))
    return Row(
        f"empty poll (added_after), {OURS:,} objects (theirs {THEIRS:,})",
        f"{per_second:,.0f}/s",
        f"{their_per_second:,.2f}/s",
        per_second / their_per_second,
        "100x",
    )


@contextmanager
def _hub(data: Path) -> Iterator[_Site]:
    log_path = data.with_name("hub.log")
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub.cli", "hub", "dev", "--data", str(data)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(log_path.read_text(encoding="utf-8"))
            account = json.loads(line)
            collection = account["collections"]["rw1"]
            url = f"{account['api_root'].rstrip('/')}/collections/{collection}/"
            yield _Site(url, account["user"], account["token"])
        finally:
            process.terminate()
            process.wait(timeout=20)
            if process.stdout is not None:
                process.stdout.close()


@contextmanager
def _medallion(folder: Path) -> Iterator[_Site]:
    objects = [_indicator(number) for number in range(THEIRS)]
    manifest = [
        {
            "id": obj["id"],
            "date_added": f"2026-01-01T00:00:00.{number:06d}Z",
            "version": obj["modified"],
            "media_type": "application/stix+json;version=2.1",
        }
        for number, obj in enumerate(objects)
    ]
    collection = {
        "id": str(uuid.uuid4()),
        "title": "Bench",
        "can_read": True,
        "can_write": True,
        "objects": objects,
        "manifest": manifest,
    }
    backend = stock_backend(folder / "stock.json", [collection])
    with medallion(folder, backend, page=PAGE) as url:
        yield _Site(f"{url}/stock/collections/{collection['id']}/", USER, PASSWORD)


def _pull_with_client(site: _Site) -> int:
    collection = Collection(site.url, user=site.user, password=site.password)
    with contextlib.closing(collection):
        pages = as_pages(collection.get_objects, per_request=PAGE)
        return sum(len(page.get("objects", ())) for page in pages)


def _pull_plainly(site: _Site) -> int:
    count = 0
    cursor: str | None = ""
    with contextlib.closing(_connection(site)) as connection:
        while cursor is not None:
            following = f"&next={quote(cursor)}" if cursor else ""
            page = json.loads(_get(connection, site, f"objects/?limit={PAGE}{following}"))
            count += len(page.get("objects", ()))
            cursor = page.get("next") if page.get("more") else None
    return count


def _poll(site: _Site, times: int) -> None:
    with contextlib.closing(_connection(site)) as connection:
        for _ in range(times):
            body = _get(connection, site, "objects/?added_after=2050-01-01T00:00:00.000000Z")
            _expect(len(json.loads(body).get("objects", ())), 0)


def _post(site: _Site, objects: list[dict[str, Any]]) -> None:
    with contextlib.closing(_connection(site)) as connection:
        for start in range(0, len(objects), PAGE):
            body = json.dumps({"objects": objects[start : start + PAGE]}).encode()
            headers = {**_headers(site), "Content-Type": TAXII}
            connection.request("POST", f"{_path(site)}objects/", body, headers)
            answer = connection.getresponse()
            status = json.loads(answer.read())
            if answer.status != 202 or status["failure_count"]:
                raise RuntimeError(f"a post was answered {answer.status}")


def _post_check(site: _Site) -> None:
    _expect(_pull_plainly(site), OURS)


def _get(connection: http.client.HTTPConnection, site: _Site, rest: str) -> bytes:
    connection.request("GET", _path(site) + rest, headers=_headers(site))
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"a request was answered {answer.status}")
    return body


def _connection(site: _Site) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=600)


def _path(site: _Site) -> str:
    return urlsplit(site.url).path


def _headers(site: _Site) -> dict[str, str]:
    credentials = b64encode(f"{site.user}:{site.password}".encode()).decode()
    return {"Accept": TAXII, "Authorization": f"Basic {credentials}"}


def _indicator(number: int) -> dict[str, Any]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid4()}",
        "created_by_ref": "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "name": f"Egress address {number} of a reselling proxy",
        "description": "Fictional; made for measuring. " * 12,
        "indicator_types": ["anomalous-activity"],
        "pattern": f"[ipv4-addr:value = '198.51.100.{number % 256}']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_until": "2026-03-01T00:00:00Z",
        "confidence": 80,
    }


def _expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise RuntimeError(f"{wanted} objects expected, {found} found")


def _timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
