"""The hub in service: polls, pages, posts and long pulls, on SQLite and on PostgreSQL.

Sides are measured one after the other in one run, on two worker processes each, with wrk where many
clients are asked for. Authentication and policy are on; what one client may ask per second is not
limited. medallion stands for what a user would pick instead: its blueprints over the same store, on
the same HTTP server.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from tests.bench import sites
from tests.bench.sites import Loaded, Site
from tests.bench.table import Row

STORED: Final = 20_000
LONG_PULL, FULL_PULL = 100_000, 1_000_000
CURVE: Final = (10_000, 100_000)
FULL_CURVE: Final = (10_000, 100_000, 1_000_000, 10_000_000)
SECONDS: Final = 8
CLIENTS: Final = 64
EMPTY: Final = "objects/?added_after=2050-01-01T00:00:00.000000Z"
PAGE: Final = "objects/?limit=1000"
_POST: Final = str(Path(__file__).with_name("post.lua"))
_runs = itertools.count(1)


class _Envelope(msgspec.Struct):
    """An envelope whose objects are counted, not read."""

    more: bool = False
    next: str | None = None
    objects: list[msgspec.Raw] = []


def measure(*, full: bool = False) -> list[Row]:
    """Measure everything; about four minutes, with `full` some forty."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with sites.bare(folder) as bare:
            polled = bare.wrk("", seconds=SECONDS, connections=CLIENTS)
        rows = [Row("bare Starlette route", f"{polled['per_second']:,.0f}/s", "", None, "")]
        rates: dict[str, float] = {}
        for engine, database in _engines():
            with database as url:
                place = sites.loaded(folder / engine, STORED, database=url)
                found, rates[engine] = _side_by_side(engine, place, polled["per_second"])
                rows += found
                rows += _posts(engine, place)
                rows += _pull(engine, place, FULL_PULL if full else LONG_PULL)
                if full:
                    rows += _curve(engine, folder, FULL_CURVE)
                else:
                    rows += _curve(engine, folder, CURVE)
        rows.append(
            Row(
                "empty poll, PostgreSQL to SQLite",
                f"{rates['postgresql']:,.0f}/s",
                f"{rates['sqlite']:,.0f}/s",
                rates["postgresql"] / rates["sqlite"],
                "0.2x",
            )
        )
    return rows


def _engines() -> Iterator[tuple[str, contextlib.AbstractContextManager[str | None]]]:
    yield "sqlite", contextlib.nullcontext()
    yield "postgresql", sites.postgresql()


def _side_by_side(engine: str, place: Loaded, bare: float) -> tuple[list[Row], float]:
    """Empty polls and pages, ours and medallion's; the rows, and our polls per second."""
    with sites.hub(place) as site:
        polls = site.wrk(EMPTY, seconds=SECONDS, connections=CLIENTS)
        pages = site.wrk(PAGE, seconds=SECONDS, connections=8)
        packed = site.wrk(PAGE, seconds=SECONDS, connections=8, **{"Accept-Encoding": "zstd"})
    with sites.medallion(place) as theirs:
        their_polls = theirs.wrk(EMPTY, seconds=SECONDS, connections=CLIENTS)
        their_pages = theirs.wrk(PAGE, seconds=SECONDS, connections=8)
    rate = polls["per_second"]
    return [
        _row(f"{engine}: empty poll, {CLIENTS} connections", polls, their_polls, "2x"),
        Row(
            f"{engine}: empty poll against the bare route",
            f"{rate:,.0f}/s",
            f"{bare:,.0f}/s",
            rate / bare,
            "reach 0.5x",
        ),
        _row(f"{engine}: page of 1,000", pages, their_pages, "5x, reach 9x"),
        _row(f"{engine}: page of 1,000, zstd from cache", packed, their_pages, "reach 20x"),
    ], rate


def _row(work: str, ours: dict[str, float], theirs: dict[str, float], floor: str) -> Row:
    return Row(
        work,
        f"{ours['per_second']:,.0f}/s, p99 {ours['p99']:.0f} ms",
        f"{theirs['per_second']:,.0f}/s, p99 {theirs['p99']:.0f} ms",
        ours["per_second"] / theirs["per_second"],
        floor,
    )


def _posts(engine: str, place: Loaded) -> list[Row]:
    rows = []
    for each, clients, floor in ((1000, 64, "15k, reach 25k"), (1, 64, "5k, reach 10k")):
        os.environ["BENCH_OBJECTS"], os.environ["BENCH_RUN"] = str(each), str(next(_runs))
        with sites.hub(place) as site, sites.opened(place) as store:
            before, began = store.count(place.collection), time.perf_counter()
            posts = site.wrk("objects/", seconds=SECONDS, connections=clients, script=_POST)
            stored = store.count(place.collection) - before
            rate = stored / (time.perf_counter() - began)
        ours = f"{rate:,.0f} objects/s, p99 {posts['p99']:.0f} ms"
        rows.append(
            Row(f"{engine}: POST, {each:,} a body, {clients} clients", ours, "", None, floor)
        )
    return rows


def _pull(engine: str, place: Loaded, objects: int) -> list[Row]:
    """One plain client reads the whole collection, page by page."""
    with sites.opened(place) as store:
        held = store.count(place.collection)
        sites.fill(store, place.collection, STORED, STORED + max(0, objects - held))
        held = store.count(place.collection)
    with sites.hub(place) as site:
        began = time.perf_counter()
        found = pull(site)
        rate = found / (time.perf_counter() - began)
    if found != held:
        raise RuntimeError(f"{held} objects expected, {found} found")
    return [Row(f"{engine}: pull of {found:,}", f"{rate:,.0f} objects/s", "", None, "40k")]


def pull(site: Site, **headers: str) -> int:
    """Read every page over one connection; the number of objects."""
    parts = urlsplit(site.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    found, cursor = 0, ""
    with contextlib.closing(connection):
        while True:
            following = f"&next={quote(cursor)}" if cursor else ""
            path = f"{parts.path}{PAGE}{following}"
            connection.request("GET", path, headers={**site.headers, **headers})
            answer = connection.getresponse()
            page = msgspec.json.decode(answer.read(), type=_Envelope)
            found += len(page.objects)
            if not page.more or page.next is None:
                return found
            cursor = page.next


def _curve(engine: str, folder: Path, sizes: tuple[int, ...]) -> list[Row]:
    """Latency of a poll and of a page in the middle, over the number of objects stored."""
    rows = []
    first: dict[str, float] = {}
    database = sites.postgresql() if engine == "postgresql" else contextlib.nullcontext()
    with database as url:
        place = sites.loaded(folder / f"{engine}-curve", 0, database=url)
        held = 0
        for size in sizes:
            with sites.opened(place) as store:
                sites.fill(store, place.collection, held, size)
            held = size
            with sites.hub(place) as site:
                middle = _middle(place, size)
                figures = {
                    "poll": site.wrk(EMPTY, seconds=4, connections=1)["p50"],
                    "page": site.wrk(f"{PAGE}&added_after={middle}", seconds=4, connections=1)[
                        "p50"
                    ],
                }
            first = first or figures
            rows += [
                Row(
                    f"{engine}: {name}, {size:,} objects stored",
                    f"{value:.2f} ms",
                    f"{first[name]:.2f} ms at {sizes[0]:,}",
                    first[name] / value,
                    "flat within 2x",
                )
                for name, value in figures.items()
            ]
    return rows


def _middle(place: Loaded, size: int) -> str:
    """A date_added near the middle of the collection, as text."""
    from hub.taxii.filters import Filters
    from hub.taxii.times import to_text

    with sites.opened(place) as store:
        first = store.manifest(place.collection, Filters(), 1).rows[0].date_added
        head = store.head(place.collection) or first
    return to_text(first + (head - first) // 2) if size else to_text(first)
