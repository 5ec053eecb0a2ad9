"""What an operator sees of a hub that serves: its metrics, its logs, and how it leaves."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import threading
import time
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.test_hub_cli import SECONDS, asked, free_port, run, serving
from tests.unit.server.test_metrics import samples

READ = "stillwatch_http_request_duration_seconds_count"


@pytest.fixture
def place(tmp_path: Path) -> str:
    data = str(tmp_path / "hub")
    run("init", "--data", data)
    return data


def until(state: int, url: str) -> requests.Response:
    end = time.monotonic() + SECONDS
    while (answer := requests.get(url, timeout=SECONDS)).status_code != state:
        assert time.monotonic() < end, answer.status_code
        time.sleep(0.02)
    return answer


def test_metrics_have_an_address_of_their_own(place: str) -> None:
    run("org", "add", "--data", place, "Lab")
    token = asked("token", "issue", "--data", place, "Lab")["token"]
    port, watched = free_port(), free_port()
    with serving(place, "--metrics-listen", str(watched), port=port) as process:
        base = f"http://127.0.0.1:{port}"
        head = {"authorization": f"Bearer {token}", "x-request-id": "request-1"}
        for _ in range(3):
            assert requests.get(f"{base}/taxii2/", headers=head, timeout=SECONDS).ok
        assert requests.get(f"{base}/metrics", timeout=SECONDS).status_code == 404
        text = requests.get(f"http://127.0.0.1:{watched}/metrics", timeout=SECONDS).text
        assert samples(text, READ)[READ, "GET", "/taxii2/", "2xx"] == 3
        assert samples(text, "process_resident_memory_bytes")["process_resident_memory_bytes",] > 0
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
        assert process.wait(SECONDS) == 0
    named = [line for line in lines if line.get("request_id") == "request-1"]
    assert [line["path"] for line in named] == ["/taxii2/"] * 3
    assert token not in json.dumps(lines)


def test_a_hub_that_stops_is_first_not_ready_but_serves_on(place: str) -> None:
    """Balancers turn away before anybody is refused; a second signal does not wait."""
    port = free_port()
    with serving(place, "--drain-time", "60s", port=port) as process:
        base = f"http://127.0.0.1:{port}"
        with requests.Session() as kept:
            before = kept.get(f"{base}/readyz", timeout=SECONDS)
            assert before.status_code == 200
            assert "connection" not in before.headers
            process.send_signal(signal.SIGTERM)
            after = until(503, f"{base}/readyz")
            assert after.text == "the hub is stopping\n"
            assert after.headers["connection"] == "close"
            for _ in range(20):
                assert kept.get(f"{base}/livez", timeout=SECONDS).status_code == 200
                assert kept.get(f"{base}/taxii2/", timeout=SECONDS).status_code == 401
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0


def test_the_drain_ends_by_itself_and_refuses_nobody_before(place: str) -> None:
    port = free_port()
    refused: list[float] = []
    answered: list[float] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            with contextlib.suppress(requests.RequestException):
                requests.get(f"http://127.0.0.1:{port}/taxii2/", timeout=SECONDS)
                answered.append(time.monotonic())
                continue
            refused.append(time.monotonic())
            time.sleep(0.02)

    with serving(place, "--drain-time", "1s", "--no-access-log", port=port) as process:
        asking = threading.Thread(target=ask)
        asking.start()
        try:
            until(200, f"http://127.0.0.1:{port}/readyz")
            process.send_signal(signal.SIGTERM)
            stopped = time.monotonic()
            assert process.wait(SECONDS) == 0
        finally:
            ended.set()
            asking.join()
    assert any(moment > stopped for moment in answered)
    assert all(moment >= stopped + 1.0 for moment in refused)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--metrics-listen", "nowhere"),
        ("--otel-endpoint", "127.0.0.1"),
        ("--log-level", "loud"),
        ("--slow-request", "5"),
    ],
)
def test_wrong_settings_are_refused(place: str, arguments: tuple[str, str]) -> None:
    done = run("serve", "--data", place, *arguments, ok=False)
    assert arguments[0] in done.stderr


def test_a_probe_tells_by_its_exit_code(place: str) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    assert "no answer" in run("probe", "--url", url, ok=False).stderr
    with serving(place, "--drain-time", "60s", port=port) as process:
        assert run("probe", "--url", url).stdout == "ok\n"
        assert asked("probe", "--url", url, "--live")["answer"] == "ok"
        process.send_signal(signal.SIGTERM)
        until(503, f"{url}/readyz")
        assert "the hub is stopping (503)" in run("probe", "--url", url, ok=False).stderr
        assert run("probe", "--url", url, "--live").stdout == "ok\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0


def test_one_scrape_tells_of_all_processes(place: str) -> None:
    port, watched = free_port(), free_port()
    arguments = ("--processes", "2", "--metrics-listen", str(watched), "--no-access-log")
    with serving(place, *arguments, port=port) as process:
        for _ in range(40):
            # Each on a connection of its own, so that both processes get some.
            answer = requests.get(f"http://127.0.0.1:{port}/taxii2/", timeout=SECONDS)
            assert answer.status_code == 401
        for _ in range(4):
            text = requests.get(f"http://127.0.0.1:{watched}/metrics", timeout=SECONDS).text
            by_worker = {
                sample.labels["worker"]: sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if sample.name == READ and sample.labels["route"] == "/taxii2/"
            }
            assert sum(by_worker.values()) == 40
            assert set(by_worker) == {"0", "1"}
        process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 3 * SECONDS
        while True:
            text = requests.get(f"http://127.0.0.1:{watched}/metrics", timeout=SECONDS).text
            workers = set(re.findall(r'stillwatch_build_info\{.*worker="(\d+)"', text))
            # Each takes the lowest number that is free: 2, and then the one that 2 set free.
            if len(workers) == 2 and workers != {"0", "1"}:
                break
            assert time.monotonic() < end, workers
            time.sleep(0.2)
        assert samples(text, "stillwatch_workers")["stillwatch_workers", "silent"] == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(3 * SECONDS) == 0
