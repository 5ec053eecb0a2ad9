"""Events, pages that are kept ready, and the way from a publication to a match.

One hub process serves a thousand idle streams of events, read by one client in this process; what
is measured includes that client. The matching subscriber follows a channel as `pull --follow` does,
and puts what arrives into a live matcher.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from hub.cli.options import desk_of
from hub.client.follow import Round, Waking, follow
from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.client.publisher import Options, prepare, publish
from hub.match.engine import IndicatorIndex
from hub.match.live import LiveMatcher
from tests.bench import sites
from tests.bench.push_hunt import hunted
from tests.bench.sites import Loaded, Site
from tests.bench.table import Row
from tests.e2e.members import Work, end, free_port, serve

SUBSCRIBERS: Final = 1_000
POSTS: Final = 40
PUBLICATIONS: Final = 20
STORED: Final = 20_000
SECONDS: Final = 5


def measure(*, full: bool = False) -> list[Row]:
    """Measure everything; about two minutes, on PostgreSQL too with `full`."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        kinds: dict[str, str | None] = {"SQLite": None}
        if full:
            kinds["PostgreSQL"] = stack.enter_context(sites.postgresql())
        for kind, database in kinds.items():
            place = sites.loaded(Path(name) / kind, STORED, database=database)
            rows += _pages(kind, place)
            rows += _events(kind, place)
        rows += _matching(Path(name))
    return rows


def _pages(kind: str, place: Loaded) -> list[Row]:
    """The same full page out of memory, and as it is when it is not kept."""
    with sites.hub(place) as site:
        codings = {"accept-encoding": "zstd"}
        page = "objects/?limit=1000"
        kept = site.wrk(page, seconds=SECONDS, connections=16, **codings)
        made = site.wrk(f"{page}&match[version]=all", seconds=SECONDS, connections=16, **codings)
    ours, theirs = kept["per_second"], made["per_second"]
    work = f"{kind}: page of 1,000 objects as zstd, kept ready / made anew"
    return [Row(work, f"{ours:,.0f}/s", f"{theirs:,.0f}/s", ours / theirs, "")]


# -- events -----------------------------------------------------------------------------------


def _events(kind: str, place: Loaded) -> list[Row]:
    most = {"STILLWATCH_HUB_ACCOUNT_STREAMS": "5000", "STILLWATCH_HUB_STREAMS": "5000"}
    roomy = dataclasses.replace(place, environment={**place.environment, **most})
    with sites.hub(roomy, processes=1) as site:
        memory, seconds = asyncio.run(_subscribe(site))
    seconds.sort()
    p50, p99 = (seconds[int(len(seconds) * share)] * 1000 for share in (0.5, 0.99))
    return [
        Row(f"{kind}: idle stream of {SUBSCRIBERS:,}", f"{memory:.0f} KB", "", None, "60 KB"),
        Row(
            f"{kind}: publish to delivery, {SUBSCRIBERS:,} streams, p99 (p50)",
            f"{p99:.0f} ms ({p50:.0f} ms)",
            "",
            None,
            "250 ms",
        ),
    ]


async def _subscribe(site: Site) -> tuple[float, list[float]]:
    """KB of the hub for each stream, and seconds from each post to each stream."""
    port = urlsplit(site.url).port or 80
    pids = _serving(port)
    before = sum(map(_resident, pids))
    arrived: list[float] = []
    tasks, opened = [], asyncio.Semaphore(0)
    for _ in range(SUBSCRIBERS):
        tasks.append(asyncio.create_task(_read(site, port, opened, arrived)))
        if len(tasks) % 50 == 0:
            await asyncio.sleep(0.05)
    for _ in range(SUBSCRIBERS):
        await asyncio.wait_for(opened.acquire(), 60)
    await asyncio.sleep(2)
    memory = (sum(map(_resident, pids)) - before) / SUBSCRIBERS
    taken: list[float] = []
    for number in range(POSTS):
        arrived.clear()
        began = time.perf_counter()
        await asyncio.to_thread(_post, site, number)
        for _ in range(200):
            if len(arrived) >= SUBSCRIBERS:
                break
            await asyncio.sleep(0.02)
        assert len(arrived) == SUBSCRIBERS, f"{len(arrived)} of {SUBSCRIBERS} were told"
        taken += [moment - began for moment in arrived]
        await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return memory, taken


async def _read(site: Site, port: int, opened: asyncio.Semaphore, arrived: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {urlsplit(site.url).path}events/ HTTP/1.1", "Host: localhost"]
    lines += [f"Authorization: {site.headers['Authorization']}", "", ""]
    writer.write("\r\n".join(lines).encode())
    try:
        while line := await reader.readline():
            if line.startswith(b"event: open"):
                opened.release()
            elif line.startswith(b"event: added"):
                arrived.append(time.perf_counter())
    finally:
        writer.close()


def _post(site: Site, number: int) -> None:
    body = b'{"objects":[%s]}' % sites.indicator(10_000_000 + time.time_ns() % 10**8 + number)
    answer = requests.post(
        f"{site.url}objects/",
        data=body,
        headers={**site.headers, "Content-Type": sites.TAXII},
        timeout=30,
    )
    assert answer.status_code == 202, answer.text


def _serving(port: int) -> list[int]:
    """The processes of a hub at a port."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if str(port).encode() in words:
                    found.append(int(entry.name))
    return found


def _resident(pid: int) -> float:
    """KB of a process in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1])
    return 0.0


# -- from a publication to a match ------------------------------------------------------------


def _matching(folder: Path) -> list[Row]:
    place = folder / "members"
    place.mkdir()
    with _channel(Work(place, free_port())) as work:
        # The first one compiles the matcher's kernels, as `stillwatch warm` does.
        rows = [_row("match", _published(work)[1:])]
        rows.append(_row("line of `hunt run --follow`", hunted(work, PUBLICATIONS)))
    return rows


def _row(what: str, taken: list[float]) -> Row:
    taken = sorted(taken)
    p50, p99 = taken[len(taken) // 2] * 1000, taken[-1] * 1000
    work = f"publish to {what}, sealing included, largest of {PUBLICATIONS} (p50)"
    return Row(work, f"{p99:.0f} ms ({p50:.0f} ms)", "", None, "2 s")


@contextlib.contextmanager
def _channel(work: Work) -> Iterator[Work]:
    work.run("none", "hub", "init", "--data", "hub")
    for name in ("lab", "provider"):
        work.token(name)
        work.run(name, "init", "--organisation", name.title(), "--key-file")
    added = ("collection", "add", "Circle", "--owner", "lab", "--data", "hub")
    collection = work.json("none", "hub", *added)["id"]
    process = serve(work)
    try:
        hub = ("--hub", work.api_root, "--token-file", "lab.token")
        work.run("lab", "channel", "create", "circle", *hub, "--collection", collection)
        words = ("--organisation", "Provider", "--role", "report", "--out", "invitation")
        work.run("lab", "channel", "invite", "circle", *words)
        given = ("--invitation-file", "invitation", "--token-file", "provider.token")
        joined = work.json("provider", "join", *given, "--name", "circle")
        work.run("lab", "channel", "approve", "circle", "--words", " ".join(joined["words"]))
        work.run("provider", "pull")
        yield work
    finally:
        end(process)


def _published(work: Work) -> list[float]:
    """Seconds from the beginning of each publication to the first match of it."""
    matched: dict[str, float] = {}
    waking, ready = Waking(), threading.Event()
    follower = threading.Thread(target=_follow, args=(work, waking, matched, ready))
    follower.start()
    taken = []
    try:
        assert ready.wait(60), "the subscriber does not follow"
        time.sleep(2)
        with Home.open(work.folder / "lab", Unlock.key_file()) as home:
            desk = desk_of(home)
            for number in range(PUBLICATIONS + 1):
                address = f"198.51.100.{number + 1}"
                path = work.folder / f"{number}.csv"
                path.write_text(f"address,campaign\n{address},LANTERN\n")
                began = time.perf_counter()
                channel = home.state.channel("circle")
                prepared = prepare(home, channel, (path,), Options(), now=int(time.time()))
                publish(desk, channel, prepared)
                until = time.monotonic() + 60
                while address not in matched and time.monotonic() < until:
                    time.sleep(0.002)
                taken.append(matched[address] - began)
                time.sleep(0.3)
    finally:
        waking.end()
        follower.join(30)
    return taken


def _follow(work: Work, waking: Waking, matched: dict[str, float], ready: threading.Event) -> None:
    """Follow, put what arrives into a matcher, and ask it about traffic from every address."""
    index = IndicatorIndex.build([])
    matcher = LiveMatcher(index)
    known: set[str] = set()
    with Home.open(work.folder / "provider", Unlock.key_file()) as home:

        def take(found: Round) -> None:
            nonlocal index
            ready.set()
            if not any(each.objects for each in found.results):
                return
            fresh = [each for each in home.indicator_objects() if str(each["id"]) not in known]
            known.update(str(each["id"]) for each in fresh)
            index = index.updated(fresh)
            matcher.swap(index)
            for number in range(PUBLICATIONS + 1):
                address = f"198.51.100.{number + 1}"
                if address not in matched and matcher.match(_exchange(address)):
                    matched[address] = time.perf_counter()

        follow(desk_of(home), (), 60.0, waking, take)


def _exchange(address: str) -> dict[str, Any]:
    return {
        "observed_at": datetime.now(UTC) + timedelta(seconds=5),
        "event_id": address,
        "client_ip": address,
    }


if __name__ == "__main__":
    for row in measure():
        print(json.dumps(row._asdict()))
