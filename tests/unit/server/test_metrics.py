"""What a hub counts, over HTTP and over several processes; what it never tells."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub.errors import InputError, StoreError, TransportError
from hub.server.metrics import WATCHED, Metrics, Spread, reason_of
from hub.server.metrics_port import MetricsAddress, MetricsPort
from hub.server.refusals import BusyError, TooLargeError, TooManyRequestsError, UnauthenticatedError
from hub.settings import HubLimits, HubSettings
from hub.store.records import Appended, Outcome
from tests.unit.server.harness import TAXII, House

LOOPBACK = MetricsAddress("127.0.0.1", 0)


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return str(answer.read().decode())


def samples(text: str, *names: str) -> dict[tuple[str, ...], float]:
    """(name, label values by label name) -> value, of the samples of these names, worker left out.

    Raises ValueError for text that is not of Prometheus' format.
    """
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in names:
                labels = {k: v for k, v in sorted(sample.labels.items()) if k != "worker"}
                found[(sample.name, *labels.values())] = sample.value
    return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[House, Metrics]]:
    metrics = Metrics(store="sqlite", version="1", process=False)
    settings = HubSettings(limits=HubLimits(content_length=4096, auth_failures=3))
    with House(tmp_path, settings=settings, metrics=metrics) as made:
        yield made, metrics


def note(number: int) -> dict[str, object]:
    moment = "2026-01-01T00:00:00.000Z"
    return {
        "type": "note",
        "spec_version": "2.1",
        "id": f"note--00000000-0000-4000-8000-{number:012d}",
        "created": moment,
        "modified": moment,
        "content": "x",
        "object_refs": ["note--00000000-0000-4000-8000-000000000000"],
    }


def test_requests_refusals_and_objects_are_counted(house: tuple[House, Metrics]) -> None:
    made, metrics = house
    collection = made.plain(owner="rw")
    path = f"/stillwatch/collections/{collection}/objects/"
    body = json.dumps({"objects": [note(1), note(2)]}).encode()
    sent = {"content-type": TAXII}
    assert made.ask("POST", path, body=body, headers=sent).status == 202
    assert made.ask("POST", path, body=body, headers=sent).status == 202
    assert made.ask("GET", path).status == 200
    assert made.ask("GET", path, who=None).status == 401
    assert made.ask("POST", path, body=b"x" * 5000, headers=sent).status == 413
    assert made.ask("GET", "/nowhere/").status == 404
    assert made.ask("BREW", "/taxii2/").status == 405
    with MetricsPort(metrics, LOOPBACK) as port:
        text = scrape(port.port)
    requests = samples(text, "stillwatch_http_request_duration_seconds_count")
    route = "/{root}/collections/{collection_id}/objects/"
    name = "stillwatch_http_request_duration_seconds_count"
    assert requests[name, "POST", route, "2xx"] == 2
    assert requests[name, "POST", route, "4xx"] == 1
    assert requests[name, "GET", route, "2xx"] == 1
    assert requests[name, "GET", route, "4xx"] == 1
    assert requests[name, "GET", "none", "4xx"] == 1
    assert requests[name, "other", "none", "4xx"] == 1
    refused = samples(text, "stillwatch_http_refused_total")
    assert refused["stillwatch_http_refused_total", "auth"] == 1
    assert refused["stillwatch_http_refused_total", "size"] == 1
    assert refused["stillwatch_http_refused_total", "hidden"] == 1
    fates = samples(text, "stillwatch_objects_total")
    assert fates["stillwatch_objects_total", "stored"] == 2
    assert fates["stillwatch_objects_total", "duplicate"] == 2
    single = samples(
        text,
        "stillwatch_http_received_bytes_total",
        "stillwatch_http_requests_in_flight",
        "stillwatch_appender_queue_objects",
        "stillwatch_appender_queue_bytes",
        "stillwatch_appender_batch_objects_sum",
        "stillwatch_appender_commit_duration_seconds_count",
        "stillwatch_clock_drift_seconds",
    )
    assert single["stillwatch_http_received_bytes_total",] == 2 * len(body) + 5000
    assert single["stillwatch_http_requests_in_flight",] == 0
    assert single["stillwatch_appender_queue_objects",] == 0
    assert single["stillwatch_appender_queue_bytes",] == 0
    assert single["stillwatch_appender_batch_objects_sum",] == 4
    assert single["stillwatch_appender_commit_duration_seconds_count",] == 2
    assert abs(single["stillwatch_clock_drift_seconds",]) < 60


def test_a_scrape_tells_no_names_ids_or_tokens(house: tuple[House, Metrics]) -> None:
    made, metrics = house
    org = made.org("Fictional Lab")
    collection = made.plain()
    made.ask("GET", f"/stillwatch/collections/{collection}/objects/", query={"match[id]": "secret"})
    made.ask("GET", "/secret/")
    made.ask("SECRET", "/secret/")
    with MetricsPort(metrics, LOOPBACK) as port:
        text = scrape(port.port)
    for word in (org.id, org.name, collection, made.tokens["owner"], "plain", "secret", "SECRET"):
        assert word not in text


def test_nobody_reads_metrics_where_members_ask(house: tuple[House, Metrics]) -> None:
    assert house[0].ask("GET", "/metrics").status == 404


def test_processes_of_one_hub_answer_for_each_other(tmp_path: Path) -> None:
    """A second process, a third that died without a word, and the numbers that they hold."""
    directory = Path(short := os.path.relpath(tmp_path, Path.cwd()))
    assert len(short) < 90
    child = (
        "import sys\n"
        "from pathlib import Path\n"
        "from hub.server.metrics import Metrics\n"
        "from hub.server.metrics_port import MetricsAddress, MetricsPort\n"
        "metrics = Metrics(process=False)\n"
        "metrics.refused('queue')\n"
        "port = MetricsPort(metrics, MetricsAddress('127.0.0.1', int(sys.argv[1])),"
        " siblings=Path(sys.argv[2]))\n"
        "port.__enter__()\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
        "port.__exit__(None, None, None)\n"
    )

    def start(port: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", child, str(port), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    metrics = Metrics(process=False)
    with MetricsPort(metrics, LOOPBACK, siblings=directory) as port:
        others = [start(port.port), start(port.port)]
        try:
            by_worker = {
                sample.labels["worker"]: sample.value
                for family in text_string_to_metric_families(scrape(port.port))
                for sample in family.samples
                if sample.name == "stillwatch_http_refused_total"
                and sample.labels["reason"] == "queue"
            }
            assert by_worker == {"0": 0, "1": 1, "2": 1}
            # Any of them may get the scrape.
            for _ in range(8):
                states = samples(scrape(port.port), "stillwatch_workers")
                assert states["stillwatch_workers", "answering"] == 3
            others[0].kill()
            others[0].wait()
            states = samples(scrape(port.port), "stillwatch_workers")
            assert states["stillwatch_workers", "answering"] == 2
            assert states["stillwatch_workers", "silent"] == 0
            others.append(start(port.port))
            assert (directory / "1.sock").exists()
            assert not (directory / "3.sock").exists()
        finally:
            for process in others:
                assert process.stdin is not None
                process.stdin.close()
                process.wait(10)
                assert process.stdout is not None
                process.stdout.close()
    assert [path.name for path in directory.glob("*.sock")] == []


def test_a_worker_that_hangs_is_counted_and_costs_a_second(tmp_path: Path) -> None:
    directory = Path(os.path.relpath(tmp_path, Path.cwd()))
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hung,
        MetricsPort(Metrics(process=False), LOOPBACK, siblings=directory) as port,
    ):
        hung.bind(str(directory / "9.sock"))
        hung.listen(1)
        states = samples(scrape(port.port), "stillwatch_workers")
    assert states["stillwatch_workers", "answering"] == 1
    assert states["stillwatch_workers", "silent"] == 1


def test_gauges_that_fail_are_left_out() -> None:
    metrics = Metrics(process=False)

    def away() -> float:
        raise StoreError("the database is away")

    def wrong() -> float:
        raise KeyError("x")

    metrics.watch("stillwatch_logs", away)
    metrics.watch("stillwatch_log_leaves", wrong)
    metrics.watch("stillwatch_ready", lambda: 1)
    with pytest.raises(ValueError, match="no gauge"):
        metrics.watch("stillwatch_members", lambda: 1)
    with pytest.raises(ValueError, match="no counter"):
        metrics.tally("stillwatch_members", dict)
    names = {family.name for family in metrics.registry.collect()}
    assert names & set(WATCHED) == {"stillwatch_ready"}


def test_counting_from_many_threads_loses_nothing() -> None:
    metrics = Metrics(process=False)

    def count() -> None:
        for _ in range(2000):
            metrics.store_failed()
            metrics.store_failed("clock")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }
    assert found["stillwatch_store_errors_total", "store"] == 8000
    assert found["stillwatch_store_errors_total", "clock"] == 8000


def test_spreads_are_cumulative() -> None:
    spread = Spread((1.0, 10.0))
    for value in (0.5, 1.0, 1.5, 11.0):
        spread.observe(value)
    assert spread.read() == ([("1.0", 2.0), ("10.0", 3.0), ("+Inf", 4.0)], 14.0)


def test_fates_and_reasons() -> None:
    metrics = Metrics(process=False)
    stored = Appended("note--1", "1", 1, Outcome.STORED)
    metrics.committed(seconds=0.1, appended=[stored, stored], refused=3)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }
    assert found["stillwatch_objects_total", "stored"] == 2
    assert found["stillwatch_objects_total", "refused"] == 3
    assert found["stillwatch_appender_batch_objects_sum",] == 5
    reasons = [
        reason_of(UnauthenticatedError("x")),
        reason_of(BusyError("x")),
        reason_of(TooLargeError("x")),
        reason_of(TooManyRequestsError("x")),
        reason_of(StoreError("x")),
        reason_of(InputError("x")),
    ]
    assert reasons == ["auth", "queue", "size", "rate", "store", "malformed"]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("9427", "127.0.0.1", 9427),
        ("0.0.0.0:9427", "0.0.0.0", 9427),
        ("[2001:db8::1]:9427", "2001:db8::1", 9427),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert MetricsAddress.parse(text) == MetricsAddress(host, port)


@pytest.mark.parametrize("text", ["", ":9427", "host:", "host:http", "2001:db8::1:9427", "h:70000"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(InputError, match="HOST:PORT"):
        MetricsAddress.parse(text)


def test_an_address_that_is_taken_is_refused() -> None:
    with (
        MetricsPort(Metrics(process=False), LOOPBACK) as port,
        pytest.raises(TransportError, match="cannot listen for scrapes"),
    ):
        MetricsPort(Metrics(process=False), MetricsAddress("127.0.0.1", port.port)).__enter__()


def test_other_paths_and_methods_are_refused() -> None:
    with MetricsPort(Metrics(process=False), LOOPBACK) as port:
        for path, method in (("/", "GET"), ("/metrics", "POST")):
            asked = urllib.request.Request(f"http://127.0.0.1:{port.port}{path}", method=method)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(asked, timeout=10)
            refused.value.close()
            assert refused.value.code in (404, 501)
