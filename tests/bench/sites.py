"""The servers that are measured: a hub, medallion's blueprints over the same store, a bare route.

Each runs as its operator would run it, with two worker processes behind one port, and is asked by
wrk or by a client in this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hub.cli.hub_data import opened as opened_data
from hub.cli.hub_database import target_of
from hub.store.interface import Store
from hub.store.objects import new_object
from hub.store.records import Batch
from tests import postgres

REPOSITORY: Final = Path(__file__).resolve().parents[2]
TAXII: Final = "application/taxii+json;version=2.1"
PROCESSES: Final = 2
START_SECONDS: Final = 60.0
_LOAD_OBJECTS: Final = 5_000
USER, PASSWORD = "partner", "correct horse"


@dataclass(frozen=True)
class Site:
    """A server and the collection in it.

    Args:
        url: of the collection, with a slash at the end; of a bare site, of its route.
        headers: what every request carries.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def wrk(
        self, path: str, *, seconds: int, connections: int, script: str = "", **more: str
    ) -> dict[str, float]:
        """Ask with wrk; see `wrk_figures`. Raises RuntimeError when an answer was an error."""
        command = [needed("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
        command += ["--timeout", "30s"]
        for name, value in {**self.headers, **more}.items():
            command += ["-H", f"{name}: {value}"]
        if script:
            command += ["-s", script]
        return wrk_figures(_output([*command, self.url + path]))


def needed(tool: str) -> str:
    """The path of a program. Raises RuntimeError when it is not installed."""
    found = shutil.which(tool)
    if found is None:
        raise RuntimeError(f"{tool} is not installed: apt-get install {tool}")
    return found


def wrk_figures(text: str) -> dict[str, float]:
    """What wrk printed: requests per second, latencies in ms, and what scripts print as `name=`."""
    figures: dict[str, float] = {}
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    for line in text.splitlines():
        words = line.split()
        if line.startswith("Requests/sec:"):
            figures["per_second"] = float(words[1])
        elif len(words) == 2 and words[0] in ("50%", "99%"):
            unit = next(unit for unit in units if words[1].endswith(unit))
            figures[f"p{words[0][:-1]}"] = float(words[1].removesuffix(unit)) * units[unit]
        elif "Non-2xx" in line or "Socket errors" in line:
            raise RuntimeError(f"not all requests were answered: {line.strip()}")
        elif len(words) == 1 and "=" in line:
            name, _, value = line.partition("=")
            figures[name] = float(value)
    return figures


def basic(user: str, password: str) -> dict[str, str]:
    """Headers of a TAXII client that logs in with Basic."""
    text = b64encode(f"{user}:{password}".encode()).decode()
    return {"Accept": TAXII, "Authorization": f"Basic {text}"}


@dataclass(frozen=True)
class Loaded:
    """A data directory with an organisation, a token and a plain collection."""

    data: Path
    org: str
    token: str
    collection: str
    environment: Mapping[str, str]

    def store(self) -> dict[str, str]:
        """Where the store is, as medallion's configuration says it."""
        target = target_of(self.data)
        if target.url is None:
            return {"path": str(target.path)}
        return {"database": target.url, "token_key": str(target.token_key)}


def loaded(data: Path, objects: int, *, database: str | None = None) -> Loaded:
    """Make a hub's data directory by its own commands, and fill its collection.

    Args:
        data: the folder, absent.
        objects: how many to store.
        database: a PostgreSQL URL; None for SQLite.
    """
    environment = {**os.environ, "STILLWATCH_HUB_DATA": str(data), "PYTHONPATH": str(REPOSITORY)}
    if database is not None:
        environment["STILLWATCH_HUB_DATABASE"] = database

    def hub(*arguments: str) -> Any:
        command = [sys.executable, "-m", "hub.cli", "hub", *arguments, "--json"]
        return json.loads(_output(command, env=environment))

    hub("init")
    org = hub("org", "add", "Example Lab")["id"]
    token = hub("token", "issue", "Example Lab")["token"]
    collection = hub("collection", "add", "Bench", "--owner", "Example Lab", "--kind", "plain")[
        "id"
    ]
    made = Loaded(data, org, token, collection, environment)
    with opened(made) as store:
        fill(store, collection, 0, objects)
    return made


@contextlib.contextmanager
def opened(place: Loaded) -> Iterator[Store]:
    """The store of a data directory."""
    with opened_data(place.data) as store:
        yield store


def fill(store: Store, collection: str, first: int, end: int) -> None:
    """Store the objects numbered from `first` to before `end`."""
    for start in range(first, end, _LOAD_OBJECTS):
        numbers = range(start, min(start + _LOAD_OBJECTS, end))
        items = [new_object(json.loads(raw), raw) for raw in map(indicator, numbers)]
        store.append_batches([Batch(collection, items)])


def indicator(number: int) -> bytes:
    """A fictional indicator of some 0.9 KB; its id is made of its number."""
    return json.dumps(
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--{number:08x}-0000-4000-8000-000000000000",
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
    ).encode()


@contextlib.contextmanager
def hub(place: Loaded, *, processes: int = PROCESSES) -> Iterator[Site]:
    """A hub over a data directory; authentication and policy on, limits of rate off."""
    port = free_port()
    command = [sys.executable, "-m", "hub.cli", "hub", "serve", "--port", str(port)]
    command += ["--processes", str(processes), "--account-rate", "0", "--address-rate", "0"]
    # The other side logs no requests either.
    command += ["--no-access-log"]
    base = f"http://127.0.0.1:{port}"
    with running(command, f"{base}/readyz", place.data.with_suffix(".log"), place.environment):
        url = f"{base}/stillwatch/collections/{place.collection}/"
        yield Site(url, basic("example", place.token))


@contextlib.contextmanager
def medallion(place: Loaded, *, processes: int = PROCESSES) -> Iterator[Site]:
    """medallion's blueprints over the same store, on the same server (Granian, WSGI)."""
    config = place.data.with_name("medallion.json")
    settings = {
        "users": {USER: PASSWORD},
        "taxii": {"max_page_size": 1000},
        "backend": {
            "module": "hub.store.medallion",
            "module_class": "HubBackend",
            "org": "Example Lab",
            **place.store(),
        },
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    environment = {**place.environment, "MEDALLION_CONFIG": str(config)}
    with _granian("medallion_application", "wsgi", processes, config, environment) as base:
        headers = basic(USER, PASSWORD)
        probe = urllib.request.Request(f"{base}/taxii2/", headers=headers)
        urllib.request.urlopen(probe, timeout=60).close()
        yield Site(f"{base}/stillwatch/collections/{place.collection}/", headers)


@contextlib.contextmanager
def bare(folder: Path, *, processes: int = PROCESSES) -> Iterator[Site]:
    """One Starlette route that answers an empty envelope, on the same server."""
    with _granian("bare_application", "asgi", processes, folder / "bare", os.environ) as base:
        yield Site(base + "/", {"Accept": TAXII})


@contextlib.contextmanager
def _granian(
    target: str, interface: str, processes: int, name: Path, environment: Mapping[str, str]
) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "granian", f"tests.bench.{target}:application"]
    command += ["--interface", interface, "--port", str(port), "--workers", str(processes)]
    command += ["--no-ws", "--log-level", "error"]
    base = f"http://127.0.0.1:{port}"
    with running(command, f"{base}/", name.with_suffix(".log"), environment):
        yield base


@contextlib.contextmanager
def running(
    command: list[str], probe: str, log_path: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, from the moment when `probe` is answered at all."""
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**environment, "PYTHONPATH": str(REPOSITORY)},
            stdout=log,
            stderr=log,
        )
        try:
            _await(process, probe, log_path)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=30)


def _await(process: subprocess.Popen[bytes], probe: str, log_path: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(probe, timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            time.sleep(0.05)
            continue
        return
    raise RuntimeError(f"no server: {log_path.read_text(encoding='utf-8')[-2000:]}")


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """An empty PostgreSQL database of the tests' own server, by its URL."""
    yield postgres.empty_database()


def _output(command: list[str], env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
